/**
 * One pool of a server, with its exports and its control socket.
 *
 * @module
 */

import type { BlockDevice } from "../../device/block/mod.ts";
import { nameOf, VirstorError } from "../../errors.ts";
import type { NbdExport } from "../../nbd/mod.ts";
import { openPool, type Pool, type PoolOptions } from "../../pool/mod.ts";
import {
  addComponents,
  growComponent,
  registerOpenPool,
  removeComponents,
  resizeDisk,
  SERVED_EVACUATION_RATE,
  type VolumeHandlers,
  volumeHandlers,
} from "../calls/mod.ts";
import {
  callServer,
  type ControlCalls,
  type EventRecord,
  type RollbackRequest,
} from "../control/mod.ts";
import { notDurableError, servedError, usedError } from "./pool_errors.ts";
import { ControlServer } from "./control_server.ts";
import { loggedCalls, runHandler } from "./logged_calls.ts";
import { type ProcessSettings, ServedSettings } from "./live_settings.ts";
import { lastCount } from "./leaving_clients.ts";
import { withComponents } from "../registry/mod.ts";
import { exportsOf, type GoneExport, goneFrom } from "./volume_exports.ts";
import { changeText, isVolumeChange, type VolumeChange } from "./volume_log.ts";
import {
  controlSocketPath,
  forgetRate,
  recallRate,
  resumedText,
} from "../state/mod.ts";
import { type ExtendSettings, NO_EXTENSION } from "./extend_option.ts";
import type { PoolSource } from "./pool_source.ts";
import { ServedName } from "./served_name.ts";
import { SpaceWatch } from "./space_watch.ts";
import { PoolEvents } from "./pool_events.ts";
import { printNotices, withProgress } from "../terminal/mod.ts";

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
   * Counts the clients of a device.
   *
   * @param device The device of an export.
   */
  countClients(device: BlockDevice): number;
  /**
   * Receives each event of a pool at once.
   *
   * @param event The event.
   */
  onEvent(event: EventRecord): void;
  /**
   * Refuses a name that a pool cannot get in this server.
   *
   * @param served The pool.
   * @param to Its new name.
   * @throws {VirstorError} `exists`.
   */
  admitName(served: ServedPool, to: string, meant?: string): void;
  /**
   * Ends the clients of devices that are no longer served.
   *
   * @param gone The former exports.
   */
  retire(gone: readonly GoneExport[]): Promise<void>;
  /** The settings of the whole process. */
  readonly settings: ProcessSettings;
  /** When pools are extended at first; never if absent. */
  readonly extend?: ExtendSettings | undefined;
  /**
   * Called for a bug in virstor.
   *
   * @param error The thrown value.
   */
  panic(error: unknown): void;
}

/** An open pool with its exports and its control socket. */
export class ServedPool {
  /** The pool. */
  readonly pool: Pool;
  /** What happens to it. */
  readonly events: PoolEvents;
  /** Carries out commands. */
  readonly control: ControlServer;
  readonly #calls: ServerCalls;
  readonly #watch: SpaceWatch;
  #exports: readonly NbdExport[];
  readonly #name: ServedName;
  readonly #settings: ServedSettings;
  /** The change of volumes that runs, or ran last. */
  #changing: Promise<unknown> = Promise.resolve();
  readonly #stateDirectory: string;

