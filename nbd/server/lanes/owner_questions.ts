/**
 * What the thread of a lane asks the owner of the device for, and waits for:
 * chunks that are about to be written to. To wait for an answer costs less than to hand a request over.
 *
 * @module
 */

import type { LeasedDisk } from "../../../device/leases/mod.ts";
import { COMMAND_READ, COMMAND_WRITE, LANE_WANTS_MAX } from "../../wire/mod.ts";
import { FirstWriteRun } from "./first_write_run.ts";
import {
  NEXT_WHOLE,
  type ReceiveBuffer,
  RequestReader,
} from "../transmission/mod.ts";
import type { LaneControl } from "./lane_control.ts";
import type { LaneSocket } from "./lane_socket.ts";

/** What questions are about. */
export interface QuestionsParts {
  /** What is leased. */
  readonly disk: LeasedDisk;
  /** What is shared with the server. */
  readonly control: LaneControl;
  /** Where requests come. */
  readonly received: ReceiveBuffer;
  /** Whether headers are extended. */
  readonly extended: boolean;
  /** Where replies leave. */
  readonly socket: LaneSocket;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
}

/** Asks for one connection. */
export class OwnerQuestions {
  readonly #parts: QuestionsParts;
  readonly #run: FirstWriteRun;
  /** The owner was asked for the chunks of this batch. */
  #hasAsked = false;

  /**
   * Begins.
   *
   * @param parts What questions are about.
   */
  constructor(parts: QuestionsParts) {
    this.#parts = parts;
    this.#run = new FirstWriteRun(parts.chunkSize);
  }

  /** Other requests have come. */
  beginBatch(): void {
    this.#hasAsked = false;
  }

  /**
   * Has the chunks mapped that the WRITEs in the receive buffer need, from the
   * next one on, and leased: all with one question, once a batch.
   *
   * @returns Whether it was asked.
   */
  prepareBatch(): boolean {
    if (this.#hasAsked) return false;
    this.#hasAsked = true;
    const { received, extended, disk } = this.#parts;
    const ahead = received.ahead();
    const reader = new RequestReader(ahead, extended);
    const offsets: number[] = [];
    while (offsets.length < LANE_WANTS_MAX && reader.next() === NEXT_WHOLE) {
      const { command, offset, length } = reader.request;
      if (command !== COMMAND_READ && command !== COMMAND_WRITE) break;
      ahead.skip(reader.headerSize + reader.payloadLength);
      if (command === COMMAND_READ) continue;
      // A WRITE over several chunks asks for itself.
      if (length > disk.reach(offset) || disk.isLeased(offset)) continue;
      offsets.push(offset);
    }
    this.#prepare(offsets);
    return true;
  }

  /**
   * Has the chunks of a range mapped and leased, some of them ahead.
   *
   * @param offset The first byte.
   * @param length How many.
   */
  prepareRange(offset: number, length: number): void {
    const { disk, chunkSize } = this.#parts;
    const offsets: number[] = [];
    let at = offset;
    while (at < offset + length && offsets.length < LANE_WANTS_MAX) {
      if (!disk.isLeased(at)) offsets.push(at);
      at += chunkSize - at % chunkSize;
    }
    this.#prepare(offsets);
  }

  #prepare(offsets: readonly number[]): void {
    const { socket, control } = this.#parts;
    // Others may wait for these meanwhile.
    socket.send();
    control.askForChunks(offsets, this.#run.take(offsets));
  }
}
