/**
 * Serves pools in this process: the NBD server, the control sockets, and the
 * end of both.
 *
 * @module
 */

import { messageOf } from "../../errors.ts";
import {
  DEFAULT_THREADS,
  type NbdClientInfo,
  type NbdEvent,
  NbdServer,
} from "../../nbd/mod.ts";
import type { PoolOptions } from "../../pool/mod.ts";
import type { StatusReport, StopRequest } from "../control/mod.ts";
import type { HttpServer } from "../http/mod.ts";
import {
  EXIT_CODES,
  EXIT_INTERNAL,
  EXIT_OK,
  log,
  print,
  printInternalError,
  printNotices,
} from "../terminal/mod.ts";
import { handleSignals } from "../signals/mod.ts";
import { Entrance } from "./entrance.ts";
import { EventHooks } from "./event_hooks.ts";
import type { FigureSources } from "./figures.ts";
import { lastCount } from "./leaving_clients.ts";
import { ProcessSettings } from "./live_settings.ts";
import { ServerMemory } from "./memory.ts";
import { serveMetrics } from "./metrics_server.ts";
import { PageServer } from "./page_server.ts";
import { PidFile } from "./pid_file.ts";
import { connectedError } from "./pool_errors.ts";
import { RunningCommand } from "./run_command.ts";
import type { PoolSource } from "./pool_source.ts";
import type { ServedPool, ServerCalls } from "./served_pool.ts";
import { ServedPools } from "./served_pools.ts";
import type { ServerSettings } from "./server_settings.ts";
import { ServiceManager } from "./service_manager.ts";
import { stateLine } from "./state_line.ts";
import { exposureNotice } from "./tls_options.ts";
import { retireAll } from "./volume_exports.ts";
import { StartWait } from "./wait_for_components.ts";

/**
 * By default, how long requests in flight and slow clients may hold up the end,
 * milliseconds.
 */
const GRACE_MS = 10_000;

/** The pools to serve, and how. */
export interface ServiceOptions {
  /** The state directory. */
  readonly stateDirectory: string;
  /** The pools, at least one; the first is the default export. */
  readonly pools: readonly PoolSource[];
  /** The options of `openPool`, for each pool. */
  readonly poolOptions: PoolOptions;
  /** The server's settings. */
  readonly settings: ServerSettings;
  /**
   * Called when clients can connect, after the URIs were printed.
   *
   * @param report The status of the first pool and the server.
   */
  onReady?(report: StatusReport): void;
}

/**
 * Serves pools until a signal, `virstor stop` or another reason ends it.
 *
 * @param options The pools and the settings.
 * @returns The exit code; not 0 if not everything of a pool could be made
 *   durable, which was printed then.
 * @throws {VirstorError} If a pool cannot be opened or served.
 */
export async function servePools(options: ServiceOptions): Promise<number> {
  const service = new Service(options);
  try {
    await service.start();
  } catch (error) {
    await service.stop();
    await service.endHooks(0);
    if (!service.isStartCancelled) throw error;
    log("stopping", messageOf(error));
    return EXIT_OK;
  }
  return await service.ended();
}

