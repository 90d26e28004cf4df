/**
 * A connection that has a lane, as the server sees it: what its thread hands
 * over can be read here, and what is written here goes out between the replies
 * of the thread.
 *
 * @module
 */

import type { Leases } from "../../../device/leases/mod.ts";
import type { NativeSockets } from "../../../device/linux/mod.ts";
import type { NbdCounters, RequestTimes } from "../export/mod.ts";
import type { LaneControl } from "./lane_control.ts";
import type { LaneReport } from "./lane_messages.ts";
import { LANE_MESSAGE_COST } from "../../wire/mod.ts";
import type { Carrier } from "../stream/mod.ts";
import { MappedAhead } from "./mapped_ahead.ts";

/** What a connection on a lane is made of. */
export interface LaneParts {
  /** The connection. */
  readonly descriptor: number;
  /** Whether it is one of TCP. */
  readonly isTcp: boolean;
  /** What sends. */
  readonly sockets: NativeSockets;
  /** What is shared with the thread. */
  readonly control: LaneControl;
  /** The name of the export. */
  readonly exportName: string;
  /** Where chunks are leased. */
  readonly leases: Leases;
  /** Where requests are counted that the thread answers by the server's leave. */
  readonly counters: NbdCounters;
}

/** A send that fails so often in a row fails for good. */
const TRIES = 3;

/** The server's end of a lane. */
export class LaneStream implements Carrier {
  /** How the client is served. */
  readonly manner = " on a thread of its own";
  /** Fulfilled when the thread and the server both use it no more. */
  readonly finished: Promise<void>;

  readonly #parts: LaneParts;
  readonly #mappedAhead: MappedAhead;
  readonly #queue: Uint8Array<ArrayBuffer>[] = [];
  readonly #finish = Promise.withResolvers<void>();
  /** What the thread has asked for; some of it may become possible later. */
  #wants: readonly number[] = [];
  #ended = false;
  #closed = false;
  #writes = 0;
  #wake: (() => void) | undefined = undefined;

  /**
   * Takes a connection whose thread has begun.
   *
   * @param parts What it is made of.
   */
  constructor(parts: LaneParts) {
    this.#parts = parts;
    this.#mappedAhead = new MappedAhead(parts.leases);
    this.finished = this.#finish.promise;
    void this.#answerQuestions();
  }

  /** Changes when something comes, also if the thread deals with it. */
  get activity(): number {
    const { control } = this.#parts;
    // A client whose flush is in flight is not idle, however long that takes.
    if (control.isFlushing) control.noteActivity();
    return control.activity;
  }

  /** Whether neither the thread nor the system holds anything. */
  get isDrained(): boolean {
    if (this.#ended || this.#closed) return this.#queue.length === 0;
    const { control, sockets, descriptor, isTcp } = this.#parts;
    const { activity } = control;
    // The thread may receive between the first look and the second one; then it
    // is at work at the third, or has been.
    return control.isDrained && sockets.isDrained(descriptor, isTcp) &&
      control.isDrained && control.activity === activity;
  }

  /**
   * Adds what the thread has done.
   *
   * @param counters Where to.
   */
  addCounts(counters: NbdCounters): void {
    this.#parts.control.addCounts(counters);
  }

  /** The name of the export. */
  get exportName(): string {
    return this.#parts.exportName;
  }

  /** How long the requests took that the thread has answered. */
  get times(): RequestTimes {
    return this.#parts.control.times;
  }

  /** Whether the thread is at work on requests. */
  get isAtWork(): boolean {
    return !this.#ended && this.#parts.control.isAtWork;
  }

  /**
   * Says whether there is no other client.
   *
   * @param isAlone Whether that is so.
   */
  setAlone(isAlone: boolean): void {
    this.#parts.control.isAlone = isAlone;
  }

  /** From now on everything that comes can be read here. */
  divert(): void {
    this.#parts.control.divert();
  }

  /**
   * Takes what the thread tells.
   *
   * @param report What it tells, once it has started.
   */
  take(report: Exclude<LaneReport, { kind: "ready" }>): void {
    switch (report.kind) {
      case "ended":
        this.#ended = true;
        this.#parts.control.endQuestions();
        this.#mappedAhead.end();
        break;
      case "bytes":
        if (this.#closed) return;
        this.#grant(report.wants);
        this.#wants = report.wants;
        this.#queue.push(report.bytes);
    }
    this.#changed();
  }

  /**
   * Waits for bytes that are the server's to deal with.
   *
   * @param target Where they go; not empty.
   * @returns How many came, or `null` at the end.
   */
  async read(target: Uint8Array): Promise<number | null> {
    // What came before was carried out meanwhile, and may have been mapped.
    this.#grant(this.#wants);
    this.#wants = [];
    for (;;) {
      const first = this.#queue.shift();
      if (first !== undefined) {
        const length = Math.min(first.length, target.length);
        target.set(first.subarray(0, length));
        const isWhole = length === first.length;
        if (!isWhole) this.#queue.unshift(first.subarray(length));
        const message = isWhole ? LANE_MESSAGE_COST : 0;
        this.#parts.control.takeBacklog(length + message);
        return length;
      }
      if (this.#ended || this.#closed) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /**
   * Sends the whole of `source`, with nothing of the thread's in between.
   *
   * @param source Complete replies.
   * @returns Its length.
   */
  async write(source: Uint8Array<ArrayBuffer>): Promise<number> {
    const { control } = this.#parts;
    this.#writes++;
    try {
      if (!control.lockNow()) await control.lockLater();
      try {
        await this.#sendAll(source);
      } finally {
        control.unlock();
      }
    } finally {
      this.#writes--;
      this.#changed();
    }
    return source.length;
  }

  /**
   * Nothing is sent at once: the thread may be sending.
   *
   * @returns 0: `write` has to be asked.
   */
  writeNow(): number {
    return 0;
  }

  /** Ends the connection; the thread then ends, too. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue.length = 0;
    const { sockets, descriptor, control } = this.#parts;
    // The descriptor stays open until both sides are done with it.
    sockets.shutdown(descriptor);
    control.dropBacklog();
    this.#changed();
  }

  async #sendAll(source: Uint8Array<ArrayBuffer>): Promise<void> {
    const { sockets, descriptor, control } = this.#parts;
    let tries = 0;
    for (let sent = 0; sent < source.length;) {
      const { length } = source;
      const count = sockets.sendNow(descriptor, source, sent, length);
      if (count > 0) {
        sent += count;
        tries = 0;
        // A client that takes replies, however slowly, is not idle.
        control.noteActivity();
      } else if (
        !await sockets.writable(descriptor) || this.#closed ||
        ++tries === TRIES
      ) {
        throw new Deno.errors.BrokenPipe("The connection takes no more");
      }
    }
  }

  /** Maps chunks ahead of the writes of the thread, as long as it asks. */
  async #answerQuestions(): Promise<void> {
    const { control, leases } = this.#parts;
    while (await control.awaitQuestion()) {
      const { offsets, ahead } = control.takeQuestion();
      const isAll = !this.#closed && leases.prepare(...offsets);
      // The next question overwrites it.
      const last = offsets.at(-1) ?? 0;
      control.answer(isAll);
      // The thread writes meanwhile.
      if (isAll && ahead > 0) this.#mappedAhead.map(last, ahead);
    }
  }

  #grant(wants: readonly number[]): void {
    for (const offset of wants) this.#parts.leases.grant(offset);
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
    if (this.#ended && this.#closed && this.#writes === 0) {
      this.#finish.resolve();
    }
  }
}