  private constructor(
    pool: Pool,
    events: PoolEvents,
    stateDirectory: string,
    calls: ServerCalls,
    evacuationRate: number,
  ) {
    this.pool = pool;
    this.events = events;
    this.#watch = new SpaceWatch(pool, events, stateDirectory);
    this.#settings = new ServedSettings(
      pool,
      stateDirectory,
      calls.settings,
      evacuationRate,
      this.#watch,
    );
    this.#calls = calls;
    this.#exports = exportsOf(pool);
    this.#stateDirectory = stateDirectory;
    this.control = new ControlServer(
      loggedCalls(pool, {
        ...this.#volumeHandlers(),
        status: async () => {
          await pool.lookAtHosts();
          return calls.report(this);
        },
        add: (request) => addComponents(stateDirectory, pool, request),
        remove: (request) =>
          removeComponents(stateDirectory, pool, {
            bytesPerSecond: this.#settings.evacuationRate,
            ...request,
          }),
        planRemove: ({ paths }) => Promise.try(() => pool.planRemove(paths)),
        cancelRemove: ({ paths }) => pool.cancelRemove(paths),
        grow: (request) => growComponent(stateDirectory, pool, request),
        resize: (request) => resizeDisk(pool, request),
        set: ({ settings }) => this.#settings.set(settings),
        check: () => pool.check(),
        renamePool: (request) => this.#rename(request),
        stop: async (request) => {
          await calls.stop(this, request);
          return null;
        },
      }),
      (error) => calls.panic(error),
      events.history,
    );
    this.#name = new ServedName({
      ...{ pool, stateDirectory, events, control: this.control },
      onRenamed: () => this.#updateExports(),
    });
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
      throw servedError(name, running.answer.server);
    }
    await prepare?.();
    const keptRate = await recallRate(stateDirectory, name);
    const rate = keptRate ?? SERVED_EVACUATION_RATE;
    const events = new PoolEvents(name, (event) => calls.onEvent(event));
    let onChanged = () => {};
    const pool = await withProgress(
      `Opening pool "${name}"`,
      withComponents(
        { stateDirectory, name, named, degraded: options.degraded },
        (located) =>
          openPool(located.paths, {
            ...options,
            ...located.options,
            evacuation: { bytesPerSecond: rate },
            onEvent: (event) => {
              events.emit(event);
              const { kind } = event;
              if (kind === "removed" || kind === "late-change") onChanged();
            },
          }),
      ),
    );
    const served = new ServedPool(pool, events, stateDirectory, calls, rate);
    onChanged = () => void served.#changedBeside();
    const { evacuation, readOnly } = pool.status();
    if (evacuation === null) await forgetRate(stateDirectory, name);
    else if (!readOnly) {
      const isKept = keptRate !== undefined;
      const message = resumedText(evacuation, rate, isKept);
      const paths = evacuation.components;
      events.emit({ kind: "evacuation", message, paths });
    }
    return served;
  }

  /** The pool's exports; the first is that of its first volume. */
  get exports(): readonly NbdExport[] {
    return this.#exports;
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
    this.#watch.begin(this.#calls.extend ?? NO_EXTENSION);
    const path = controlSocketPath(this.#stateDirectory, this.name);
    await this.control.listen(path);
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
    this.#watch.end();
    // The socket goes first: a process that can lock the pool finds no socket.
    this.control.retire();
    try {
      await this.pool.close();
      await this.#watch.settled();
      const { state, reason } = this.pool.status();
      if (state === "failed") throw new VirstorError("failed", reason);
    } catch (error) {
      if (!(error instanceof VirstorError)) throw error;
      const failure = notDurableError(this.name, error);
      const { message } = failure;
      if (!this.events.history.isEnded) {
        this.events.note({ kind: "failed", message, reason: error.message });
      }
      throw failure;
    } finally {
      this.events.history.end();
    }
  }

  /** The names that the pool had since it is served. */
  get formerNames(): readonly string[] {
    return this.#name.former;
  }

  /** Renames the pool. Changes of volumes wait. */
  async #rename(
    { from: meant, to }: ControlCalls["renamePool"]["request"],
  ): Promise<null> {
    const renamed = this.#changing.then(async () => {
      this.#calls.admitName(this, to, meant);
      await this.#name.rename(to);
    });
    this.#changing = renamed.catch(() => {});
    await renamed;
    return null;
  }

  /** Follows a change that no call has waited for. */
  async #changedBeside(): Promise<void> {
    const gone = this.#updateExports();
    const followed = this.#changing.then(() => this.#name.follow());
    this.#changing = followed;
    await followed;
    await this.#calls.retire(gone);
    await registerOpenPool(this.#stateDirectory, this.pool);
  }

  /** The calls that concern volumes, with the exports kept up to date. */
  #volumeHandlers(): VolumeHandlers {
    const handlers = volumeHandlers(this.pool);
    const entries = Object.entries(handlers).map(([call, handler]) => [
      call,
      (request: never) =>
        isVolumeChange(call)
          ? this.#change(call, handlers[call], request)
          : runHandler(handler, request),
    ]);
    return Object.fromEntries(entries);
  }

  /**
   * Changes volumes, and then the exports. One change runs at a time: while a
   * volume is rolled back or a snapshot is removed, the exports stay as they
   * were. Flattening changes no export, and takes long.
   */
  async #change(
    call: VolumeChange,
    handler: VolumeHandlers[VolumeChange],
    request: never,
  ): Promise<unknown> {
    const gone: GoneExport[] = [];
    const say = () => {
      const message = changeText(this.name, call, request);
      this.events.emit({ kind: "volumes", message });
    };
    if (call === "flattenVolume") {
      const answer = await runHandler(handler, request);
      say();
      return answer;
    }
    let answer: Promise<unknown> = Promise.resolve();
    const done = this.#changing.then(async () => {
      if (call === "rollback") await this.#refuseWhileUsed(request);
      const changed = Promise.withResolvers<void>();
      answer = runHandler(handler, request, changed.resolve);
      try {
        // What the change has left to do is not waited for here.
        await Promise.race([changed.promise, answer]);
        say();
      } finally {
        gone.push(...this.#updateExports());
      }
    });
    this.#changing = done.catch(() => {});
    try {
      await done;
    } finally {
      await this.#calls.retire(gone);
      await registerOpenPool(this.#stateDirectory, this.pool);
    }
    return await answer;
  }

  async #refuseWhileUsed(request: RollbackRequest): Promise<void> {
    const { volume, snapshot, force } = request;
    if (force || !this.pool.view.hasVolumes) return;
    const device = this.pool.volume(volume === "" ? this.name : volume);
    const count = await lastCount(() => this.#calls.countClients(device));
    if (count === 0) return;
    throw usedError(nameOf(this.name, volume, snapshot), count);
  }

  /** Returns the exports whose devices are exported no longer. */
  #updateExports(): GoneExport[] {
    const before = this.#exports;
    const now = exportsOf(this.pool);
    // A pool whose first volume could not be rolled back keeps the name: it
    // must not lead to another volume.
    const first = now.some(({ name }) => name === this.name)
      ? []
      : before.filter(({ name }) => name === this.name);
    this.#exports = [...first, ...now];
    return goneFrom(before, now, this.pool);
  }
}
