/**
 * A thread that writes one block of a leased chunk each time that it is asked
 * to, a moment later.
 *
 * @module
 */

import { LeasedDisk } from "../../device/leases/leased_disk.ts";
import type { LeaseMemory } from "../../device/leases/mod.ts";
import { NativeBuffer } from "../../device/linux/native_io.ts";

/** Words of the shared memory. */
export const WORD = {
  /** The number of the round, from 1; -1: it is over. */
  round: 0,
  /** How many steps it lets pass before it writes. */
  delay: 1,
  /** The last round that it has done. */
  done: 2,
  /** Whether it has written in that round, under its lease. */
  written: 3,
} as const;

/** A message to a thread. */
export interface WriterJob {
  /** Which chunks are leased. */
  readonly memory: LeaseMemory;
  /** The thread's number there. */
  readonly thread: number;
  /** Where it writes. */
  readonly offset: number;
  /** Bytes that it writes. */
  readonly length: number;
  /** The words above. */
  readonly shared: SharedArrayBuffer;
}

/** What a thread knows of the one that started it. */
interface Thread {
  onmessage: ((event: MessageEvent<WriterJob>) => void) | null;
}

function serve(job: WriterJob): void {
  const { memory, thread, offset, length, shared } = job;
  const words = new Int32Array(shared);
  const disk = new LeasedDisk(memory, thread);
  const { bytes, address } = new NativeBuffer(length);
  for (let last = 0;;) {
    const round = Atomics.load(words, WORD.round);
    if (round < 0) return;
    if (round === last) {
      Atomics.wait(words, WORD.round, last, 1);
      continue;
    }
    last = round;
    bytes.fill(round);
    const delay = Atomics.load(words, WORD.delay);
    for (let step = 0; step < delay; step++) Atomics.load(words, WORD.delay);
    const isDone = disk.write(address, length, offset);
    Atomics.store(words, WORD.written, isDone ? 1 : 0);
    Atomics.store(words, WORD.done, round);
    Atomics.notify(words, WORD.done);
  }
}

const thread = globalThis as unknown as Thread;
thread.onmessage = ({ data }) => serve(data);
