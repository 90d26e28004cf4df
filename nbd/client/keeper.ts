/**
 * Keeps a remote disk connected: opens sessions, fails over between paths,
 * backs off, and writes again what a server may have lost.
 *
 * A new session is used in this order, and each step must succeed:
 * 1. connect, negotiate;
 * 2. compare size and capabilities with those of before;
 * 3. compare the identity;
 * 4. wait until the server has ended the lost connections (the fence);
 * 5. write again what was written since the last good flush;
 * 6. send the requests that had no reply, then the others; add connections.
 *
 * @module
 */

import {
  assert,
  asVirstorError,
  counted,
  messageOf,
  VirstorError,
} from "../../errors.ts";
import { COMMAND_READ } from "../wire/mod.ts";
import { backOff } from "./back_off.ts";
import {
  type NbdExportInfo,
  type NbdUri,
  ProtocolFault,
  UnknownExport,
  uriError,
} from "./connection/mod.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { guardLate, LATE_MS } from "./guard_late.ts";
import type { NbdDiskEvent, NbdIdentityRead, Settings } from "./options.ts";
import { replay } from "./replay.ts";
import { type Command, SilentServer } from "./requests/mod.ts";
import {
  ChangedDisk,
  findDifference,
  findOther,
  GoneExport,
  OtherDisk,
  refuseWithoutFlush,
} from "./same_disk.ts";
import { Session } from "./session.ts";
import { sleep, StallLimit } from "./stall_limit.ts";
import type { Unflushed } from "./unflushed.ts";

/** Sessions in a row that may end with a fault of the server. */
const FAULTS_MAX = 5;
/** How long the first use waits for more connections than one, milliseconds. */
const ADDING_MS = 1000;

/** The first session's far side, which all others are compared with. */
interface Baseline {
  readonly info: NbdExportInfo;
  readonly identity: string;
}

/** Keeps a remote disk connected. */
export class Keeper {
  readonly #uris: readonly NbdUri[];
  readonly #settings: Settings;
  readonly #dispatcher: Dispatcher;
  readonly #unflushed: Unflushed;
  readonly #onReply: (ms: number) => void;
  readonly #closing = new AbortController();
  #baseline: Baseline | undefined;
  #index = 0;
  /** Attempts since the last reply to a request. */
  #attempt = 0;
  /** Faults of servers since the last reply to a request. */
  #faults = 0;
  #reconnects = 0;
  #lastError: VirstorError | undefined;
  #stopped: VirstorError | undefined;
  readonly #stall: StallLimit;
  /** Ends when no lost connection is served any more. */
  #fences: Promise<unknown> = Promise.resolve();
  /** Ends when no connection is being added. */
  #adding: Promise<unknown> = Promise.resolve();

  /**
   * Creates a keeper without a connection.
   *
   * @param uris The paths, in order.
   * @param settings The settings of the disk.
   * @param dispatcher The queue.
   * @param unflushed The writes since the last good flush.
   * @param onReply Called after each reply, with its milliseconds.
   */
  constructor(
    uris: readonly NbdUri[],
    settings: Settings,
    dispatcher: Dispatcher,
    unflushed: Unflushed,
    onReply: (ms: number) => void,
  ) {
    this.#uris = uris;
    this.#settings = settings;
    this.#dispatcher = dispatcher;
    this.#unflushed = unflushed;
    this.#onReply = onReply;
    this.#stall = new StallLimit(settings.stallMs, () => this.#giveUp());
    dispatcher.freezes.freeze("connecting");
  }

