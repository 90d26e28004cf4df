/**
 * One connection in the transmission phase: sends requests in batches, matches
 * replies, notices silence, and tells once why it ended.
 *
 * @module
 */

import { assert, asVirstorError, VirstorError } from "../../../errors.ts";
import { COMMAND_DISCONNECT, COMMAND_READ, ESHUTDOWN } from "../../wire/mod.ts";
import { inTime, type Negotiated } from "../connection/mod.ts";
import { Command } from "./command.ts";
import { ReplyReader } from "./reply_reader.ts";
import { RequestSender } from "./request_sender.ts";
import { serverError } from "./server_error.ts";
import { type Slot, TagTable } from "./tag_table.ts";

/** Bytes that are dropped at once after the end. */
const SCRATCH_SIZE = 128 * 1024;
/** A reply within this time came soon, milliseconds. */
const QUICK_MS = 0.15;
/** How long to busy-poll for a reply that should come soon, milliseconds. */
const POLL_MS = 0.05;
/** Looks without progress after which a connection counts as lost. */
const SILENT_LOOKS_MAX = 4;

/** The server, or the network, has stopped to answer. */
export class SilentServer extends VirstorError {
  /**
   * Creates an error.
   *
   * @param ms How long nothing has come, milliseconds.
   */
  constructor(ms: number) {
    const text = `The server was silent for ${inTime(ms)}`;
    super("io", `${text}, look whether it hangs`);
  }
}

/** Configuration of a connection. */
export interface LinkOptions {
  /** Requests in flight at once. */
  readonly depth: number;
  /** Milliseconds of silence after which a connection counts as lost. */
  readonly silenceMs: number;
  /**
   * Milliseconds that a connection that has ended here is read on, until the
   * server ends it, too: then the server executes nothing of it any more.
   */
  readonly fenceMs: number;
  /**
   * Called after each reply.
   *
   * @param command The request, which is settled.
   * @param ms How long the reply took, milliseconds.
   */
  readonly onReply: (command: Command, ms: number) => void;
  /**
   * Called once, when the connection ends.
   *
   * @param error The reason.
   * @param commands The requests without a reply, in their order.
   */
  readonly onEnd: (error: VirstorError, commands: Command[]) => void;
}

/** One connection in the transmission phase. */
export class Link {
  /** Resolves when the server has ended the connection, or after the fence. */
  readonly closed: Promise<void>;
  readonly #connection: Negotiated;
  readonly #options: LinkOptions;
  readonly #tags = new TagTable();
  readonly #replies: ReplyReader;
  readonly #sender: RequestSender;
  #outgoing: Command[] = [];
  #writing = false;
  #ended = false;
  #isAborted = false;
  /** Looks since the last sign of life; see `SenderOptions.onRoom`. */
  #silentLooks = 0;
  /** Bytes received by the last look. */
  #received = 0;
  #probe: Command | undefined;
  /** Whether the last reply came soon. */
  #isQuick = false;
  /** Wakes what waits for the next request before it reads. */
  #wake: (() => void) | undefined;
  readonly #watch: ReturnType<typeof setInterval>;

