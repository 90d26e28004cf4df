/**
 * The free space of the file systems under the components. Components are
 * sparse files, so a file system can be full while the pool has free chunks.
 * Then every write that needs space on that component fails. The refusal fences
 * the component for new chunks (not in format 1), until there is space again.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";
import { inBytes, isUri, messageOf, VirstorError } from "../../errors.ts";
import type { Component } from "./component.ts";
import {
  hostStatuses,
  type PassedHostMark,
  passedHostMarks,
} from "./host_status.ts";
import type { PoolSettings } from "./settings.ts";

/**
 * How long to wait for the file systems, milliseconds. The free space of one
 * that has not answered by then counts as unknown.
 */
const LOOK_MS = 200;
/** How often the file systems that refuse writes are asked, milliseconds. */
const ASK_MS = 1000;
/**
 * When a refusal ends that the reported free space does not explain (a quota of
 * the host, say), milliseconds. The next write tells.
 */
const UNEXPLAINED_MS = 30_000;

/** The free space of the file systems under the components of a pool. */
export class HostSpaces {
  readonly #settings: PoolSettings;
  /** Components whose file systems have not answered yet. */
  readonly #asked = new Map<Component, Promise<void>>();
  /** Components whose file systems refuse writes, or have done so lately. */
  readonly #refusing = new Set<Component>();
  #passed: readonly PassedHostMark[] = [];
  #isStopped = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  /**
   * Starts with all free space unknown.
   *
   * @param settings The pool's settings.
   */
  constructor(settings: PoolSettings) {
    this.#settings = settings;
  }

  /**
   * Asks the file systems for their free space, and stores it in `host`.
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
      if (this.#asked.has(one)) one.host = undefined;
    }
    this.#watch(members);
  }

  /** Says which file systems have passed their watermark since the last look. */
  #watch(members: readonly Component[]): void {
    const { watermarks: { host }, onEvent } = this.#settings;
    if (host === undefined || this.#isStopped) return;
    const passed = passedHostMarks(hostStatuses(members), host);
    for (const one of passed) {
      const [path = ""] = one.paths;
      if (this.#passed.some(({ paths }) => paths.includes(path))) continue;
      onEvent({ kind: "watermark", ...one });
    }
    this.#passed = passed;
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
    if (component.refusal === undefined) this.#refused(component);
    return new VirstorError(
      "no-space",
      `Cannot write to pool "${this.#settings.name}": the file system of ` +
        `${placeOf(component.device.path)} is full ` +
        `(${messageOf(error.cause ?? error)}), free space there or remove ` +
        "the component",
      { cause: error },
    );
  }

  /** Asks no file system any more, and says nothing more of them. */
  stop(): void {
    this.#isStopped = true;
    this.#rest();
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#refusing.clear();
  }

  #refused(component: Component): void {
    const { path } = component.device;
    component.refusal = { since: Date.now(), isExplained: false };
    this.#settings.onEvent({
      kind: "host-full",
      message: `The file system of ${placeOf(path)} is full, free space ` +
        "there or remove the component",
      path,
    });
    this.#refusing.add(component);
    void this.#ask(component);
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#askRefusing(), ASK_MS);
    // A program that does nothing else may end.
    Deno.unrefTimer(this.#timer);
  }

  #askRefusing(): void {
    for (const one of this.#refusing) {
      if (one.refusal === undefined) this.#refusing.delete(one);
      else void this.#ask(one);
    }
    if (this.#refusing.size === 0) this.#rest();
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
    const host = await device.hostSpace?.().catch(() => undefined);
    component.host = host;
    const free = host?.freeBytes;
    const { refusal } = component;
    if (refusal === undefined) return;
    if (free !== undefined && free < this.#settings.chunkSize) {
      refusal.isExplained = true;
    } else if (free !== undefined && refusal.isExplained) {
      component.refusal = undefined;
    } else if (Date.now() - refusal.since > UNEXPLAINED_MS) {
      component.refusal = undefined;
    }
  }
}

/** What lies on the file system: of another machine's disk only the journal. */
function placeOf(path: string): string {
  const component = `component "${path}"`;
  return isUri(path) ? `the journal of ${component}` : component;
}

/**
 * Warns of file systems that are full.
 *
 * @param members The components.
 * @param chunkSize Bytes of a chunk.
 * @param isDense Whether the format needs chunks in order, as format 1 does.
 * @returns A sentence for each component whose file system is full.
 */
export function hostWarnings(
  members: readonly Component[],
  chunkSize: number,
  isDense: boolean,
): string[] {
  const isFull = (one: Component) => {
    const { device: { capabilities }, refusal, host } = one;
    const hostFree = host?.freeBytes;
    const isShort = hostFree !== undefined && hostFree < chunkSize;
    // Where holes cannot be punched, free chunks have their space already.
    const isSparse = capabilities.discard || capabilities.readOnly;
    return refusal !== undefined || isShort && one.free > 0 && isSparse;
  };
  const full = members.filter(isFull);
  const hasOthers = !isDense &&
    members.some((one) => one.free > 0 && !one.fenced && !full.includes(one));
  return full.map(({ device: { path }, refusal, host }) => {
    const room = host === undefined ? "" : `, ${inBytes(host.freeBytes)} left`;
    const [now, later] = hasOthers
      ? ["new chunks go elsewhere", "new chunks will go elsewhere"]
      : ["writes fail there", "writes that need a chunk there will fail"];
    const since = refusal === undefined
      ? later
      : `${now} since ${new Date(refusal.since).toISOString()}`;
    return `The file system of ${placeOf(path)} is full${room}: ${since}; ` +
      "free space there or remove the component";
  });
}
