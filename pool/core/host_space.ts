/**
 * The free space of the file systems under the components. Components are
 * sparse files, so a file system can be full while the pool has free chunks.
 * Then every write that needs space on that component fails.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";
import { inBytes, messageOf, VirstorError } from "../../errors.ts";
import type { Component } from "./component.ts";
import type { PoolSettings } from "./settings.ts";

/**
 * How long to wait for the file systems, milliseconds. The free space of one
 * that has not answered by then counts as unknown.
 */
const LOOK_MS = 200;

/** The free space of the file systems under the components of a pool. */
export class HostSpaces {
  readonly #settings: PoolSettings;
  /** Components whose file systems have not answered yet. */
  readonly #asked = new Map<Component, Promise<void>>();

  /**
   * Starts with all free space unknown.
   *
   * @param settings The pool's settings.
   */
  constructor(settings: PoolSettings) {
    this.#settings = settings;
  }

  /**
   * Asks the file systems for their free space, and stores it in `hostFree`.
   *
   * @param members The components.
   * @returns Settles when all have answered, or after 200 milliseconds.
   */
  async look(members: readonly Component[]): Promise<void> {
    const limit = Promise.withResolvers<void>();
    const timer = setTimeout(limit.resolve, LOOK_MS);
    await Promise.race([
      Promise.allSettled(members.map((one) => this.#ask(one))),
      limit.promise,
    ]);
    clearTimeout(timer);
    for (const one of members) {
      if (this.#asked.has(one)) one.hostFree = undefined;
    }
  }

  /**
   * Writes to a chunk.
   *
   * @param component The component.
   * @param source The bytes to write.
   * @param at Offset on the component, bytes.
   * @returns The result of the component's write.
   * @throws {VirstorError} The error of the component; if its file system is
   *   full, an error that names the component and says what to do.
   */
  write(component: Component, source: Uint8Array, at: number): Completion {
    try {
      return component.data.write(source, at);
    } catch (error) {
      throw this.failed(component, error);
    }
  }

  /**
   * Notes that a component could not be written to. Each write to a component's
   * chunks reports its failure here, so that `status` warns.
   *
   * @param component The component.
   * @param error Its error.
   * @returns The error for the caller: as in {@linkcode write}.
   */
  failed(component: Component, error: unknown): unknown {
    if (!(error instanceof VirstorError) || error.code !== "no-space") {
      return error;
    }
    if (component.refusal === undefined) {
      component.refusal = { since: Date.now(), isExplained: false };
      void this.#ask(component);
    }
    return new VirstorError(
      "no-space",
      `Cannot write to pool "${this.#settings.name}": the file system of ` +
        `component "${component.device.path}" is full ` +
        `(${messageOf(error.cause ?? error)}), free space there or remove ` +
        "the component",
      { cause: error },
    );
  }

  /** Asks one file system, unless an answer is pending. Never rejects. */
  #ask(component: Component): Promise<void> {
    let asked = this.#asked.get(component);
    if (asked === undefined) {
      asked = this.#answer(component).finally(() =>
        this.#asked.delete(component)
      );
      this.#asked.set(component, asked);
    }
    return asked;
  }

  async #answer(component: Component): Promise<void> {
    const { device } = component;
    const free = await device.hostFree?.().catch(() => undefined);
    component.hostFree = free;
    const { refusal } = component;
    if (refusal === undefined || free === undefined) return;
    if (free < this.#settings.chunkSize) refusal.isExplained = true;
    else if (refusal.isExplained) component.refusal = undefined;
  }
}

/**
 * Warns of file systems that are full.
 *
 * @param members The components.
 * @param chunkSize Bytes of a chunk.
 * @returns A sentence for each component whose file system is full.
 */
export function hostWarnings(
  members: readonly Component[],
  chunkSize: number,
): string[] {
  return members.flatMap((one) => {
    const { device: { path, capabilities }, refusal, hostFree } = one;
    const isShort = hostFree !== undefined && hostFree < chunkSize;
    // Where holes cannot be punched, free chunks have their space already.
    const isSparse = capabilities.discard || capabilities.readOnly;
    const willRefuse = isShort && one.free > 0 && isSparse;
    if (refusal === undefined && !willRefuse) return [];
    const room = hostFree === undefined ? "" : `, ${inBytes(hostFree)} left`;
    const since = refusal === undefined
      ? "writes that need a chunk there will fail"
      : `writes fail there since ${new Date(refusal.since).toISOString()}`;
    return [
      `The file system of component "${path}" is full${room}: ${since}; ` +
      "free space there or remove the component",
    ];
  });
}
