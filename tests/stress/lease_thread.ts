/**
 * A thread that reads all chunks it can get, and writes those that are its own
 * to write. It must never see another chunk's marks, and always its own last
 * write.
 *
 * @module
 */

import { LeasedDisk } from "../../device/leases/leased_disk.ts";
import type { LeaseMemory } from "../../device/leases/mod.ts";
import { NativeBuffer } from "../../device/linux/native_io.ts";
import {
  type ChunkKind,
  chunkNumber,
  countOf,
  mark,
  ownerOf,
} from "./marked_chunk.ts";

/** A message to a thread. */
export interface ThreadJob {
  /** Which chunks are leased. */
  readonly memory: LeaseMemory;
  /** What they are. */
  readonly kind: ChunkKind;
  /** The thread's number there. */
  readonly thread: number;
  /** How many threads there are. */
  readonly threads: number;
  /** A word that is not 0 when all is over, and one for the work of each. */
  readonly shared: SharedArrayBuffer;
}

/** What a thread knows of the one that started it. */
interface Thread {
  onmessage: ((event: MessageEvent<ThreadJob>) => void) | null;
  /** Tells what it has seen and should not; "" if nothing. */
  postMessage(fault: string): void;
}

class Reader {
  readonly #disk: LeasedDisk;
  readonly #buffer: NativeBuffer;
  readonly #words: Uint32Array;
  readonly #job: ThreadJob;
  /** How often each of its own chunks was written. */
  readonly #counts = new Map<number, number>();
  #reads = 0;
  #writes = 0;

  constructor(job: ThreadJob) {
    this.#job = job;
    this.#disk = new LeasedDisk(job.memory, job.thread);
    this.#buffer = new NativeBuffer(job.kind.size);
    this.#words = new Uint32Array(this.#buffer.bytes.buffer);
  }

  /** Returns what is wrong, or "". */
  run(): string {
    const { shared, thread } = this.#job;
    const words = new Int32Array(shared);
    let fault = "";
    while (fault === "" && Atomics.load(words, 0) === 0) {
      fault = this.#step();
      Atomics.store(words, 1 + thread, Math.min(this.#reads, this.#writes));
    }
    return fault;
  }

  /** Returns what is wrong, or "". */
  #step(): string {
    const { thread, threads, kind: { size, count: chunks } } = this.#job;
    const index = Math.floor(Math.random() * chunks);
    const offset = chunkNumber(index) * size;
    const isOwn = index % threads === thread;
    const { address } = this.#buffer;
    if (isOwn && Math.random() < 0.5) {
      const count = (this.#counts.get(index) ?? 0) + 1;
      mark(this.#words, index, count);
      if (!this.#disk.write(address, size, offset)) return "";
      this.#counts.set(index, count);
      this.#writes++;
      return "";
    }
    if (!this.#disk.read(address, size, offset)) return "";
    this.#reads++;
    const owner = ownerOf(this.#words);
    if (owner !== index) return `chunk ${index} has marks of ${owner}`;
    const [count, last] = [countOf(this.#words), this.#counts.get(index) ?? 0];
    if (!isOwn || count === last) return "";
    return `chunk ${index} shows write ${count} after write ${last}`;
  }
}

const thread = globalThis as unknown as Thread;
thread.onmessage = ({ data }) => thread.postMessage(new Reader(data).run());
