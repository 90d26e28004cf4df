/**
 * The NBD server: accepts connections, counts them, ends them.
 *
 * It takes listeners that others have opened, so it knows nothing of
 * addresses. Every connection is on its own: what one client does wrong ends
 * that connection at most. An error that is not expected, in the device or in
 * the server itself, ends the server: `finished` rejects with it.
 *
 * @module
 */

import { Slice, turns } from "../../device/block/mod.ts";
import { counted, messageOf, VirstorError } from "../../errors.ts";
import {
  createCounters,
  isExpected,
  type LoggedClient,
  type NbdCounters,
  type NbdEvent,
  type NbdExport,
  peerOf,
  ServerLog,
  soughtText,
} from "./export/mod.ts";
import {
  allEnded,
  CANCEL_MS,
  delay,
  endAll,
  Transmission,
} from "./transmission/mod.ts";
import { negotiate, type Negotiated } from "./handshake/mod.ts";
import {
  type ByteStream,
  closeQuietly,
  descriptorOf,
  isTcp,
  LoopBell,
  nativeSockets,
  NativeStream,
} from "./stream/mod.ts";
import { Lanes, LaneStream } from "./lanes/mod.ts";
import { DEFAULT_LIMITS, type NbdLimits } from "../wire/mod.ts";
import { type NbdTls, TlsStream } from "./tls/mod.ts";

/** A connection, as it is now. */
export interface NbdClientInfo {
  /** Number of the connection, from 1, in the order of arrival. */
  readonly id: number;
  /** Where it came from: `ADDRESS:PORT`, or `unix`. */
  readonly peer: string;
  /** What it uses; `undefined` during the handshake. */
  readonly exportName: string | undefined;
}

/** What a server is made of. */
export interface NbdServerOptions {
  /** What is served, or a function that tells it anew for each handshake. */
  readonly exports: readonly NbdExport[] | (() => readonly NbdExport[]);
  /** Whether and how connections are encrypted; never, unless given. */
  readonly tls?: NbdTls;
  /** Told of what happens. */
  readonly log?: (event: NbdEvent) => void;
  /** Limits other than the {@linkcode DEFAULT_LIMITS}. */
  readonly limits?: Partial<NbdLimits>;
  /**
   * Threads that may serve connections, one each, as soon as there are several
   * or one reads much at once; 0 by default. For connections of listeners that
   * went through {@linkcode trackDescriptors}.
   */
  readonly threads?: number;
  /**
   * What runs in a thread; other than what does in production only in tests.
   *
   * @internal
   */
  readonly threadModule?: URL;
}

/** How to stop. */
export interface NbdCloseOptions {
  /**
   * How long requests under way may take, milliseconds. Then writes that wait
   * for space are cancelled (their clients read `ESHUTDOWN`), and connections
   * are cut. 5000 by default.
   */
  readonly graceMs?: number;
}

/** How long requests under way may take unless told otherwise. */
const GRACE_MS = 5000;
/** How long to wait after a failed accept, milliseconds. */
const ACCEPT_RETRY_MS = 100;
interface Client {
  readonly id: number;
  readonly peer: string;
  readonly connection: Deno.Conn;
  /** The connection, or what is inside its TLS. */
  stream: ByteStream;
  readonly ended: Promise<void>;
  transmission: Transmission | undefined;
  exportName: string | undefined;
  /** The export that it asked for in vain, in quotes. */
  sought: string | undefined;
  /** Why the server has ended the handshake. */
  cutBecause: string | undefined;
}

/** Serves block devices to NBD clients. */
export class NbdServer {
  /**
   * Fulfilled when the server is closed; rejected with an error that was not
   * expected, after which the process should stop.
   */
  readonly finished: Promise<void>;

  readonly #counters: NbdCounters = createCounters();
  readonly #lanes: Lanes;
  readonly #exports: () => readonly NbdExport[];
  readonly #log: ServerLog;
  readonly #limits: NbdLimits;
  readonly #tls: NbdTls | undefined;
  readonly #listeners = new Set<Deno.Listener>();
  readonly #clients = new Set<Client>();
  readonly #isAlone = (): boolean => this.#clients.size === 1;
  /** Exports that are not served any more. */
  readonly #dismissed = new Set<string>();
  readonly #finish = Promise.withResolvers<void>();
  #clientCount = 0;
  #closing: Promise<void> | undefined = undefined;
  #bell: Promise<LoopBell | undefined> | undefined;

