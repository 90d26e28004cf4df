/**
 * Extends a served pool by itself: when so much of it is used, or a write waits
 * for space, it makes a file and adds it. Requests never wait for that, but for
 * those that wait for space anyway. The change takes its turn with all others.
 *
 * @module
 */

import {
  createSparseFile,
  hostSpaceAt,
  removeFile,
} from "../../device/file/mod.ts";
import { inBytes, messageOf, VirstorError } from "../../errors.ts";
import type { Pool, PoolStatus } from "../../pool/mod.ts";
import { addComponents } from "../calls/mod.ts";
import { formatSize } from "../terminal/mod.ts";
import type { ExtendSettings } from "./extend_option.ts";
import type { PoolEvents } from "./pool_events.ts";

/** The pause after a failure, before another attempt, milliseconds. */
const RETRY_MS = 30_000;
/** The most characters of a pool's name in the name of a file. */
const NAME_MAX = 100;

/** What is extended, and how. */
export interface ExtendOptions {
  /** The pool. */
  readonly pool: Pool;
  /** Receives what happens. */
  readonly events: PoolEvents;
  /** The state directory. */
  readonly stateDirectory: string;
  /** When and how, at first. */
  readonly settings: ExtendSettings;
  /** The pause after a failure, milliseconds; 30,000 by default. */
  readonly retryMs?: number;
}

/** Extends one pool. */
export class AutoExtend {
  readonly #options: ExtendOptions;
  #settings: ExtendSettings;
  #running: Promise<void> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** The code of the failure that was said last; "" after a success. */
  #said = "";
  #isEnded = false;

  /**
   * Extends nothing yet.
   *
   * @param options What is extended, and how.
   */
  constructor(options: ExtendOptions) {
    this.#options = options;
    this.#settings = options.settings;
  }

  /** When and how the pool is extended. */
  get settings(): ExtendSettings {
    return this.#settings;
  }

  set settings(settings: ExtendSettings) {
    this.#settings = settings;
    // What stood in the way may be gone, and what comes is worth a line.
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#said = "";
    this.wake();
  }

  /** Something has happened to the pool: extends it if that is due. */
  wake(): void {
    if (this.#isEnded || this.#retry !== undefined) return;
    if (this.#settings.size === 0) return;
    this.#running ??= this.#run();
  }

  /** Extends nothing any more. */
  end(): void {
    this.#isEnded = true;
    clearTimeout(this.#retry);
  }

  /**
   * Waits, after {@linkcode end}, until nothing is being added.
   */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    // Not in the turn of the event: the pool may be in the middle of a change.
    await new Promise((done) => setTimeout(done, 0));
    try {
      while (!this.#isEnded && this.#isDue()) await this.#extend();
    } catch (error) {
      this.#failed(error);
    }
    this.#running = undefined;
  }

  #isDue(): boolean {
    const { pool } = this.#options;
    const settings = this.#settings;
    const { state, readOnly, components, delayed } = pool.status();
    if (state !== "open" || readOnly || settings.size === 0) return false;
    const staying = components.filter(({ evacuating }) => !evacuating);
    const sum = (key: "used" | "free" | "freeing") =>
      staying.reduce((total, one) => total + one[key], 0);
    // Chunks that are being freed count as used, as for the watermark.
    const [free, used] = [sum("free"), sum("used") + sum("freeing")];
    if (delayed.count > 0 && free === 0) return true;
    return used * 100 >= settings.usedPercent * (used + free);
  }

  async #extend(): Promise<void> {
    const { pool, events, stateDirectory } = this.#options;
    // They may change during the extension.
    const settings = this.#settings;
    const { size } = settings;
    checkMax(pool.status(), settings);
    await checkHost(settings);
    const path = await this.#makeFile(settings);
    try {
      const request = { paths: [path], force: false, hardcode: false };
      await addComponents(stateDirectory, pool, request);
    } catch (error) {
      // If it is not known what is on disk, the file may be a component.
      const inDoubt = error instanceof VirstorError && error.code === "failed";
      if (!inDoubt) removeFile(path);
      throw error;
    }
    this.#said = "";
    const message = `Extended by ${formatSize(size)}, on "${path}"`;
    const { usedPercent } = pool.status();
    events.emit({ kind: "extended", message, path, size, usedPercent });
  }

  /** Makes a file of a name that is not in use. */
  async #makeFile({ directory, size }: ExtendSettings): Promise<string> {
    const { pool } = this.#options;
    const name = pool.name.replaceAll(/[^\w.-]/g, "_").slice(0, NAME_MAX);
    const names = new Set<string>();
    for await (const entry of Deno.readDir(directory)) names.add(entry.name);
    for (let number = 1;; number++) {
      const file = `${name}-extend-${number}.img`;
      if (names.has(file)) continue;
      const path = `${directory}/${file}`;
      try {
        createSparseFile(path, size);
        return path;
      } catch (error) {
        // Another pool may just have taken the name.
        const isTaken = error instanceof VirstorError &&
          error.code === "exists";
        if (!isTaken) throw error;
      }
    }
  }

  #failed(error: unknown): void {
    // A stop refuses changes.
    if (this.#isEnded || this.#options.pool.status().state !== "open") return;
    const { retryMs = RETRY_MS, events } = this.#options;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.wake();
    }, retryMs);
    Deno.unrefTimer(this.#retry);
    const code = error instanceof VirstorError ? error.code : "io";
    if (code === this.#said) return;
    this.#said = code;
    const reason = messageOf(error);
    const message = `${reason}; the next attempts are logged when one succeeds`;
    events.emit({ kind: "extend-failed", message, reason });
  }
}

function checkMax(
  { components }: PoolStatus,
  { size, max }: ExtendSettings,
): void {
  const all = components.reduce((sum, one) => sum + one.size, 0);
  if (all + size <= max) return;
  throw new VirstorError(
    "unsupported",
    `Cannot extend the pool: the components have ${inBytes(all)}, and ` +
      `--auto-extend-max allows ${inBytes(max)}`,
  );
}

async function checkHost({ size, directory }: ExtendSettings): Promise<void> {
  const host = await hostSpaceAt(directory);
  if (host === undefined || host.freeBytes >= size) return;
  throw new VirstorError(
    "no-space",
    `Cannot extend the pool: the file system of "${directory}" has ` +
      `${inBytes(host.freeBytes)} free`,
  );
}
