/**
 * One pool of a server: open, with its control socket.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";
import type { NbdExport } from "../../nbd/server/export/mod.ts";
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

/** A pool that is to be served. */
export interface PoolSource {
  /** Its name, which is the export's name too. */
  readonly name: string;
  /** Paths of components that the user gave, absolute. */
  readonly named?: readonly string[] | undefined;
  /** Makes the pool. Called when it is known that it is not served yet. */
  readonly prepare?: () => Promise<void>;
}

/** What the server as a whole has to do with the control of one pool. */
export interface ServerCalls {
  /**
   * Tells how the pool and the server do.
   *
   * @param served The pool.
   * @returns The report.
   */
  report(served: ServedPool): ControlCalls["status"]["answer"];
  /**
   * Ends the serving of a pool.
   *
   * @param served The pool.
   * @param request How.
   */
  stop(
    served: ServedPool,
    request: ControlCalls["stop"]["request"],
  ): Promise<void>;
  /**
   * Told of a mistake in virstor itself.
   *
   * @param error What was thrown.
   */
  panic(error: unknown): void;
}

/** An open pool, and what its control socket answers. */
export class ServedPool {
  /** The pool. */
  readonly pool: Pool;
  /** What clients use. */
  readonly served: NbdExport;
  readonly #stateDirectory: string;
  readonly #control: ControlServer;

  private constructor(
    pool: Pool,
    stateDirectory: string,
    calls: ServerCalls,
  ) {
    this.pool = pool;
    const volume = pool.volume();
    this.served = {
      name: volume.name,
      description: `virstor pool ${pool.name}`,
      device: volume,
      contexts: volume.contexts,
      rotational: volume.rotational,
      readOnly: volume.capabilities.readOnly,
    };
    this.#stateDirectory = stateDirectory;
    this.#control = new ControlServer(
      told(pool.name, {
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
   * Opens a pool that nobody serves.
   *
   * @param source The pool.
   * @param stateDirectory The state directory.
   * @param options How to open it.
   * @param calls The server as a whole.
   * @returns The pool; its control socket does not listen yet.
   * @throws {VirstorError} `busy` if it is served already; as `openPool`.
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
   * Lets commands find the pool.
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
   * Closes the pool; the control socket answers what it was asked.
   *
   * @throws {VirstorError} `failed`, `io` if not all could be made durable; the
   *   pool is closed all the same.
   */
  async close(): Promise<void> {
    // The socket goes first: a process that finds the pool unlocked finds none.
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

  /** Waits, when it is closed, until everybody who asked was answered. */
  answered(): Promise<void> {
    return this.#control.answered();
  }
}

/** Makes every call leave a line in a log that tells everything. */
function told(name: string, handlers: ControlHandlers): ControlHandlers {
  const entries = Object.entries(handlers).map(([call, handler]) => [
    call,
    (request: never) => {
      log("control", `Asked for "${call}"`, { pool: name });
      return (handler as (request: never) => unknown)(request);
    },
  ]);
  return Object.fromEntries(entries);
}
