/**
 * The complete replies of one connection, in the order in which they leave.
 *
 * Replies that lie next to each other in one buffer leave as one part, and many
 * parts with one call of the system: what a device answers later is answered
 * out of order, so such replies lie here and there.
 *
 * @module
 */

import { assert } from "../../../errors.ts";
import { type Carrier, writeAll } from "../stream/mod.ts";

/** Room for replies. */
export interface ReplyBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  /** Places and segments in it that are not sent yet. */
  holds: number;
}

/** Complete replies, next to each other in one buffer. */
interface Segment {
  readonly buffer: ReplyBuffer;
  readonly bytes: Uint8Array<ArrayBuffer>;
  start: number;
  end: number;
}

/** What is complete, and waits to be sent. */
export class Outgoing {
  readonly #carrier: Carrier;
  readonly #giveUp: (buffer: ReplyBuffer) => void;
  readonly #segments: Segment[] = [];

  /**
   * Begins with nothing.
   *
   * @param carrier Where replies go.
   * @param giveUp Called for each segment that is sent: its hold on the buffer
   *   ends.
   */
  constructor(carrier: Carrier, giveUp: (buffer: ReplyBuffer) => void) {
    this.#carrier = carrier;
    this.#giveUp = giveUp;
  }

  /** Whether nothing waits. */
  get isEmpty(): boolean {
    return this.#segments.length === 0;
  }

  /**
   * Adds replies, and takes over one hold on their buffer.
   *
   * @param buffer The buffer.
   * @param start Where they begin.
   * @param end Where they end.
   */
  add(buffer: ReplyBuffer, start: number, end: number): void {
    const last = this.#segments.at(-1);
    if (last !== undefined && last.buffer === buffer && last.end === start) {
      last.end = end;
      buffer.holds--;
      return;
    }
    this.#segments.push({ buffer, bytes: buffer.bytes, start, end });
  }

  /** Drops everything. */
  drop(): void {
    this.#segments.length = 0;
  }

  /**
   * Sends what the connection takes at once.
   *
   * @returns Whether that is everything.
   */
  sendNow(): boolean {
    const segments = this.#segments;
    while (segments.length > 0) {
      if (!this.#sendSome()) return false;
    }
    return true;
  }

  /**
   * Sends the first segment, and waits until the connection has taken it.
   *
   * *Requires*: there is one.
   */
  async sendFirst(): Promise<void> {
    const segment = this.#segments.shift();
    assert(segment !== undefined, "there is something to send");
    const { buffer, bytes, start, end } = segment;
    await writeAll(this.#carrier, bytes.subarray(start, end));
    this.#giveUp(buffer);
  }

  /** Sends with one call; false if not everything that it was given was taken. */
  #sendSome(): boolean {
    const [carrier, segments] = [this.#carrier, this.#segments];
    const [first] = segments;
    assert(first !== undefined, "there is something to send");
    if (segments.length > 1 && carrier.writePartsNow !== undefined) {
      return this.#pass(carrier.writePartsNow(segments));
    }
    const { bytes, start, end } = first;
    return this.#pass(carrier.writeNow(bytes, start, end));
  }

  /** Passes bytes that were taken; false if they end inside a segment. */
  #pass(count: number): boolean {
    const segments = this.#segments;
    let [taken, sent] = [count, 0];
    for (const segment of segments) {
      const length = segment.end - segment.start;
      if (taken < length) {
        segment.start += taken;
        break;
      }
      taken -= length;
      sent++;
      this.#giveUp(segment.buffer);
      if (taken === 0) break;
    }
    segments.splice(0, sent);
    return count > 0 && taken === 0;
  }
}