  /**
   * Creates a server.
   *
   * @param options What is served, and how.
   */
  constructor(options: NbdServerOptions) {
    const { exports } = options;
    this.#exports = typeof exports === "function" ? exports : () => exports;
    this.#log = new ServerLog(options.log);
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#tls = options.tls;
    this.finished = this.#finish.promise;
    this.#lanes = new Lanes({
      most: options.threads ?? 0,
      ...options.threadModule && { module: options.threadModule },
      counters: this.#counters,
      onPanic: this.#finish.reject,
    });
  }

  /** What was done so far. */
  get counters(): Readonly<NbdCounters> {
    const counters = { ...this.#counters };
    this.#lanes.addCounts(counters);
    return counters;
  }

  /** The connections, in the order of arrival. */
  get clients(): NbdClientInfo[] {
    return [...this.#clients].map(({ id, peer, exportName }) => ({
      id,
      peer,
      exportName,
    }));
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
   * Stops: no more connections, `ESHUTDOWN` for new requests; those under way
   * are finished and answered, then the connections are closed. Idle clients
   * and handshakes are not waited for; their options are refused meanwhile.
   * Devices stay open.
   *
   * @param options How long it may take.
   */
  close(options: NbdCloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options.graceMs ?? GRACE_MS);
    return this.#closing;
  }

  /**
   * Stops to serve one export, as {@linkcode close} does for all: its clients
   * are ended, and whoever chooses it later.
   *
   * @param exportName Its name.
   * @param options How long it may take.
   */
  async dismiss(
    exportName: string,
    options: NbdCloseOptions = {},
  ): Promise<void> {
    this.#dismissed.add(exportName);
    const leaving = [...this.#clients].filter((client) =>
      client.exportName === exportName
    );
    await endAll(leaving, options.graceMs ?? GRACE_MS);
  }

  async #close(graceMs: number): Promise<void> {
    for (const listener of this.#listeners) closeQuietly(listener);
    await endAll([...this.#clients], graceMs);
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
    const id = ++this.#clientCount;
    const peer = peerOf(connection.remoteAddr);
    if (this.#closing !== undefined) return closeQuietly(connection);
    if (this.#isFull()) {
      this.#counters.connectionsRefused++;
      closeQuietly(connection);
      return this.#refuse({ id, peer }, this.#fullMessage());
    }
    this.#limitHandshakes();
    this.#counters.connections++;
    const end = Promise.withResolvers<void>();
    const client: Client = {
      id,
      peer,
      connection,
      stream: connection,
      ended: end.promise,
      transmission: undefined,
      exportName: undefined,
      sought: undefined,
      cutBecause: undefined,
    };
    this.#clients.add(client);
    this.#tellAlone();
    this.#log.tell("accepted", client, "Negotiates");
    this.#attend(client)
      .catch((error) => this.#finish.reject(error))
      .finally(() => {
        closeQuietly(client.stream);
        this.#clients.delete(client);
        this.#tellAlone();
        end.resolve();
      });
  }

  #tellAlone(): void {
    for (const { stream } of this.#clients) {
      if (stream instanceof LaneStream) stream.setAlone(this.#isAlone());
    }
  }

  #isFull(): boolean {
    return this.#serving() >= this.#limits.clients;
  }

  #serving(): number {
    let serving = 0;
    for (const { transmission } of this.#clients) {
      if (transmission !== undefined) serving++;
    }
    return serving;
  }

  #fullMessage(): string {
    const { clients } = this.#limits;
    const are = clients === 1 ? "is" : "are";
    return `There ${are} ${counted(clients, "client")} already`;
  }

  /** Makes room for one more handshake. */
  #limitHandshakes(): void {
    const { handshakes } = this.#limits;
    const shaking = [...this.#clients].filter(({ transmission, cutBecause }) =>
      transmission === undefined && cutBecause === undefined
    );
    const [oldest] = shaking;
    if (oldest === undefined || shaking.length < handshakes) return;
    this.#cut(oldest, `It was the oldest of ${handshakes} handshakes`);
  }

  #cut(client: Client, reason: string): void {
    client.cutBecause ??= reason;
    closeQuietly(client.connection);
  }

  #refuse(client: LoggedClient, message: string): void {
    this.#log.tell("refused", client, message);
  }

  /** Serves one client. Rejects only with errors that are not expected. */
  async #attend(client: Client): Promise<void> {
    const agreed = await this.#negotiate(client);
    if (agreed === undefined) return;
    const { served: { name }, facts } = agreed;
    // Cut off as it ended: its descriptor may be another's by now.
    if (client.cutBecause !== undefined) {
      return this.#refuse(client, client.cutBecause);
    }
    // Things may have changed since the export was looked up.
    if (this.#closing !== undefined || this.#dismissed.has(name)) {
      return this.#refuse(client, `Export "${name}" is not served any more`);
    }
    if (this.#isFull()) {
      this.#counters.connectionsRefused++;
      return this.#refuse(client, this.#fullMessage());
    }
    client.exportName = name;
    const negotiated = this.#chooseStream(client, agreed);
    const transmission = new Transmission(client.stream, negotiated, {
      counters: this.#counters,
      onError: (error) => this.#log.deviceFailed(client, error),
      isAlone: this.#isAlone,
      mayChange: () => this.#mayMove(client),
      onChange: (early) => this.#move(client, { ...agreed, early }),
      onPanic: this.#finish.reject,
    });
    client.transmission = transmission;
    const contexts = facts.contexts.map(({ context }) => ` ${context.name}`);
    const over = client.stream instanceof LaneStream
      ? " on a thread of its own"
      : client.stream instanceof TlsStream
      ? " over TLS"
      : "";
    const message = `Uses export "${name}"${over}, ${facts.dialect} replies` +
      (contexts.length === 0 ? "" : `, contexts${contexts.join("")}`) +
      soughtText(client.sought);
    this.#log.tell("connected", client, message);
    const { idleMs } = this.#limits;
    const timer = idleMs === 0
      ? undefined
      : setInterval(() => transmission.endIfIdle(), delay(idleMs / 2));
    const reason = await transmission.run();
    clearInterval(timer);
    this.#log.tell("disconnected", client, reason);
  }

  /**
   * The event loop serves a client that is alone, unless it reads much at once.
   * As soon as there are others, all of them get threads of their own, as far
   * as there are.
   */
  #chooseStream(client: Client, negotiated: Negotiated): Negotiated {
    const { connection } = client;
    // Encrypted connections stay here.
    if (client.stream !== connection) return negotiated;
    if (this.#serving() > 0) {
      for (const { transmission } of this.#clients) transmission?.change();
      const lane = this.#takeLane(client, negotiated);
      if (lane !== undefined) return { ...negotiated, early: new Uint8Array() };
    }
    const [descriptor, sockets] = [descriptorOf(connection), nativeSockets()];
    if (descriptor !== undefined && sockets !== null) {
      const isAlone = this.#isAlone;
      const parts = { connection, descriptor, sockets, isAlone };
      client.stream = new NativeStream(parts);
    }
    return negotiated;
  }

  #mayMove({ stream }: Client): boolean {
    return stream instanceof NativeStream && this.#lanes.hasFree;
  }

  #move(client: Client, negotiated: Negotiated): LaneStream | undefined {
    if (!this.#mayMove(client)) return undefined;
    const lane = this.#takeLane(client, negotiated);
    if (lane === undefined) return undefined;
    this.#log.tell("moved", client, "Has a thread of its own now");
    return lane;
  }

  #takeLane(client: Client, negotiated: Negotiated): LaneStream | undefined {
    const lane = this.#lanes.take(client.connection, negotiated);
    if (lane === undefined) return undefined;
    client.stream = lane;
    this.#tellAlone();
    return lane;
  }

  async #negotiate(client: Client): Promise<Negotiated | undefined> {
    const { connection } = client;
    const { handshakeMs, options: optionsMax } = this.#limits;
    const timer = setTimeout(
      () => this.#cut(client, `The handshake took more than ${handshakeMs} ms`),
      handshakeMs,
    );
    try {
      if (isTcp(connection)) {
        // Replies must not wait for more data on their way.
        connection.setNoDelay(true);
        // A machine that has vanished must not keep its place for ever.
        connection.setKeepAlive(true);
      }
      const exports = this.#exports();
      const isStopping = () => this.#closing !== undefined;
      const negotiated = await negotiate(connection, {
        exports,
        optionsMax,
        isStopping,
        isDismissed: (name) => this.#dismissed.has(name),
        tls: this.#tls,
        onUnknownExport: (name) => client.sought = name,
        onEncrypted: (inside) => client.stream = inside,
      });
      if (negotiated === undefined) {
        const message = "Left without choosing an export" +
          soughtText(client.sought);
        this.#log.tell("left", client, message);
      }
      return negotiated;
    } catch (error) {
      if (!isExpected(error)) throw error;
      const reason = client.cutBecause ?? messageOf(error);
      this.#refuse(client, reason + soughtText(client.sought));
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}
