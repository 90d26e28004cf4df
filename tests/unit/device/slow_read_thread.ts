/**
 * A thread that reads or writes a leased range of a disk that takes its time:
 * it is in the middle of the call until it may go on.
 *
 * @module
 */

import { LeasedDisk } from "../../../device/leases/leased_disk.ts";
import type { LeaseMemory } from "../../../device/leases/mod.ts";
import { NativeBuffer, NativeIo } from "../../../device/linux/native_io.ts";

/** Words of the shared memory. */
export const WORD = {
  /** 1 from the moment at which the thread is in the middle of a call. */
  inside: 0,
  /** 1 when it may go on. */
  goOn: 1,
} as const;

/** After so long it goes on anyway, so that a failure is no hang. */
const LIMIT_MS = 60_000;

/** A message to a thread. */
export interface SlowJob {
  /** Which chunks are leased. */
  readonly memory: LeaseMemory;
  /** The thread's number there. */
  readonly thread: number;
  /** The first byte of the range. */
  readonly offset: number;
  /** Bytes of the range. */
  readonly length: number;
  /** `true` to write a byte 7 to all of it, instead of reading it. */
  readonly writes: boolean;
  /** The words above. */
  readonly shared: SharedArrayBuffer;
}

/** What a thread tells in the end. */
export interface SlowResult {
  /** Whether it was done under the lease. */
  readonly done: boolean;
  /** Whether it was allowed to go on before it went on. */
  readonly wasTold: boolean;
}

/** Reads of the disk, not of the page cache. */
class SlowIo extends NativeIo {
  readonly #words: Int32Array;
  wasTold = true;

  constructor(words: Int32Array) {
    super();
    this.#words = words;
  }

  override readNoWait(): number {
    return -1;
  }

  override read(
    descriptor: number,
    address: number,
    length: number,
    offset: number,
  ): boolean {
    const done = super.read(descriptor, address, length, offset);
    Atomics.store(this.#words, WORD.inside, 1);
    Atomics.notify(this.#words, WORD.inside);
    const end = Atomics.wait(this.#words, WORD.goOn, 0, LIMIT_MS);
    this.wasTold &&= end !== "timed-out";
    return done;
  }
}

/** What a thread knows of the one that started it. */
interface Thread {
  onmessage: ((event: MessageEvent<SlowJob>) => void) | null;
  postMessage(result: SlowResult): void;
}

const thread = globalThis as unknown as Thread;
thread.onmessage = ({ data }) => {
  const { memory, offset, length, writes, shared } = data;
  const io = new SlowIo(new Int32Array(shared));
  const disk = new LeasedDisk(memory, data.thread, io);
  const { address, bytes } = new NativeBuffer(length);
  bytes.fill(7);
  const done = writes
    ? disk.write(address, length, offset)
    : disk.read(address, length, offset);
  thread.postMessage({ done, wasTold: io.wasTold });
};
