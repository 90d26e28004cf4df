/**
 * The connections to one server that are in use together. If one of them ends,
 * all end: the server may have restarted, and what it has lost concerns all.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { COMMAND_BLOCK_STATUS, EXPORT_CAN_MULTI_CONN } from "../wire/mod.ts";
import {
  type NbdExportInfo,
  type NbdUri,
  negotiate,
  type Negotiated,
  noAnswer,
} from "./connection/mod.ts";
import { Command, type CommandFields, Link } from "./requests/mod.ts";
import type { Settings } from "./options.ts";

/** Requests, and bytes of them, that leave together on one connection. */
const [BURST_REQUESTS, BURST_BYTES] = [16, 128 * 1024];

/** What a session reports. */
export interface SessionHooks {
  /**
   * Called after each reply.
   *
   * @param command The request, which is settled.
   * @param ms How long the reply took, milliseconds.
   */
  readonly onReply: (command: Command, ms: number) => void;
  /**
   * Called once, when the session ends.
   *
   * @param session The session.
   * @param error The reason.
   * @param commands The requests without a reply, in their order.
   */
  readonly onEnd: (
    session: Session,
    error: VirstorError,
    commands: Command[],
  ) => void;
}

/** The connections to one server. */
export class Session {
  /** The export. */
  readonly info: NbdExportInfo;
  readonly #hasStatus: boolean;
  readonly #links: Link[] = [];
  readonly #uri: NbdUri;
  readonly #settings: Settings;
  readonly #hooks: SessionHooks;
  #end: VirstorError | undefined;
  #unanswered: Command[] = [];
  /** The connection of the current burst, and what it may take still. */
  #burst: Link | undefined;
  #burstRequests = 0;
  #burstBytes = 0;

  private constructor(
    connection: Negotiated,
    uri: NbdUri,
    settings: Settings,
    hooks: SessionHooks,
  ) {
    this.info = connection.info;
    this.#hasStatus = connection.contextId !== undefined;
    this.#uri = uri;
    this.#settings = settings;
    this.#hooks = hooks;
    this.#addLink(connection);
  }

  /**
   * Connects once.
   *
   * @param uri The URI.
   * @param settings The settings of the disk.
   * @param hooks What to report.
   * @param limits When to give up: a signal, and milliseconds for connection and
   *   handshake.
   * @returns The session.
   * @throws {VirstorError} If the server cannot be used.
   */
  static async open(
    uri: NbdUri,
    settings: Settings,
    hooks: SessionHooks,
    limits: { readonly signal: AbortSignal; readonly limitMs: number },
  ): Promise<Session> {
    const { signal, limitMs } = limits;
    const connection = await connectWithin(uri, settings, signal, limitMs);
    return new Session(connection, uri, settings, hooks);
  }

  /** Why the session has ended; `undefined` while it works. */
  get failure(): VirstorError | undefined {
    return this.#end;
  }

  /** Connections in use. */
  get connections(): number {
    return this.#links.length;
  }

  /** Requests in flight. */
  get inFlight(): number {
    return this.#links.reduce((sum, { inFlight }) => sum + inFlight, 0);
  }

  /** Whether a connection takes another request. */
  get hasRoom(): boolean {
    return this.#links.some(({ hasRoom }) => hasRoom);
  }

