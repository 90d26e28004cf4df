/**
 * What a server tells of its connections, for a log.
 *
 * @module
 */

import {
  type ErrorCode,
  messageOf,
  type VirstorError,
} from "../../../errors.ts";
import { Pace } from "./pace.ts";

/** Something worth a line in a log. */
export interface NbdEvent {
  /**
   * - `accepted`: a connection has come, and negotiates
   * - `connected`: a client has chosen an export
   * - `disconnected`: a client that had chosen one has left
   * - `left`: a client has left without choosing one, as those do that only
   *   ask what there is
   * - `refused`: the server ended a connection before an export was used
   * - `accept-failed`: the operating system gave no connection; the server
   *   goes on; told once a second at most
   * - `error`: the device failed a request; told once a second at most
   */
  readonly kind:
    | "accepted"
    | "connected"
    | "disconnected"
    | "left"
    | "refused"
    | "accept-failed"
    | "error";
  /** Number of the connection, from 1; 0 if there is none. */
  readonly client: number;
  /** Where it came from, or an empty string. */
  readonly peer: string;
  /** One line for people. */
  readonly message: string;
}

/** What a client does, or the end of the server, and no fault of a device. */
const EXPECTED_ERRORS: ReadonlySet<ErrorCode> = new Set([
  "cancelled",
  "invalid",
  "read-only",
  "shutdown",
  "unsupported",
]);

/** A connection that a line is about. */
export interface LoggedClient {
  /** Number of the connection. */
  readonly id: number;
  /** Where it came from. */
  readonly peer: string;
}

/** Tells what happens. */
export class ServerLog {
  readonly #log: (event: NbdEvent) => void;
  readonly #errors = new Pace();
  readonly #failedAccepts = new Pace();

  /**
   * Begins.
   *
   * @param log Told of events; by default they are dropped.
   */
  constructor(log: (event: NbdEvent) => void = () => {}) {
    this.#log = log;
  }

  /**
   * Tells of a client.
   *
   * @param kind What happened.
   * @param client The client.
   * @param message One line.
   */
  tell(kind: NbdEvent["kind"], client: LoggedClient, message: string): void {
    const { id, peer } = client;
    this.#log({ kind, client: id, peer, message });
  }

  /**
   * Tells that no connection could be accepted.
   *
   * @param error Why.
   */
  acceptFailed(error: unknown): void {
    const message = this.#failedAccepts.tell(
      `Cannot accept a connection: ${messageOf(error)}`,
    );
    if (message === undefined) return;
    this.tell("accept-failed", { id: 0, peer: "" }, message);
  }

  /**
   * Tells that the device failed a request. A client sees a number only;
   * the log has the reason.
   *
   * @param client Whose request.
   * @param error Why.
   */
  deviceFailed(client: LoggedClient, error: VirstorError): void {
    if (EXPECTED_ERRORS.has(error.code)) return;
    const message = this.#errors.tell(error.message);
    if (message !== undefined) this.tell("error", client, message);
  }
}
