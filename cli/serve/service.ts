/**
 * Pools that are served by this process: the NBD server, the control sockets,
 * and what ends them.
 *
 * @module
 */

import { resolve as resolvePath } from "node:path";
import { counted, VirstorError } from "../../errors.ts";
import type { NbdEvent } from "../../nbd/server/export/mod.ts";
import { NbdServer } from "../../nbd/server/mod.ts";
import { trackDescriptors } from "../../nbd/server/stream/mod.ts";
import type { PoolOptions } from "../../pool/mod.ts";
import {
  type Address,
  AllowList,
  type Door,
  Doors,
  inheritDoors,
  isLocal,
  nbdUri,
  openDoor,
  type SocketRights,
} from "../listen/mod.ts";
import type { StatusReport, StopRequest } from "../control/mod.ts";
import {
  EXIT_CODES,
  EXIT_INTERNAL,
  EXIT_OK,
  log,
  obeySignals,
  print,
  printError,
  printInternalError,
  printNotices,
} from "../terminal/mod.ts";
import { ServerMemory } from "./memory.ts";
import { PidFile } from "./pid_file.ts";
import { RunningCommand } from "./run_command.ts";
import { type PoolSource, ServedPool } from "./served_pool.ts";
import type { TlsFiles } from "./tls_files.ts";
import { Denials } from "./denials.ts";
import { exposureNotice } from "./tls_options.ts";

/**
 * How long requests under way and clients that read slowly may hold up the
 * end unless told otherwise, milliseconds.
 */
const GRACE_MS = 10_000;
/** How long listeners that were closed may take to end, milliseconds. */
const DOORS_MS = 1000;
/** Threads for clients beside the first, unless told otherwise. */
const THREADS = 4;

/** Where a server listens, whom it serves, and when it ends. */
export interface Conduct extends SocketRights {
  /** Where to listen, beside what was inherited; may be empty. */
  readonly addresses: readonly Address[];
  /** Who may connect over TCP. */
  readonly allowed: AllowList;
  /** Whether and how clients encrypt; they do not, unless given. */
  readonly tls?: TlsFiles;
  /** Clients at once. */
  readonly maxClients?: number;
  /** Threads for clients beside the first, 0 to 64. */
  readonly threads?: number;
  /** End clients that do nothing for so long, milliseconds. */
  readonly idleMs?: number;
  /** End when the last client has left. */
  readonly exitOnLastClient: boolean;
  /** Where to write the number of the process. */
  readonly pidFile?: string;
  /** How long requests under way may hold up the end, milliseconds. */
  readonly graceMs?: number;
  /** Run this in the shell, and end with it. */
  readonly command?: string;
}

/** What is to be served, and where. */
export interface ServiceOptions {
  /** The state directory. */
  readonly stateDirectory: string;
  /** The pools, at least one; the first is the default export. */
  readonly pools: readonly PoolSource[];
  /** How to open the pools. */
  readonly poolOptions: PoolOptions;
  /** Where to listen, and when to end. */
  readonly conduct: Conduct;
  /**
   * Called when clients can connect, after the URIs were printed.
   *
   * @param report How the first pool does; its server is there.
   */
  onReady?(report: StatusReport): void;
}

/**
 * What a server does that was told only where to listen.
 *
 * @param address Where.
 * @returns Its conduct.
 */
export function plainConduct(address: Address): Conduct {
  return {
    addresses: [address],
    allowed: new AllowList([]),
    exitOnLastClient: false,
  };
}

/**
 * Serves pools until a signal, `virstor stop` or another reason ends it.
 *
 * @param options What and where.
 * @returns The exit code; not 0 if not everything of a pool could be made
 *   durable, which was told then.
 * @throws {VirstorError} If a pool cannot be opened, or not be served.
 */
export async function servePools(options: ServiceOptions): Promise<number> {
  const service = new Service(options);
  try {
    await service.start();
  } catch (error) {
    await service.stop();
    throw error;
  }
  return await service.ended();
}