  /** When the oldest request in flight left, milliseconds. */
  get oldest(): number {
    return Math.min(Infinity, ...this.#links.map(({ oldest }) => oldest));
  }

  /**
   * Resolves when the server has ended all connections, or after the fence.
   *
   * @returns Whether the server has ended all of them: then it executes nothing
   *   of them any more.
   */
  async closed(): Promise<boolean> {
    await Promise.allSettled(this.#links.map(({ closed }) => closed));
    return !this.#links.some(({ isAborted }) => isAborted);
  }

  /**
   * Adds connections, if the server keeps several consistent. A server that
   * takes no more is used with those it has taken.
   *
   * @param signal Gives up.
   */
  async addLinks(signal: AbortSignal): Promise<void> {
    const canMulti = (this.info.flags & EXPORT_CAN_MULTI_CONN) !== 0;
    const wanted = canMulti ? this.#settings.connections - 1 : 0;
    const opening = Array.from(
      { length: wanted },
      () => connectWithin(this.#uri, this.#settings, signal),
    );
    for (const result of await Promise.allSettled(opening)) {
      if (result.status === "rejected") continue;
      const { info, stream } = result.value;
      const isSame = info.size === this.info.size &&
        info.flags === this.info.flags && info.dialect === this.info.dialect;
      if (this.#end === undefined && isSame) this.#addLink(result.value);
      else stream.close();
    }
  }

  /**
   * Begins to send requests together: a few of them leave on one connection,
   * with one call of the system.
   */
  beginBurst(): void {
    this.#burst = undefined;
  }

  /**
   * Sends a request on the connection of the current burst, or begins one on
   * that with the fewest in flight.
   *
   * @param command The request.
   * @returns False if no connection has room; then the request is not sent.
   */
  send(command: Command): boolean {
    if (command.command === COMMAND_BLOCK_STATUS && !this.#hasStatus) {
      // This server does not tell; that of before may have.
      command.runs.push({ length: command.length, flags: 0 });
      command.succeed();
      return true;
    }
    const link = this.#linkOfBurst(command.length);
    link?.send(command);
    return link !== undefined;
  }

  /**
   * Sends a request that ends with the session, and waits for the reply.
   *
   * @param fields The request.
   * @throws {VirstorError} If it fails, or the session ends.
   */
  async call(fields: CommandFields): Promise<void> {
    await this.run(new Command(fields, true));
  }

  /**
   * Sends a bound request on the first connection, and waits for the reply.
   *
   * @param command The request.
   * @throws {VirstorError} If it fails, or the session ends.
   */
  async run(command: Command): Promise<void> {
    const [link] = this.#links;
    if (this.#end !== undefined || link === undefined || link.isEnded) {
      throw this.#end ?? new VirstorError("io", "The connection has ended");
    }
    link.send(command);
    await command.done;
  }

  /**
   * Ends all connections because of a fault.
   *
   * @param error The reason.
   */
  fail(error: VirstorError): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    for (const link of this.#links) link.fail(error);
    const commands = this.#unanswered.sort((a, b) => a.sequence - b.sequence);
    this.#unanswered = [];
    this.#hooks.onEnd(this, error, commands);
  }

  /**
   * Ends all connections in order.
   *
   * Requests that are still in flight fail.
   */
  async close(): Promise<void> {
    const error = new VirstorError("cancelled", "The disk is closed");
    this.#end ??= error;
    await Promise.allSettled(this.#links.map((link) => link.close()));
    for (const command of this.#unanswered) command.fail(error);
  }

  #linkOfBurst(bytes: number): Link | undefined {
    const isOver = this.#burstRequests >= BURST_REQUESTS ||
      this.#burstBytes + bytes > BURST_BYTES;
    if (isOver || this.#burst?.hasRoom !== true) {
      this.#burst = this.#idlest();
      this.#burstRequests = 0;
      this.#burstBytes = 0;
    }
    this.#burstRequests += 1;
    this.#burstBytes += bytes;
    return this.#burst;
  }

  /** The connection with the fewest requests in flight, if one has room. */
  #idlest(): Link | undefined {
    let best: Link | undefined;
    for (const link of this.#links) {
      if (!link.hasRoom) continue;
      if (best === undefined || link.inFlight < best.inFlight) best = link;
    }
    return best;
  }

  #addLink(connection: Negotiated): void {
    const { depth, silenceMs, fenceMs } = this.#settings;
    this.#links.push(
      new Link(connection, {
        depth,
        silenceMs,
        fenceMs,
        onReply: this.#hooks.onReply,
        onEnd: (error, commands) => {
          this.#unanswered.push(...commands);
          this.fail(error);
        },
      }),
    );
  }
}

/** Connects, but not for longer than the settings say. */
async function connectWithin(
  uri: NbdUri,
  { connectTimeoutMs, context, tls }: Settings,
  signal: AbortSignal,
  limitMs = connectTimeoutMs,
): Promise<Negotiated> {
  const limit = new AbortController();
  const timer = setTimeout(
    () => limit.abort(noAnswer(limitMs)),
    limitMs,
  );
  try {
    return await negotiate(uri, {
      tls,
      context,
      signal: AbortSignal.any([limit.signal, signal]),
    });
  } finally {
    clearTimeout(timer);
  }
}
