/**
 * A pool that is served: its NBD server, its control socket, and what ends
 * them.
 *
 * @module
 */

import { VirstorError } from "../errors.ts";
import { NbdServer } from "../nbd/mod.ts";
import { openPool, type Pool, type PoolOptions } from "../pool/mod.ts";
import { type Address, isLocal, nbdUri } from "./address.ts";
import { callServer } from "./control_client.ts";
import {
  addComponents,
  registerOpenPool,
  removeComponents,
  resizeDisk,
  SERVED_EVACUATION_RATE,
} from "./change_pool.ts";
import type { StatusReport, StopRequest } from "./control_protocol.ts";
import { ControlServer } from "./control_server.ts";
import { EXIT_INTERNAL, EXIT_OK } from "./exit_code.ts";
import { openListener } from "./listener.ts";
import {
  log,
  print,
  printError,
  printInternalError,
  printNotices,
  withProgress,
} from "./output.ts";
import { obeySignals } from "./signals.ts";
import { controlSocketPath } from "./state_directory.ts";

/**
 * How long requests under way and clients that read slowly may hold up the
 * end, milliseconds.
 */
const GRACE_MS = 10_000;

/** What is to be served, and where. */
export interface ServiceOptions {
  /** The state directory. */
  readonly stateDirectory: string;
  /** The pool's name, which is the export's name too. */
  readonly name: string;
  /** Where to listen. */
  readonly address: Address;
  /** How to open the pool. */
  readonly poolOptions: PoolOptions;
  /**
   * Finds the components, or makes them. Called when it is known that the
   * pool is not served yet.
   *
   * @returns Their paths.
   */
  findComponents(): Promise<readonly string[]>;
  /**
   * Called when clients can connect, after the URI was printed.
   *
   * @param report How the pool does; its server is there.
   */
  onReady?(report: StatusReport): void;
}

/**
 * Serves a pool until a signal or `virstor stop` ends it.
 *
 * @param options What and where.
 * @returns The exit code.
 * @throws {VirstorError} If the pool cannot be opened, or not be served; also
 *   if it could not be closed properly.
 */
export async function servePool(options: ServiceOptions): Promise<number> {
  const { stateDirectory, name } = options;
  const running = await callServer(stateDirectory, name, "status", null);
  if (running?.answer.server) {
    const { pid, uri } = running.answer.server;
    throw new VirstorError(
      "busy",
      `Cannot serve pool "${name}": process ${pid} serves it already, ` +
        `on ${uri}`,
    );
  }
  const paths = await options.findComponents();
  let onRemoved = () => {};
  const pool = await withProgress(
    `Opening pool "${name}"`,
    openPool(paths, {
      ...options.poolOptions,
      evacuation: { bytesPerSecond: SERVED_EVACUATION_RATE },
      name,
      onEvent: ({ kind, message }) => {
        log(kind, message);
        if (kind === "removed") onRemoved();
      },
    }),
  );
  onRemoved = () => void registerOpenPool(stateDirectory, pool);
  const service = new Service(pool, options);
  try {
    await service.start();
  } catch (error) {
    await service.stop();
    throw error;
  }
  return await service.ended();
}

/** A pool, open, with everything that serves it. */
class Service {
  readonly #pool: Pool;
  readonly #options: ServiceOptions;
  readonly #nbd: NbdServer;
  readonly #control: ControlServer;
  readonly #end = Promise.withResolvers<number>();
  readonly #startedAt = new Date().toISOString();
  #uri = "";
  #stopping: Promise<void> | undefined;

  constructor(pool: Pool, options: ServiceOptions) {
    const { stateDirectory } = options;
    this.#pool = pool;
    this.#options = options;
    this.#nbd = new NbdServer({
      exports: [{
        name: pool.name,
        description: `virstor pool ${pool.name}`,
        device: pool,
        readOnly: pool.capabilities.readOnly,
      }],
      log: ({ kind, client, peer, message }) =>
        log(kind, client === 0 ? message : `${client} (${peer}): ${message}`),
    });
    this.#nbd.finished.catch((error) => this.#panic(error));
    this.#control = new ControlServer({
      status: () => Promise.resolve(this.#report()),
      add: (request) => addComponents(stateDirectory, pool, request),
      remove: (request) => removeComponents(stateDirectory, pool, request),
      planRemove: ({ paths }) => Promise.try(() => pool.planRemove(paths)),
      cancelRemove: ({ paths }) => pool.cancelRemove(paths),
      resize: (request) => resizeDisk(pool, request),
      check: () => pool.check(),
      stop: (request) => this.#stopOnRequest(request),
    }, (error) => this.#panic(error));
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
      await this.#control.answered();
    }
  }

  /** Opens the doors, and says so. */
  async start(): Promise<void> {
    const { stateDirectory, name, address } = this.#options;
    const listener = await openListener(address);
    try {
      await this.#control.listen(controlSocketPath(stateDirectory, name));
      await registerOpenPool(stateDirectory, this.#pool);
    } catch (error) {
      listener.close();
      throw error;
    }
    const { addr } = listener;
    const real = "port" in addr && "port" in address
      ? { ...address, port: addr.port }
      : address;
    this.#uri = nbdUri(real, name);
    obeySignals({
      begin: (signal) =>
        void this.#stopAndEnd(`Got ${signal}; once more ends it at once`),
      isEnding: () => this.#stopping !== undefined,
    });
    this.#nbd.serve(listener);
    const { missing, warnings } = this.#pool.status();
    if (missing.length > 0) printNotices(warnings);
    if (!isLocal(address)) {
      printError(
        "virstor: Notice: Whoever reaches this address can read and write " +
          "the pool: there is no encryption and no password",
      );
    }
    print(this.#uri);
    this.#options.onReady?.(this.#report());
  }

  /** Closes everything; the control socket answers what it was asked. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    // The socket goes first: whoever finds the pool unlocked finds none.
    this.#control.retire();
    // The server finishes requests under way and refuses new ones, while the
    // pool fails the writes that wait for space, for which that would wait.
    const disconnected = this.#nbd.close({ graceMs: GRACE_MS });
    try {
      await this.#pool.close();
    } finally {
      await disconnected;
    }
  }

  /** Stops, and lets the process end. */
  async #stopAndEnd(reason: string): Promise<void> {
    log("stopping", reason);
    try {
      await this.stop();
      this.#end.resolve(EXIT_OK);
    } catch (error) {
      this.#end.reject(error);
    }
  }

  async #stopOnRequest({ force }: StopRequest): Promise<null> {
    const { name } = this.#options;
    const clients = this.#nbd.clients.filter((client) =>
      client.exportName !== undefined
    );
    if (clients.length > 0 && !force) {
      throw new VirstorError(
        "busy",
        `Cannot stop pool "${name}": ${clients.length} ` +
          `client${clients.length === 1 ? " is" : "s are"} connected; ` +
          `disconnect, or use -f`,
      );
    }
    // That waits until this request is answered.
    void this.#stopAndEnd("Asked to stop");
    await this.stop();
    return null;
  }

  /** A mistake in virstor itself: what is in memory cannot be trusted. */
  #panic(error: unknown): never {
    printInternalError(error);
    Deno.exit(EXIT_INTERNAL);
  }

  #report(): StatusReport {
    return {
      pool: this.#pool.status(),
      server: {
        pid: Deno.pid,
        uri: this.#uri,
        startedAt: this.#startedAt,
        clients: this.#nbd.clients,
        counters: { ...this.#nbd.counters },
      },
    };
  }
}