/** Open pools, with everything that serves them. */
class Service {
  readonly #options: ServiceOptions;
  readonly #nbd: NbdServer;
  readonly #pools: ServedPool[] = [];
  /** Those that nobody has stopped yet. */
  readonly #live = new Set<ServedPool>();
  /** Those that were closed, and not all of them is durable; in this order. */
  readonly #failures = new Map<ServedPool, VirstorError>();
  readonly #denials = new Denials();
  readonly #memory = new ServerMemory();
  readonly #end = Promise.withResolvers<number>();
  readonly #startedAt = new Date().toISOString();
  #addresses: Address[] = [];
  #hasServed = false;
  #doors: Doors | undefined;
  #command: RunningCommand | undefined;
  #privateDirectory: string | undefined;
  #pidFile: PidFile | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: ServiceOptions) {
    const { maxClients, idleMs, tls, threads = THREADS } = options.conduct;
    this.#options = options;
    this.#nbd = new NbdServer({
      // Those that were stopped stay where they are, and the server refuses
      // them: an empty name must never lead to another pool than before.
      exports: () => this.#pools.map(({ served }) => served),
      log: (event) => this.#onEvent(event),
      threads,
      ...tls !== undefined && { tls },
      limits: {
        ...maxClients !== undefined && { clients: maxClients },
        ...idleMs !== undefined && { idleMs },
      },
    });
    this.#nbd.finished.catch((error) => this.#panic(error));
  }

  /**
   * Waits until it has stopped, and everybody who asked was answered.
   *
   * @returns The exit code.
   */
  async ended(): Promise<number> {
    try {
      return await this.#end.promise;
    } finally {
      await Promise.all(this.#pools.map((served) => served.answered()));
    }
  }

  /** Opens the pools and the doors, and says so. */
  async start(): Promise<void> {
    const { stateDirectory, pools, poolOptions, conduct } = this.#options;
    const calls = {
      report: (served: ServedPool) => this.#report(served),
      stop: (served: ServedPool, request: StopRequest) =>
        this.#stopOnRequest(served, request),
      panic: (error: unknown) => this.#panic(error),
    };
    for (const source of pools) {
      const served = await ServedPool.open(
        source,
        stateDirectory,
        poolOptions,
        calls,
      );
      this.#pools.push(served);
      this.#live.add(served);
    }
    const doors = await this.#openDoors();
    for (const served of this.#pools) await served.listen();
    obeySignals({
      begin: (signal) =>
        void this.#stopAndEnd(`Got ${signal}; once more ends it at once`),
      isEnding: () => this.#stopping !== undefined,
    });
    this.#nbd.serve(doors.listener);
    const exposure = exposureNotice(conduct.tls);
    if (
      exposure !== undefined &&
      this.#addresses.some((address) => !isLocal(address))
    ) printNotices([exposure]);
    if (conduct.pidFile !== undefined) {
      this.#pidFile = new PidFile(conduct.pidFile);
    }
    if (conduct.command !== undefined) return this.#runCommand(conduct.command);
    const uris = this.#pools.flatMap((served) => this.#urisOf(served));
    if (uris.length > 0) print(uris.join("\n"));
    const [first] = this.#pools;
    if (first !== undefined) this.#options.onReady?.(this.#report(first));
  }

  /** Closes everything; the control sockets answer what they were asked. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #openDoors(): Promise<Doors> {
    const { conduct } = this.#options;
    const { addresses, allowed, command } = conduct;
    const opened: Door[] = await inheritDoors();
    try {
      for (const address of addresses) {
        opened.push(await openDoor(address, conduct));
      }
      if (opened.length === 0 && command !== undefined) {
        // Nobody else has to find it.
        this.#privateDirectory = await Deno.makeTempDir({ prefix: "virstor-" });
        const path = `${this.#privateDirectory}/nbd.sock`;
        opened.push(await openDoor({ path }));
      }
    } catch (error) {
      for (const { listener } of opened) listener.close();
      throw error;
    }
    this.#addresses = opened.flatMap(({ address }) => address ?? []);
    // What was inherited says nothing of its sockets.
    const listeners = opened.map(({ listener }) =>
      listener.addr === undefined ? listener : trackDescriptors(listener)
    );
    this.#doors = new Doors(listeners, {
      allowed,
      onDenied: (address) => this.#denials.count(address),
    });
    return this.#doors;
  }

  /** Runs what clients are wanted for, and ends with it. */
  #runCommand(words: string): void {
    const [first] = this.#pools;
    const [uri = ""] = first === undefined ? [] : this.#urisOf(first);
    const socket = this.#addresses.find((address) => "path" in address);
    this.#command = new RunningCommand(words, {
      uri,
      socket: socket !== undefined && "path" in socket
        ? resolvePath(socket.path)
        : "",
      exportname: first?.name ?? "",
    });
    void this.#command.ended.then((code) => {
      if (this.#stopping !== undefined) return;
      void this.#stopAndEnd(`The command ended with exit code ${code}`);
    });
  }

  async #stop(): Promise<void> {
    const { graceMs = GRACE_MS } = this.#options.conduct;
    this.#doors?.close();
    this.#memory.stop();
    // Writes that wait for space would be waited for. Everything else that is
    // under way is finished, and new requests are refused, before any pool is
    // closed: no request finds its pool closed.
    for (const { pool } of this.#pools) pool.endWaiting();
    await this.#nbd.close({ graceMs });
    await Promise.all(this.#pools.map((served) => this.#closePool(served)));
    await this.#doorsEnded();
    this.#pidFile?.remove();
    if (this.#privateDirectory !== undefined) {
      await Deno.remove(this.#privateDirectory, { recursive: true });
    }
  }

  /** Closes a pool, and says so if not everything could be made durable. */
  async #closePool(served: ServedPool): Promise<void> {
    try {
      await served.close();
    } catch (error) {
      if (!(error instanceof VirstorError)) throw error;
      if (this.#failures.has(served)) return;
      this.#failures.set(served, error);
      printError(`virstor: ${error.message}`);
    }
  }

  async #doorsEnded(): Promise<void> {
    const limit = Promise.withResolvers<void>();
    const timer = setTimeout(limit.resolve, DOORS_MS);
    await Promise.race([this.#doors?.ended, limit.promise]);
    clearTimeout(timer);
  }

  /** Stops, and lets the process end. */
  async #stopAndEnd(reason: string): Promise<void> {
    log("stopping", reason);
    try {
      await this.stop();
      const code = await this.#command?.end() ?? EXIT_OK;
      // It was told already.
      const [failure] = this.#failures.values();
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
    const { name } = served;
    const count = this.#clientsOf(name).length;
    if (count > 0 && !force) {
      throw new VirstorError(
        "busy",
        `Cannot stop pool "${name}": ` +
          counted(count, "client is", "clients are") +
          " connected; disconnect, or use -f",
      );
    }
    this.#live.delete(served);
    if (this.#live.size > 0) await this.#stopOne(served);
    else {
      // That waits until this request is answered.
      void this.#stopAndEnd("Asked to stop");
      await this.stop();
    }
    const failure = this.#failures.get(served);
    if (failure !== undefined) throw failure;
  }

  /** Stops one pool; the others go on. */
  async #stopOne(served: ServedPool): Promise<void> {
    const { graceMs = GRACE_MS } = this.#options.conduct;
    const { name } = served;
    log("stopping", "Asked to stop", { pool: name });
    // In this order, as all of them are stopped.
    served.pool.endWaiting();
    await this.#nbd.dismiss(name, { graceMs });
    await this.#closePool(served);
  }

  #clientsOf(name: string): { id: number }[] {
    return this.#nbd.clients.filter(({ exportName }) => exportName === name);
  }

  #onEvent({ kind, client, peer, message }: NbdEvent): void {
    const found = this.#nbd.clients.find(({ id }) => id === client);
    const pool = found?.exportName;
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
    if (!this.#options.conduct.exitOnLastClient) return;
    const isLast = this.#nbd.clients.every(({ id }) => id === client);
    // Before the first one came there was nobody who could be the last.
    const hasServed = this.#hasServed ||= this.#nbd.clients.some((each) =>
      each.id === client && each.exportName !== undefined
    );
    if (isLast && hasServed && this.#stopping === undefined) {
      void this.#stopAndEnd("The last client has left");
    }
  }

  /** A mistake in virstor itself: what is in memory cannot be trusted. */
  #panic(error: unknown): never {
    printInternalError(error);
    Deno.exit(EXIT_INTERNAL);
  }

  #urisOf({ name }: ServedPool): string[] {
    const encrypted = this.#options.conduct.tls?.required ?? false;
    return this.#addresses.map((address) =>
      nbdUri(address, name, { encrypted })
    );
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
          exportName === undefined || exportName === served.name
        ),
        counters: {
          ...counters,
          connectionsRefused: counters.connectionsRefused +
            this.#denials.total,
        },
      },
    };
  }
}
