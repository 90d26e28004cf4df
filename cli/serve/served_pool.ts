/**
 * One pool of a server, with its export and its control socket.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";
import { exportOf, type NbdExport } from "../../nbd/mod.ts";
import { openPool, type Pool, type PoolOptions } from "../../pool/mod.ts";
import {
  addComponents,
  callServer,
  type ControlCalls,
  type ControlHandlers,
  registerOpenPool,
  removeComponents,
  resizeDisk,
  SERVED_EVACUATION_RATE,
} from "../control/mod.ts";
import { ControlServer } from "./control_server.ts";
import { withComponents } from "../registry/mod.ts";
import {
  controlSocketPath,
  forgetRate,
  recallRate,
  resumedText,
} from "../state/mod.ts";
import { log, printNotices, withProgress } from "../terminal/mod.ts";

/** A pool to serve. */
export interface PoolSource {
  /** The pool's name, which is also the name of its export. */
  readonly name: string;
  /** Paths of components that the user gave, absolute. */
  readonly named?: readonly string[] | undefined;
  /** Makes the pool. Called once it is certain that no process serves it. */
  readonly prepare?: () => Promise<void>;
}

/** The control calls that concern the whole server. */
export interface ServerCalls {
  /**
   * Returns the status of a pool and the server.
   *
   * @param served The pool.
   * @returns The report.
   */
  report(served: ServedPool): ControlCalls["status"]["answer"];
  /**
   * Stops serving a pool.
   *
   * @param served The pool.
   * @param request Whether to stop also while clients are connected.
   */
  stop(
    served: ServedPool,
    request: ControlCalls["stop"]["request"],
  ): Promise<void>;
  /**
   * Called for a bug in virstor.
   *
   * @param error The thrown value.
   */
  panic(error: unknown): void;
}

/** An open pool with its export and its control socket. */
export class ServedPool {
  /** The pool. */
  readonly pool: Pool;
  /** The pool's export. */
  readonly export: NbdExport;
  readonly #stateDirectory: string;
  readonly #control: ControlServer;

  private constructor(
    pool: Pool,
    stateDirectory: string,
    calls: ServerCalls,
  ) {
    this.pool = pool;
    const description = `virstor pool ${pool.name}`;
    this.export = exportOf(pool.volume(), { description });
    this.#stateDirectory = stateDirectory;
    this.#control = new ControlServer(
      logged(pool.name, {
        status: async () => {
          await pool.lookAtHosts();
          return calls.report(this);
        },
        add: (request) => addComponents(stateDirectory, pool, request),
        remove: (request) => removeComponents(stateDirectory, pool, request),
        planRemove: ({ paths }) => Promise.try(() => pool.planRemove(paths)),
        cancelRemove: ({ paths }) => pool.cancelRemove(paths),
        resize: (request) => resizeDisk(pool, request),
        check: () => pool.check(),
        stop: async (request) => {
          await calls.stop(this, request);
          return null;
        },
      }),
      (error) => calls.panic(error),
    );
  }

  /**
   * Opens a pool that no process serves.
   *
   * @param source The pool.
   * @param stateDirectory The state directory.
   * @param options The options of `openPool`.
   * @param calls The calls that concern the whole server.
   * @returns The pool; its control socket does not listen yet.
   * @throws {VirstorError} `busy` if a process serves the pool; the errors of
   *   `openPool`.
   */
  static async open(
    { name, named, prepare }: PoolSource,
    stateDirectory: string,
    options: PoolOptions,
    calls: ServerCalls,
  ): Promise<ServedPool> {
    const running = await callServer(stateDirectory, name, "status", null);
    if (running?.answer.server) {
      const { pid, uri } = running.answer.server;
      throw new VirstorError(
        "busy",
        `Cannot serve pool "${name}": process ${pid} serves it already` +
          (uri === "" ? "" : `, on ${uri}`),
      );
    }
    await prepare?.();
    const keptRate = await recallRate(stateDirectory, name);
    const bytesPerSecond = keptRate ?? SERVED_EVACUATION_RATE;
    let onRemoved = () => {};
    const pool = await withProgress(
      `Opening pool "${name}"`,
      withComponents(
        { stateDirectory, name, named, degraded: options.degraded },
        (located) =>
          openPool(located.paths, {
            ...options,
            ...located.options,
            evacuation: { bytesPerSecond },
            onEvent: ({ kind, message }) => {
              log(kind, message, { pool: name });
              if (kind === "removed") onRemoved();
            },
          }),
      ),
    );
    onRemoved = () => void registerOpenPool(stateDirectory, pool);
    const { evacuation, readOnly } = pool.status();
    if (evacuation === null) await forgetRate(stateDirectory, name);
    else if (!readOnly) {
      const isKept = keptRate !== undefined;
      const message = resumedText(evacuation, bytesPerSecond, isKept);
      log("evacuation", message, { pool: name });
    }
    return new ServedPool(pool, stateDirectory, calls);
  }

  /** The pool's name. */
  get name(): string {
    return this.pool.name;
  }

  /**
   * Opens the control socket, and registers the pool.
   *
   * @throws {VirstorError} `io`, `invalid` if the control socket cannot be
   *   made.
   */
  async listen(): Promise<void> {
    const path = controlSocketPath(this.#stateDirectory, this.name);
    await this.#control.listen(path);
    await registerOpenPool(this.#stateDirectory, this.pool);
    printNotices(this.pool.settings.warnings);
  }

  /**
   * Closes the pool. The control socket still answers calls in flight.
   *
   * @throws {VirstorError} `failed`, `io` if not everything could be made
   *   durable; the pool is closed all the same.
   */
  async close(): Promise<void> {
    // The socket goes first: a process that can lock the pool finds no socket.
    this.#control.retire();
    try {
      await this.pool.close();
    } catch (error) {
      if (error instanceof VirstorError) throw this.#notDurable(error);
      throw error;
    }
    const { state, reason } = this.pool.status();
    if (state === "failed") {
      throw this.#notDurable(new VirstorError("failed", reason));
    }
  }

  #notDurable(cause: VirstorError): VirstorError {
    return new VirstorError(
      cause.code,
      `Stopped pool "${this.name}", but not everything could be made ` +
        `durable: ${messageOf(cause)}; look at the disk below, then run ` +
        `"virstor check"`,
      { cause },
    );
  }

  /** Waits, after `close`, until all control calls are answered. */
  answered(): Promise<void> {
    return this.#control.answered();
  }
}

/** Adds a log line to every call, at level `debug`. */
function logged(name: string, handlers: ControlHandlers): ControlHandlers {
  const entries = Object.entries(handlers).map(([call, handler]) => [
    call,
    (request: never) => {
      log("control", `Asked for "${call}"`, { pool: name });
      return (handler as (request: never) => unknown)(request);
    },
  ]);
  return Object.fromEntries(entries);
}
