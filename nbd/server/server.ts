/**
 * The NBD server: accepts connections, counts them, ends them.
 *
 * It takes listeners that its caller has opened, so it knows nothing of
 * addresses. Every connection is on its own: what one client does wrong ends
 * that connection at most. An error that is not expected, in the device or in
 * the server itself, ends the server: `finished` rejects with it.
 *
 * @module
 */

import { type BlockDevice, Slice, turns } from "../../device/block/mod.ts";
import { addCounts } from "../../device/leases/mod.ts";
import { VirstorError } from "../../errors.ts";
import { DEFAULT_LIMITS, type NbdLimits } from "../wire/mod.ts";
import { serveClient, type ServiceHost } from "./client_service.ts";
import { Clients } from "./clients.ts";
import {
  createCounters,
  ExportTimes,
  type NbdCounters,
  type NbdEvent,
  type NbdExport,
  type RequestTimes,
  ServerLog,
} from "./export/mod.ts";
import { Lanes } from "./lanes/mod.ts";
import { closeQuietly, LoopBell } from "./stream/mod.ts";
import type { NbdTls } from "./tls/mod.ts";
import { allEnded, CANCEL_MS, endAll } from "./transmission/mod.ts";

/** A connection, as it is now. */
export interface NbdClientInfo {
  /** Number of the connection, from 1, in the order of arrival. */
  readonly id: number;
  /** Where it came from: `ADDRESS:PORT`, or `unix`. */
  readonly peer: string;
  /**
   * Its process, for a client on a Unix socket of this machine; null if
   * unknown.
   */
  readonly pid: number | null;
  /** What it uses; `undefined` during the handshake. */
  readonly exportName: string | undefined;
  /** When it connected, ISO 8601. */
  readonly since: string;
  /** Bytes of its READs. */
  readonly bytesRead: number;
  /** Bytes of its WRITEs. */
  readonly bytesWritten: number;
  /** Requests that it waits for. */
  readonly inFlight: number;
}

/** What a server is made of. */
export interface NbdServerOptions {
  /** What is served, or a function that tells it anew for each handshake. */
  readonly exports: readonly NbdExport[] | (() => readonly NbdExport[]);
  /** Whether and how connections are encrypted; never, unless given. */
  readonly tls?: NbdTls;
  /** Receives the events. */
  readonly log?: (event: NbdEvent) => void;
  /** Limits other than the {@linkcode DEFAULT_LIMITS}. */
  readonly limits?: Partial<NbdLimits>;
  /**
   * Threads that may serve connections, one each; 0 by default. More clients
   * than that are served by the event loop. Threads serve connections only of
   * listeners that `serve` of this layer has opened.
   */
  readonly threads?: number;
  /**
   * What runs in a thread; other than what does in production only in tests.
   *
   * @internal
   */
  readonly threadModule?: URL;
}

/** How long requests took, and how many are in flight. */
export interface NbdLoad {
  /** The durations of all requests. */
  readonly times: RequestTimes;
  /** The durations of the requests to an export, by its name. */
  readonly byExport: ReadonlyMap<string, RequestTimes>;
  /**
   * Requests in flight, by the name of the export: a thread that is at work
   * counts as one.
   */
  readonly inFlight: ReadonlyMap<string, number>;
}

/** How to stop. */
export interface NbdCloseOptions {
  /**
   * How long requests in flight may take, milliseconds. Then writes that wait
   * for space are cancelled (their clients read `ESHUTDOWN`), and connections
   * are cut. 5000 by default.
   */
  readonly graceMs?: number;
  /**
   * Why the clients are disconnected, for the log. The default says that the
   * server stops, or that the export is not served any more.
   */
  readonly reason?: string;
}

/** How long requests in flight may take by default. */
const GRACE_MS = 5000;
/** Why clients are disconnected that use what a running server gives up. */
const NOT_SERVED = "its export is not served any more";
/** How long to wait after a failed accept, milliseconds. */
const ACCEPT_RETRY_MS = 100;
/** Serves block devices to NBD clients. */
export class NbdServer {
  /**
   * Fulfilled when the server is closed; rejected with an error that was not
   * expected, after which the process should stop.
   */
  readonly finished: Promise<void>;