  /** The export, as it was at first. */
  get info(): NbdExportInfo {
    assert(this.#baseline !== undefined, "the disk was connected once");
    return this.#baseline.info;
  }

  /** The path in use, or that was in use last, without a password. */
  get path(): string {
    return this.#uris[this.#index]?.text ?? "";
  }

  /** Number of sessions after the first. */
  get reconnects(): number {
    return this.#reconnects;
  }

  /** The last fault; `undefined` if there was none. */
  get lastError(): VirstorError | undefined {
    return this.#lastError;
  }

  /** Why the disk has stopped for good; `undefined` if it has not. */
  get stopped(): VirstorError | undefined {
    return this.#stopped;
  }

  /**
   * Connects for the first time.
   *
   * @throws {VirstorError} If no path leads to a usable server.
   */
  async open(): Promise<void> {
    const deadline = performance.now() + this.#settings.openTimeoutMs;
    for (;;) {
      const wait = this.#nextWait();
      if (wait > 0 && performance.now() + wait > deadline) {
        throw this.#lastError ?? new VirstorError("io", "Cannot connect");
      }
      await sleep(wait, this.#closing.signal);
      if (this.#closing.signal.aborted) {
        throw this.#lastError ?? new VirstorError("io", "It is closed");
      }
      if (await this.#tryPaths(0, this.#settings.connectTimeoutMs)) break;
    }
    const isEnough = new AbortController();
    await Promise.race([this.#adding, sleep(ADDING_MS, isEnough.signal)]);
    isEnough.abort();
  }

  /**
   * Changes how long requests wait for a connection. Those that come from now on
   * wait, also if others have failed since the last connection.
   *
   * @param ms Milliseconds; undefined: for ever.
   */
  stallAfter(ms: number | undefined): void {
    this.#stall.change(ms);
    if (this.#stopped === undefined) this.#dispatcher.accept();
  }

  /**
   * Ends the session because of a fault that a caller has found, so that the
   * writes since the last good flush are written again.
   *
   * @param error The reason.
   */
  restart(error: VirstorError): void {
    this.#dispatcher.session?.fail(error);
  }

  /** Stops connecting, and ends the session in order. Never fails. */
  async close(): Promise<void> {
    const session = this.#dispatcher.session;
    this.#closing.abort();
    this.#stall.end();
    this.#dispatcher.detach([]);
    await session?.close();
    await this.#fences;
    await this.#adding;
  }

  #report(kind: NbdDiskEvent["kind"], message: string): void {
    this.#settings.onEvent({ kind, message });
  }

  #nextWait(): number {
    const { backOff: options, random } = this.#settings;
    const wait = backOff(this.#attempt, options, random());
    this.#attempt += 1;
    return wait;
  }

  /** Tries each path once; true if a session is in use. */
  async #tryPaths(first: number, limitMs: number): Promise<boolean> {
    let [others, unknown] = [0, 0];
    for (let i = 0; i < this.#uris.length; i++) {
      const index = (first + i) % this.#uris.length;
      const uri = this.#uris[index];
      if (uri === undefined || this.#closing.signal.aborted) return false;
      try {
        const session = await this.#openSession(uri, limitMs);
        if (session.failure !== undefined) throw session.failure;
        this.#index = index;
        this.#use(session);
        return true;
      } catch (error) {
        if (error instanceof OtherDisk) others += 1;
        if (error instanceof UnknownExport) unknown += 1;
        // A path to another disk is passed over: the right one may come back.
        const isChanged = error instanceof ChangedDisk;
        const isPassed = error instanceof OtherDisk &&
          others < this.#uris.length;
        if (isChanged && !isPassed) throw error;
        this.#lastError = isChanged
          ? error
          : uriError("connect to", uri.text, error);
        this.#report(isChanged ? "passed" : "retry", this.#lastError.message);
      }
    }
    const wasThere = this.#baseline !== undefined &&
      this.#settings.endsWithExport;
    if (wasThere && unknown === this.#uris.length) {
      throw new GoneExport(this.path);
    }
    return false;
  }

  /** Steps 1 to 5; the session may still end before it is used. */
  async #openSession(uri: NbdUri, limitMs: number): Promise<Session> {
    const { signal } = this.#closing;
    const hooks = {
      onReply: (command: Command, ms: number) => {
        if (!command.isBound) {
          this.#attempt = 0;
          this.#faults = 0;
        }
        this.#onReply(ms);
        this.#dispatcher.pump();
      },
      onEnd: (ended: Session, error: VirstorError, commands: Command[]) => {
        const fence = uri.socket === ""
          ? guardLate(ended, commands)
          : ended.closed();
        this.#fences = Promise.allSettled([this.#fences, fence]);
        if (this.#dispatcher.session === ended) this.#onLost(error, commands);
      },
    };
    const limits = { signal, limitMs };
    const session = await Session.open(uri, this.#settings, hooks, limits);
    const { freezes } = this.#dispatcher;
    freezes.freeze("changing");
    try {
      const fences = this.#fences;
      this.#compare(uri, session.info);
      await this.#compareIdentity(uri, session);
      await fences;
      await this.#replay(uri, session);
      return session;
    } catch (error) {
      session.fail(asVirstorError(error));
      throw error;
    } finally {
      freezes.thaw("changing");
    }
  }

  #compare(uri: NbdUri, info: NbdExportInfo): void {
    if (this.#baseline !== undefined) {
      const difference = findDifference(this.#baseline.info, info);
      if (difference !== undefined) throw new OtherDisk(uri.text, difference);
    } else refuseWithoutFlush(info, this.#settings);
  }

  async #compareIdentity(uri: NbdUri, session: Session): Promise<void> {
    const read = async (offset: number, length: number) => {
      const target = new Uint8Array(length);
      await session.call({ command: COMMAND_READ, offset, target });
      return target;
    };
    const identity = await this.#identify(uri, read);
    this.#baseline ??= { info: session.info, identity };
    const difference = findOther(this.#baseline.identity, identity);
    if (difference !== undefined) throw new OtherDisk(uri.text, difference);
  }

  async #identify(uri: NbdUri, read: NbdIdentityRead): Promise<string> {
    try {
      return await this.#settings.identify?.(read) ?? "";
    } catch (error) {
      const isTaken = error instanceof VirstorError && error.code === "busy";
      throw isTaken
        ? new ChangedDisk(uri.text, `it was taken: ${error.message}`)
        : error;
    }
  }

  /** Writes again what the server may have lost. */
  async #replay(uri: NbdUri, session: Session): Promise<void> {
    const writes = this.#unflushed.replay();
    if (writes.length === 0) return;
    try {
      await replay(uri.text, session, writes);
    } catch (error) {
      // No range is locked for what may be delivered late: so everything waits.
      if (uri.socket === "") this.#outlast(session);
      throw error;
    }
    this.#report(
      "replayed",
      `Wrote ${counted(writes.length, "request")} again that "${uri.text}" ` +
        "had acknowledged and may have lost",
    );
  }

  /** Holds further connections until nothing of this one can come any more. */
  #outlast(session: Session): void {
    const outlasted = session.closed().then(async (isEnded) => {
      if (!isEnded) await sleep(LATE_MS, this.#closing.signal);
    });
    this.#fences = Promise.allSettled([this.#fences, outlasted]);
  }

  #use(session: Session): void {
    this.#stall.end();
    this.#report("connected", `Connected to "${this.path}"`);
    this.#dispatcher.attach(session);
    this.#dispatcher.freezes.thaw("connecting");
    this.#dispatcher.pump();
    // Requests do not wait for further connections.
    const added = session.addLinks(this.#closing.signal)
      .then(() => this.#dispatcher.pump());
    this.#adding = Promise.allSettled([this.#adding, added]);
  }

  #onLost(error: VirstorError, commands: Command[]): void {
    this.#dispatcher.freezes.freeze("connecting");
    this.#dispatcher.detach(commands);
    if (this.#closing.signal.aborted) return;
    this.#lastError = uriError("use", this.path, error);
    this.#report("lost", this.#lastError.message);
    if (error instanceof ProtocolFault) this.#faults += 1;
    if (this.#faults >= FAULTS_MAX) {
      this.#stop(this.#lastError);
      return;
    }
    this.#stall.begin();
    // A silent path is likely to be down; another one is tried first.
    const step = error instanceof SilentServer ? 1 : 0;
    this.#reconnect((this.#index + step) % this.#uris.length);
  }

  /** Connects again, however long it takes. Runs at most once at a time. */
  async #reconnect(first: number): Promise<void> {
    try {
      const { connectTimeoutMs, firstConnectMs } = this.#settings;
      let limitMs = firstConnectMs;
      for (let start = first;; start = 0) {
        await sleep(this.#nextWait(), this.#closing.signal);
        if (this.#closing.signal.aborted) return;
        if (await this.#tryPaths(start, limitMs)) break;
        limitMs = Math.min(2 * limitMs, connectTimeoutMs);
      }
      this.#reconnects += 1;
    } catch (error) {
      assert(error instanceof ChangedDisk, `no other error: ${error}`);
      this.#stop(error);
    }
  }

  /** Fails what waits for a connection, and goes on connecting. */
  #giveUp(): void {
    const error = new VirstorError(
      "io",
      `Cannot reach "${this.path}" within the stall timeout: ` +
        messageOf(this.#lastError),
      { cause: this.#lastError },
    );
    this.#report("away", error.message);
    this.#dispatcher.refuse(error);
    this.#unflushed.failWaiters(error);
  }

  #stop(error: VirstorError): void {
    this.#stall.end();
    this.#stopped = error;
    this.#lastError = error;
    this.#report("failed", error.message);
    this.#dispatcher.refuse(error);
    this.#unflushed.failWaiters(error);
  }
}
