/**
 * `serve --wait`: a pool starts when its last component appears, as after the
 * start of a machine whose disks come one by one.
 *
 * @module
 */

import { counted, isUri, VirstorError } from "../../errors.ts";
import { handleSignals, pause } from "../signals/mod.ts";
import { readRegistry } from "../state/mod.ts";
import { log } from "../terminal/mod.ts";
import type { PoolSource } from "./pool_source.ts";
import type { ServerSettings } from "./server_settings.ts";

/** Milliseconds between two looks at the paths of components. */
const LOOK_MS = 200;
/**
 * Milliseconds after which the pool is opened again although no path has
 * changed: a component may have appeared under another name.
 */
const RETRY_MS = 10_000;
/** The same for a pool with components on other machines, which nothing shows. */
const RETRY_REMOTE_MS = 1000;

/** How long to wait. */
export interface ComponentWait {
  /** The end, milliseconds of `performance.now()`. */
  readonly until: number;
  /** Ends the wait. */
  readonly signal: AbortSignal;
  /**
   * Called as the wait begins, and when it waits for something else.
   *
   * @param what What it waits for.
   */
  waiting(what: string): void;
}

/**
 * Opens a pool as soon as all its components are there.
 *
 * @param source The pool.
 * @param stateDirectory The state directory.
 * @param wait How long to wait.
 * @param open Opens the pool; if it fails, nothing has changed.
 * @returns The result of `open`.
 * @throws {VirstorError} `not-found` if a component is still missing at the end,
 *   and at once if nothing says which components there are; `cancelled` if a
 *   signal has ended the wait; the other errors of `open`, at once.
 */
export async function openWhenThere<T>(
  source: PoolSource,
  stateDirectory: string,
  wait: ComponentWait,
  open: () => Promise<T>,
): Promise<T> {
  let said = "";
  for (;;) {
    wait.signal.throwIfAborted();
    const paths = await pathsOf(source, stateDirectory);
    const before = fingerprint(paths);
    try {
      return await open();
    } catch (error) {
      const isMissing = error instanceof VirstorError &&
        error.code === "not-found";
      if (!isMissing || paths.length === 0) throw error;
      const { message } = error;
      if (message !== said) wait.waiting(message);
      said = message;
      if (performance.now() >= wait.until) throw error;
    }
    await untilChanged(paths, before, wait);
  }
}

/** What a wait takes of the options of a server. */
interface WaitOptions {
  readonly stateDirectory: string;
  readonly settings: Pick<ServerSettings, "waitSeconds">;
}

/** The wait of a server that starts. A signal ends it at once. */
export class StartWait {
  /** What the server waits for; "" while it does not wait. */
  phase = "";
  readonly #stateDirectory: string;
  readonly #seconds: number;
  readonly #until: number;
  readonly #end = new AbortController();
  readonly #removeHandlers: () => void;
  readonly #onPhase: () => void;

  /**
   * Begins the time of the wait.
   *
   * @param options The state directory, and how long to wait.
   * @param onPhase Called when {@linkcode phase} is another.
   */
  constructor(
    { stateDirectory, settings: { waitSeconds: seconds = 0 } }: WaitOptions,
    onPhase: () => void,
  ) {
    this.#onPhase = onPhase;
    this.#stateDirectory = stateDirectory;
    this.#seconds = seconds;
    this.#until = performance.now() + seconds * 1000;
    this.#removeHandlers = seconds === 0 ? () => {} : handleSignals({
      begin: (signal) =>
        this.#end.abort(
          new VirstorError(
            "cancelled",
            `Got ${signal} before all components were there: nothing is served`,
          ),
        ),
    });
  }

  /** Whether a signal has ended the wait. */
  get isEnded(): boolean {
    return this.#end.signal.aborted;
  }

  /**
   * Opens a pool as soon as all its components are there.
   *
   * @param source The pool.
   * @param open Opens the pool; if it fails, nothing has changed.
   * @returns The result of `open`.
   * @throws {VirstorError} As {@linkcode openWhenThere}.
   */
  async open<T>(source: PoolSource, open: () => Promise<T>): Promise<T> {
    if (this.#seconds === 0) return await open();
    const [seconds, pool] = [this.#seconds, source.name];
    const waiting = (what: string) => {
      this.phase = `Waiting for components: ${what}`;
      const text = `Waits up to ${counted(seconds, "second")}: ${what}`;
      log("waiting", text, { pool });
      this.#onPhase();
    };
    const wait = { until: this.#until, signal: this.#end.signal, waiting };
    const opened = await openWhenThere(
      source,
      this.#stateDirectory,
      wait,
      open,
    );
    this.phase = "";
    return opened;
  }

  /** Leaves signals to the server. */
  done(): void {
    this.#removeHandlers();
  }
}

async function pathsOf(
  { name, named = [] }: PoolSource,
  stateDirectory: string,
): Promise<string[]> {
  const entry = await readRegistry(stateDirectory, name);
  return [...named, ...entry?.components ?? []];
}

/** Which of the files there are, and how large they are. */
function fingerprint(paths: readonly string[]): string {
  return paths.map((path) => {
    try {
      const { dev, ino, size } = Deno.statSync(path);
      return `${dev}:${ino}:${size}`;
    } catch {
      return "";
    }
  }).join(" ");
}

async function untilChanged(
  paths: readonly string[],
  before: string,
  { until, signal }: ComponentWait,
): Promise<void> {
  const retryMs = paths.some(isUri) ? RETRY_REMOTE_MS : RETRY_MS;
  const retryAt = Math.min(until, performance.now() + retryMs);
  while (!signal.aborted && performance.now() < retryAt) {
    if (fingerprint(paths) !== before) return;
    await pause(LOOK_MS, signal);
  }
}