/** Open pools, with everything that serves them. */
class Service {
  readonly #options: ServiceOptions;
  readonly #nbd: NbdServer;
  readonly #settings: ProcessSettings;
  readonly #pools = new ServedPools();
  readonly #hooks: EventHooks;
  readonly #memory = new ServerMemory();
  readonly #end = Promise.withResolvers<number>();
  readonly #startedAt = new Date().toISOString();
  #hasServed = false;
  #entrance: Entrance | undefined;
  #command: RunningCommand | undefined;
  #pidFile: PidFile | undefined;
  #metrics: HttpServer | undefined;
  #page: PageServer | undefined;
  #stopping: Promise<void> | undefined;
  readonly #wait: StartWait;
  /** What the server does beside serving. */
  #phase = "Opening pools";
  readonly #manager = ServiceManager.find(() =>
    this.#wait.phase || this.#phase || stateLine({
      pools: this.#pools.live.map(({ pool }) => pool.status()),
      clients: this.#nbd.clients.length,
    })
  );

  constructor(options: ServiceOptions) {
    const { maxClients, idleMs, tls, threads = DEFAULT_THREADS } =
      options.settings;
    this.#options = options;
    this.#wait = new StartWait(options, () => this.#manager?.changed());
    this.#hooks = new EventHooks(options.settings.hooks ?? []);
    this.#nbd = new NbdServer({
      // Stopped pools keep their places, and the server refuses them: an empty
      // name must never lead to another pool than before.
      exports: () => this.#pools.exports,
      log: (event) => this.#onEvent(event),
      threads,
      ...tls !== undefined && { tls },
      limits: {
        ...maxClients !== undefined && { clients: maxClients },
        ...idleMs !== undefined && { idleMs },
      },
    });
    const { graceMs = GRACE_MS } = options.settings;
    this.#settings = new ProcessSettings(this.#nbd, graceMs);
    this.#nbd.finished.catch((error) => this.#panic(error));
  }

  /**
   * Waits until the server has stopped and all control calls are answered.
   *
   * @returns The exit code.
   */
  async ended(): Promise<number> {
    try {
      return await this.#end.promise;
    } finally {
      await Promise.all(
        this.#pools.all.map((served) => served.control.answered()),
      );
      this.#manager?.close();
    }
  }

  /** Whether a signal came before there was anything to serve or to run. */
  get isStartCancelled(): boolean {
    const { command } = this.#options.settings;
    return this.#wait.isEnded && command === undefined;
  }

  /** Opens the pools and the listeners, and prints the URIs. */
  async start(): Promise<void> {
    const { stateDirectory, pools, poolOptions, settings } = this.#options;
    const calls: ServerCalls = {
      report: (served) => this.#report(served),
      stop: (served, request) => this.#stopOnRequest(served, request),
      onEvent: (event) => this.#hooks.add(event),
      admitName: this.#pools.admitName.bind(this.#pools),
      countClients: (device) => this.#nbd.countClients(device),
      retire: (gone) => retireAll(this.#nbd, gone, this.#graceMs),
      settings: this.#settings,
      extend: settings.extend,
      panic: (error) => this.#panic(error),
    };
    this.#manager?.starting();
    const wait = this.#wait;
    await this.#pools.open(pools, stateDirectory, poolOptions, calls, wait);
    const entrance = this.#entrance = await Entrance.open(settings);
    await this.#showFigures({
      nbd: this.#nbd,
      pools: this.#pools,
      deniedCount: () => entrance.deniedCount,
    });
    for (const served of this.#pools.all) await served.listen();
    wait.done();
    handleSignals({
      begin: (signal) =>
        void this.#stopAndEnd(`Got ${signal}; a second one ends it at once`),
      isEnding: () => this.#stopping !== undefined,
    });
    this.#nbd.serve(entrance.listener);
    const exposure = exposureNotice(settings.tls);
    if (exposure !== undefined && entrance.isExposed) printNotices([exposure]);
    if (settings.pidFile !== undefined) {
      this.#pidFile = new PidFile(settings.pidFile);
    }
    this.#phase = "";
    this.#manager?.ready();
    if (settings.command !== undefined) {
      return this.#runCommand(settings.command);
    }
    const uris = this.#pools.all.flatMap((served) => this.#urisOf(served));
    if (uris.length > 0) print(uris.join("\n"));
    const [first] = this.#pools.all;
    if (first !== undefined) this.#options.onReady?.(this.#report(first));
  }

  /** Serves the metrics and the page, if the settings ask for them. */
  async #showFigures(sources: FigureSources): Promise<void> {
    const { settings } = this.#options;
    const { metrics, page } = settings;
    if (metrics !== undefined) {
      this.#metrics = await serveMetrics(metrics, settings, sources);
    }
    if (page === undefined) return;
    const { stateDirectory } = this.#options;
    const more = { stateDirectory, startedAt: this.#startedAt };
    const options = { ...settings, ...more, address: page };
    this.#page = await PageServer.open(sources, options);
  }

  /** Closes everything. The control sockets still answer calls in flight. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /**
   * Waits for the programs that run for events, and ends those that take longer.
   *
   * @param graceMs How long to wait, milliseconds.
   */
  endHooks(graceMs: number): Promise<void> {
    return this.#hooks.end(graceMs);
  }

  /** Runs the command of `--run`, and ends the server with it. */
  #runCommand(words: string): void {
    const [first] = this.#pools.all;
    this.#command = new RunningCommand(words, {
      uri: first === undefined ? "" : this.#urisOf(first)[0] ?? "",
      socket: this.#entrance?.socketPath ?? "",
      exportname: first?.name ?? "",
    });
    void this.#command.ended.then((code) => {
      if (this.#stopping !== undefined) return;
      void this.#stopAndEnd(`The command ended with exit code ${code}`);
    });
  }

  async #stop(): Promise<void> {
    const graceMs = this.#graceMs;
    this.#phase = "Stopping";
    this.#manager?.stopping();
    this.#entrance?.close();
    this.#metrics?.close();
    this.#page?.close();
    this.#memory.stop();
    // Writes that wait for space would hold the end up. The server finishes all
    // other requests in flight, and refuses new ones, before it closes a pool:
    // no request finds its pool closed.
    for (const { pool } of this.#pools.all) pool.endWaiting();
    await this.#nbd.close({ graceMs });
    await this.#pools.closeAll();
    await this.#entrance?.ended();
    this.#pidFile?.remove();
  }

  /** Stops the server, and resolves the promise of `ended`. */
  async #stopAndEnd(reason: string): Promise<void> {
    log("stopping", reason);
    for (const { events } of this.#pools.all) {
      if (events.history.isEnded) continue;
      events.note({ kind: "stopping", message: reason });
    }
    try {
      await this.stop();
      const code = await this.#command?.end() ?? EXIT_OK;
      await this.endHooks(this.#graceMs);
      // The failure was printed when its pool was closed.
      const { firstFailure: failure } = this.#pools;
      this.#end.resolve(
        failure === undefined ? code : EXIT_CODES[failure.code],
      );
    } catch (error) {
      this.#end.reject(error);
    }
  }

  async #stopOnRequest(
    served: ServedPool,
    { force }: StopRequest,
  ): Promise<void> {
    const count = () => this.#clientsOf(served).length;
    const left = force ? 0 : await lastCount(count);
    if (left > 0) throw connectedError(served.name, left);
    if (this.#pools.retire(served)) await this.#stopOne(served);
    else {
      // The process ends only after this call is answered.
      void this.#stopAndEnd("Asked to stop");
      await this.stop();
    }
    const failure = this.#pools.failureOf(served);
    if (failure !== undefined) throw failure;
  }

  /** Stops one pool; the others stay served. */
  async #stopOne(served: ServedPool): Promise<void> {
    const { exports, events, name: pool } = served;
    const how = { graceMs: this.#graceMs, reason: `pool "${pool}" stops` };
    events.emit({ kind: "stopping", message: "Asked to stop" });
    // The same order as when the whole server stops.
    served.pool.endWaiting();
    await Promise.all(exports.flatMap(({ name, device }) => [
      this.#nbd.dismiss(name, how),
      this.#nbd.retire(device, how),
    ]));
    await this.#pools.close(served);
  }

  get #graceMs(): number {
    return this.#settings.graceMs;
  }

  #clientsOf(served: ServedPool): NbdClientInfo[] {
    return this.#nbd.clients.filter(({ exportName }) =>
      exportName !== undefined && this.#pools.ownerOf(exportName) === served
    );
  }

  #onEvent({ kind, client, peer, message }: NbdEvent): void {
    const found = this.#nbd.clients.find(({ id }) => id === client);
    const pool = this.#pools.ownerOf(found?.exportName ?? "")?.name;
    log(kind, message, {
      ...pool !== undefined && { pool },
      ...client !== 0 && { client, peer },
    });
    if (["disconnected", "left", "refused"].includes(kind)) {
      this.#onLeft(client);
    }
  }

  #onLeft(client: number): void {
    this.#memory.clientLeft();
    if (!this.#options.settings.exitOnLastClient) return;
    const isLast = this.#nbd.clients.every(({ id }) => id === client);
    // A client that never used an export does not count as the last client.
    const hasServed = this.#hasServed ||= this.#nbd.clients.some((each) =>
      each.id === client && each.exportName !== undefined
    );
    if (isLast && hasServed && this.#stopping === undefined) {
      void this.#stopAndEnd("The last client has left");
    }
  }

  /** Ends the process after a bug: the state in memory cannot be trusted. */
  #panic(error: unknown): never {
    printInternalError(error);
    Deno.exit(EXIT_INTERNAL);
  }

  #urisOf({ name }: ServedPool): string[] {
    return this.#entrance?.urisOf(name) ?? [];
  }

  #report(served: ServedPool): StatusReport {
    const uris = this.#urisOf(served);
    const { counters } = this.#nbd;
    return {
      pool: served.pool.status(),
      server: {
        pid: Deno.pid,
        uri: uris[0] ?? "",
        uris,
        startedAt: this.#startedAt,
        clients: this.#nbd.clients.filter(({ exportName }) =>
          exportName === undefined ||
          this.#pools.ownerOf(exportName) === served
        ),
        counters: {
          ...counters,
          connectionsRefused: counters.connectionsRefused +
            (this.#entrance?.deniedCount ?? 0),
        },
      },
    };
  }
}