  /** What was done so far, without that for connections that are open. */
  readonly #counters: NbdCounters = createCounters();
  readonly #times: ExportTimes;
  readonly #lanes: Lanes;
  readonly #log: ServerLog;
  readonly #listeners = new Set<Deno.Listener>();
  readonly #clients: Clients;
  /** Exports that are not served any more. */
  readonly #dismissed = new Set<string>();
  /** Devices that are not served any more. */
  readonly #retired = new WeakSet<BlockDevice>();
  readonly #finish = Promise.withResolvers<void>();
  /** Shared with its parts, which read it each time. */
  readonly #limits: NbdLimits;
  readonly #host: ServiceHost;
  #closing: Promise<void> | undefined = undefined;
  #bell: Promise<LoopBell | undefined> | undefined;

  /**
   * Creates a server.
   *
   * @param options What is served, and how.
   */
  constructor(options: NbdServerOptions) {
    const { exports, tls } = options;
    const limits = this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    const [counters, onPanic] = [this.#counters, this.#finish.reject];
    this.finished = this.#finish.promise;
    this.#log = new ServerLog(options.log);
    this.#clients = new Clients(limits);
    const times = this.#times = new ExportTimes((name) =>
      [...this.#clients].some(({ exportName }) => exportName === name)
    );
    this.#lanes = new Lanes({
      most: options.threads ?? 0,
      ...options.threadModule && { module: options.threadModule },
      counters,
      times,
      onPanic,
    });
    this.#host = {
      exports: typeof exports === "function" ? exports : () => exports,
      tls,
      limits,
      clients: this.#clients,
      lanes: this.#lanes,
      counters,
      times,
      log: this.#log,
      isStopping: () => this.#closing !== undefined,
      isDismissed: (name) => this.#dismissed.has(name),
      isRetired: (device) => this.#retired.has(device),
      onPanic,
    };
  }

  /** The limits. */
  get limits(): NbdLimits {
    return { ...this.#limits };
  }

  /**
   * Replaces limits. Clients that are connected stay; the time of idle clients
   * holds for those that connect from now on.
   *
   * @param limits The limits to replace.
   */
  setLimits(limits: Partial<NbdLimits>): void {
    Object.assign(this.#limits, limits);
  }

  /** What was done so far. */
  get counters(): Readonly<NbdCounters> {
    const counters = { ...this.#counters };
    this.#lanes.addCounts(counters);
    for (const client of this.#clients) addCounts(counters, client.counters);
    return counters;
  }

  /**
   * How long requests took, and how many are in flight.
   *
   * @internal
   * @returns Copies.
   */
  load(): NbdLoad {
    const { byExport, others } = this.#times.copy();
    const inFlight = new Map<string, number>();
    const count = (name: string, more: number) =>
      inFlight.set(name, (inFlight.get(name) ?? 0) + more);
    for (const { exportName: name, transmission } of this.#clients) {
      if (name !== undefined) count(name, transmission?.inFlight ?? 0);
    }
    for (const { exportName: name, times, isAtWork } of this.#lanes.streams) {
      byExport.get(name)?.add(times);
      if (isAtWork) count(name, 1);
    }
    for (const times of byExport.values()) others.add(times);
    return { times: others, byExport, inFlight };
  }

  /** The connections, in the order of arrival. */
  get clients(): NbdClientInfo[] {
    return [...this.#clients].map((client) => {
      const counters = { ...client.counters };
      client.carrier?.addCounts(counters);
      return {
        id: client.id,
        peer: client.peer,
        pid: client.pid ?? null,
        exportName: client.exportName,
        since: new Date(client.since).toISOString(),
        bytesRead: counters.bytesRead,
        bytesWritten: counters.bytesWritten,
        inFlight: client.transmission?.inFlight ?? 0,
      };
    });
  }

  /**
   * Accepts connections, until the server is closed. May be called for
   * several listeners.
   *
   * @param listener Open; the server closes it.
   * @throws {VirstorError} With code `shutdown` if the server was closed.
   */
  serve(listener: Deno.Listener): void {
    if (this.#closing !== undefined) {
      throw new VirstorError(
        "shutdown",
        "Cannot serve NBD: the server is closed",
      );
    }
    this.#listeners.add(listener);
    this.#bell ??= LoopBell.hang();
    this.#accept(listener).catch((error) => this.#finish.reject(error));
  }

  /**
   * Stops: no more connections, `ESHUTDOWN` for new requests; those in flight
   * are finished and answered, then the connections are closed. Idle clients
   * and handshakes are not waited for; their options are refused meanwhile.
   * Devices stay open.
   *
   * @param options How long it may take.
   */
  close(options: NbdCloseOptions = {}): Promise<void> {
    const { graceMs = GRACE_MS, reason = "the server stops" } = options;
    this.#closing ??= this.#close(graceMs, reason);
    return this.#closing;
  }

  /** Stops the server, at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Stops to serve one export, as {@linkcode close} does for all: its clients
   * are ended, and so are clients that choose it later.
   *
   * @param exportName Its name.
   * @param options How long it may take.
   */
  async dismiss(
    exportName: string,
    { graceMs = GRACE_MS, reason = NOT_SERVED }: NbdCloseOptions = {},
  ): Promise<void> {
    this.#dismissed.add(exportName);
    const leaving = [...this.#clients].filter((client) =>
      client.exportName === exportName
    );
    await endAll(leaving, graceMs, reason);
  }

  /**
   * Stops to serve one device for good: ends its clients, also those that have
   * just chosen it. The name of its export may go to another device.
   *
   * *Requires*: no export that the server is given has this device any more.
   *
   * @param device The device of an export.
   * @param options How long it may take.
   */
  async retire(
    device: BlockDevice,
    { graceMs = GRACE_MS, reason = NOT_SERVED }: NbdCloseOptions = {},
  ): Promise<void> {
    this.#retired.add(device);
    const leaving = [...this.#clients].filter((one) => one.device === device);
    await endAll(leaving, graceMs, reason);
  }

  /**
   * Counts the connections that use a device.
   *
   * @param device The device of an export.
   * @returns Their number.
   */
  countClients(device: BlockDevice): number {
    return [...this.#clients].filter((one) => one.device === device).length;
  }

  async #close(graceMs: number, reason: string): Promise<void> {
    for (const listener of this.#listeners) closeQuietly(listener);
    await endAll([...this.#clients], graceMs, reason);
    for (const { connection, transmission } of this.#clients) {
      if (transmission === undefined) closeQuietly(connection);
    }
    await allEnded([...this.#clients], CANCEL_MS);
    await this.#lanes.close();
    (await this.#bell)?.close();
    this.#finish.resolve();
  }

  async #accept(listener: Deno.Listener): Promise<void> {
    const slice = new Slice(1);
    while (this.#closing === undefined) {
      let connection: Deno.Conn;
      try {
        connection = await listener.accept();
      } catch (error) {
        if (this.#closing !== undefined) break;
        if (error instanceof Deno.errors.BadResource) break;
        // Out of descriptors, or a client that left at once: others follow.
        this.#log.acceptFailed(error);
        await new Promise((done) => setTimeout(done, ACCEPT_RETRY_MS));
        continue;
      }
      this.#admit(connection);
      if (slice.spend(1)) {
        await turns.next(listener);
        slice.begin();
      }
    }
    this.#listeners.delete(listener);
  }

  #admit(connection: Deno.Conn): void {
    if (this.#closing !== undefined) return closeQuietly(connection);
    const clients = this.#clients;
    const end = Promise.withResolvers<void>();
    const client = clients.make(connection, end.promise);
    if (clients.isFull) {
      this.#counters.connectionsRefused++;
      closeQuietly(connection);
      return this.#log.tell("refused", client, clients.fullMessage);
    }
    this.#counters.connections++;
    clients.add(client);
    this.#lanes.warm();
    this.#lanes.setAlone(clients.size === 1);
    this.#log.tell("accepted", client, "Negotiates");
    serveClient(client, this.#host)
      .catch((error) => this.#finish.reject(error))
      .finally(() => {
        closeQuietly(client.stream);
        clients.remove(client);
        addCounts(this.#counters, client.counters);
        this.#lanes.setAlone(clients.size === 1);
        end.resolve();
      });
  }
}