  /**
   * Takes over a connection.
   *
   * @param connection The connection.
   * @param options How it is used.
   */
  constructor(connection: Negotiated, options: LinkOptions) {
    this.#connection = connection;
    this.#options = options;
    const { dialect } = connection.info;
    this.#sender = new RequestSender(connection.stream, {
      isExtended: dialect === "extended",
      isEnded: () => this.#ended,
      onRoom: () => this.#silentLooks = 0,
    });
    this.#replies = new ReplyReader(connection.reader, this.#tags, {
      dialect,
      contextId: connection.contextId,
      isEnded: () => this.#ended,
    });
    const lookMs = options.silenceMs / SILENT_LOOKS_MAX;
    this.#watch = setInterval(() => this.#look(), lookMs);
    // Not inline: whatever has arrived may end the connection.
    this.closed = Promise.resolve().then(() => this.#receive());
  }

  /** Requests in flight, or about to leave. */
  get inFlight(): number {
    return this.#tags.count + this.#outgoing.length;
  }

  /** Whether the connection takes another request. */
  get hasRoom(): boolean {
    return !this.#ended && this.inFlight < this.#options.depth;
  }

  /** Whether the connection has ended. */
  get isEnded(): boolean {
    return this.#ended;
  }

  /** Whether the server has not ended the connection within the fence. */
  get isAborted(): boolean {
    return this.#isAborted;
  }

  /** When the oldest request in flight left, milliseconds. */
  get oldest(): number {
    return this.#tags.oldest();
  }

  /**
   * Sends a request, together with others of this turn of the event loop.
   *
   * *Requires:* the connection has not ended.
   *
   * @param command The request.
   */
  send(command: Command): void {
    assert(!this.#ended, "a connection that has ended takes no request");
    if (this.inFlight === 0) this.#silentLooks = 0;
    this.#outgoing.push(command);
    if (this.#writing) return;
    this.#writing = true;
    queueMicrotask(() => this.#write());
  }

  /**
   * Ends the connection because of a fault. Requests without a reply go to
   * `onEnd`.
   *
   * @param error The reason.
   */
  fail(error: VirstorError): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#watch);
    this.#rouse();
    const commands = [...this.#tags.takeAll(), ...this.#outgoing];
    this.#outgoing = [];
    for (const command of commands) if (command.isBound) command.fail(error);
    this.#options.onEnd(error, commands.filter(({ isBound }) => !isBound));
    const { stream } = this.#connection;
    // The server sees the end, and finishes or drops what it has received.
    stream.closeWrite();
    const timer = setTimeout(() => {
      this.#isAborted = true;
      stream.abort();
    }, this.#options.fenceMs);
    this.closed.then(() => clearTimeout(timer));
  }

  /**
   * Ends the connection in order: the server finishes all requests first.
   *
   * @returns Resolves when the connection is closed.
   */
  async close(): Promise<void> {
    if (!this.#ended) {
      const slot = this.#tags.add(
        new Command({ command: COMMAND_DISCONNECT }, true),
        performance.now(),
      );
      try {
        // Behind a request that is leaving, DISC would end up inside it.
        if (!this.#writing) await this.#sender.send([slot]);
      } catch {
        // The connection has ended.
      }
      this.fail(new VirstorError("cancelled", "The connection is closed"));
    }
    await this.closed;
  }

  /** Sends everything that is outgoing. One call at a time runs. */
  async #write(): Promise<void> {
    try {
      while (this.#outgoing.length > 0 && !this.#ended) {
        const batch = this.#outgoing;
        this.#outgoing = [];
        const now = performance.now();
        // From here on all of them are in the table, should the connection end.
        const slots = batch.map((command) => this.#start(command, now));
        const sending = this.#sender.send(slots);
        // Not behind it: a server may take no more before it has answered.
        this.#rouse();
        await sending;
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#writing = false;
    }
  }

  #start(command: Command, now: number): Slot {
    command.onSend?.();
    command.runs.length = 0;
    return this.#tags.add(command, now);
  }

  /** Receives until the connection ends; after a fault only its end. */
  async #receive(): Promise<void> {
    try {
      let now = performance.now();
      while (!this.#ended) {
        let slot = this.#replies.takeBuffered();
        if (slot === undefined) {
          slot = await this.#next();
          // What has come together has come now.
          now = performance.now();
        }
        if (slot !== undefined && !this.#ended) this.#finish(slot, now);
      }
    } catch (error) {
      this.#fail(error);
    }
    await this.#drain();
    this.#connection.stream.close();
  }

  /**
   * Waits for more of the replies. A server that has answered one request
   * quickly is likely to answer the next one so. Then nothing reads meanwhile,
   * since what has begun to read would get what comes after polled bytes.
   */
  async #next(): Promise<Slot | undefined> {
    if (this.#isQuick && this.inFlight === 0) {
      await new Promise<void>((resolve) => this.#wake = resolve);
      if (this.#ended) return undefined;
      const isAlone = this.#tags.count === 1;
      if (isAlone && this.#connection.reader.poll(POLL_MS)) return undefined;
    }
    return await this.#replies.next();
  }

  /** Has the connection looked at, if nothing reads. */
  #rouse(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  async #drain(): Promise<void> {
    const scratch = new Uint8Array(SCRATCH_SIZE);
    try {
      while (await this.#connection.stream.read(scratch) !== null);
    } catch {
      // The connection has ended.
    }
  }

  #finish(slot: Slot, now: number): void {
    const { command, failure, sentAt } = slot;
    const { uri } = this.#connection.info;
    if (failure?.errno === ESHUTDOWN) {
      // The request stays in flight, and goes to the next connection.
      this.fail(serverError(command, failure, uri));
      return;
    }
    this.#tags.remove(slot);
    if (failure === undefined) command.succeed();
    else command.fail(serverError(command, failure, uri));
    this.#isQuick = now - sentAt < QUICK_MS;
    if (command === this.#probe) this.#probe = undefined;
    else this.#options.onReply(command, now - sentAt);
  }

  /**
   * Looks for silence. A server may take its time over a request, and still
   * answers another one: so the client asks before it gives up.
   */
  #look(): void {
    if (this.inFlight === 0) {
      // It may have ended.
      this.#rouse();
      return;
    }
    // Looks are counted, not milliseconds: a process that was stopped for a
    // while receives what has arrived before it looks again. A part of a reply
    // is a sign of life, too.
    const { received } = this.#connection.reader;
    this.#silentLooks = received === this.#received ? this.#silentLooks + 1 : 1;
    this.#received = received;
    const { silenceMs } = this.#options;
    if (this.#silentLooks > SILENT_LOOKS_MAX) {
      this.fail(new SilentServer(silenceMs));
    } else if (
      this.#silentLooks >= SILENT_LOOKS_MAX / 2 && this.#probe === undefined
    ) {
      const { minimumBlock, size } = this.#connection.info;
      if (size === 0) return;
      const target = new Uint8Array(minimumBlock);
      this.#probe = new Command({ command: COMMAND_READ, target }, true);
      this.send(this.#probe);
    }
  }

  #fail(error: unknown): void {
    this.fail(asVirstorError(error));
  }
}
