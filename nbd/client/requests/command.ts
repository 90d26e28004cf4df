/**
 * A request of the remote disk, from the queue to its reply. It outlives
 * connections: without a reply it is sent again on the next one.
 *
 * @module
 */

import type { KeptBytes } from "../../../device/block/mod.ts";
import type { VirstorError } from "../../../errors.ts";
import type { NbdStatusRun } from "../../wire/mod.ts";

/** The fields of a request. */
export interface CommandFields {
  /** Number of the command. */
  readonly command: number;
  /** Command flags. */
  readonly flags?: number;
  /** First byte of the range. */
  readonly offset?: number;
  /** Bytes of the range. */
  readonly length?: number;
  /** The bytes of a WRITE. They do not change before the request has ended. */
  readonly payload?: Uint8Array;
  /** Has these bytes when the request has ended; else they never change. */
  readonly kept?: KeptBytes | undefined;
  /** Buffer that a READ fills. */
  readonly target?: Uint8Array;
}

/** A request. */
export class Command {
  /** Number of the command. */
  readonly command: number;
  /** Command flags. */
  readonly flags: number;
  /** First byte of the range. */
  readonly offset: number;
  /** Bytes of the range. */
  readonly length: number;
  /** The bytes of a WRITE. */
  readonly payload: Uint8Array | undefined;
  /** Has the bytes of a WRITE when it has ended. */
  readonly kept: KeptBytes | undefined;
  /** Buffer that a READ fills. */
  readonly target: Uint8Array | undefined;
  /** Place in the order of requests. The queue sets it. */
  sequence = 0;
  /**
   * When it left first, or began to wait for a connection, by
   * `performance.now()`; 0 if neither.
   */
  since = 0;
  /** Runs of a BLOCK_STATUS reply. */
  readonly runs: NbdStatusRun[] = [];
  /**
   * Whether the request ends with its connection, instead of being sent again.
   */
  readonly isBound: boolean;
  /** The requests that this one carries; none if it carries itself only. */
  parts: readonly Command[] = [];
  /**
   * Until when a lost connection may still deliver this request, by
   * `performance.now()`; 0 if it cannot.
   */
  lateUntil = 0;
  /** Whether the request must leave by itself: joined with others it failed. */
  isAlone = false;
  /** Called when the request leaves. */
  onSend: (() => void) | undefined;
  /** Called when the server has reported success, before `done` resolves. */
  onSuccess: (() => void) | undefined;
  /** Called when the request has failed, before `done` rejects. */
  onFailure: ((error: VirstorError) => void) | undefined;
  /** Resolves with success; rejects with the failure. */
  readonly done: Promise<void>;
  readonly #resolve: () => void;
  readonly #reject: (error: VirstorError) => void;
  #settled = false;

  /**
   * Creates a request.
   *
   * @param fields The fields.
   * @param isBound Whether the request ends with its connection.
   */
  constructor(fields: CommandFields, isBound = false) {
    this.command = fields.command;
    this.flags = fields.flags ?? 0;
    this.offset = fields.offset ?? 0;
    this.payload = fields.payload;
    this.kept = fields.kept;
    this.target = fields.target;
    this.length = fields.length ?? fields.payload?.length ??
      fields.target?.length ?? 0;
    this.isBound = isBound;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.done = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Whether the request has ended. */
  get isSettled(): boolean {
    return this.#settled;
  }

  /** Ends the request with success. */
  succeed(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.onSuccess?.();
    this.#resolve();
  }

  /**
   * Ends the request with a failure.
   *
   * @param error The failure.
   */
  fail(error: VirstorError): void {
    if (this.#settled) return;
    this.#settled = true;
    this.onFailure?.(error);
    // A caller that has several requests in flight waits for the first only.
    this.done.catch(() => {});
    this.#reject(error);
  }
}
