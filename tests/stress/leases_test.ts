/**
 * Goal: a thread that uses a lease is alone with its chunk, however fast its
 * owner moves chunks about. Method: threads read and write chunks of real
 * files, and the owner moves the chunks all the time. Every place bears the
 * mark of the chunk that it is, or that of a free place: no thread may see the
 * mark of another one, nor lose a write, nor write to a place that was taken
 * from it.
 *
 * `VIRSTOR_STRESS_SECONDS` says how long it goes on.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { createSparseFile, FileDevice } from "../../device/mod.ts";
import { LeaseTable, type LentDescriptor } from "../../device/leases/mod.ts";
import { Random } from "../simulation/random.ts";
import { makeQuickScratch } from "../helpers/small_pools.ts";
import type { ThreadJob } from "./lease_thread.ts";
import {
  type ChunkKind,
  chunkNumber,
  FREE,
  mark,
  ownerOf,
} from "./marked_chunk.ts";

/** How long it goes on, seconds. */
const SECONDS = Number(Deno.env.get("VIRSTOR_STRESS_SECONDS") ?? 5);
/** Threads; one more than most machines here have to spare. */
const THREADS = 3;
/**
 * Few small chunks change hands often; reads and writes of large ones take
 * their time.
 */
const KINDS: readonly ChunkKind[] = [
  { size: 512, count: 6 },
  { size: 32 * 1024, count: 24 },
];
/** How long a round with one kind takes, milliseconds. */
const ROUND_MS = 500;
/** In each round every thread must read and write so often. */
const WORK_LEAST = 100;
/** Turns of the owner between looks at the others. */
const TURNS = 100;

/** Where a chunk is. */
interface Place {
  readonly file: number;
  readonly number: number;
}

/** The owner: of the files, the chunks on them and their leases. */
class Owner implements Disposable {
  readonly table: LeaseTable;
  readonly #files: readonly FileDevice[];
  readonly #lent: readonly LentDescriptor[];
  readonly #random = new Random(1);
  readonly #kind: ChunkKind;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #freeMark: Uint8Array;
  readonly #chunks: Place[] = [];
  readonly #free: Place[] = [];

  constructor(paths: readonly string[], kind: ChunkKind) {
    const { size, count } = kind;
    this.#kind = kind;
    this.table = new LeaseTable(size, true);
    this.#words = new Uint32Array(size / 4);
    this.#bytes = new Uint8Array(this.#words.buffer);
    this.#freeMark = new Uint8Array(size).fill(0xff);
    this.#files = paths.map((path) => {
      createSparseFile(path, count * size);
      const file = new FileDevice(path);
      // Now it is known whether the system tells what is cached.
      file.readCached(this.#bytes, 0);
      return file;
    });
    this.#lent = this.#files.flatMap((file) => file.lend() ?? []);
    assertEquals(this.#lent.length, paths.length, "there are native calls");
    for (const file of this.#files.keys()) {
      for (let number = 0; number < count; number++) {
        const place = { file, number };
        this.#write(place, this.#freeMark);
        this.#free.push(place);
      }
    }
    for (let index = 0; index < count; index++) {
      const place = this.#takeFree();
      mark(this.#words, index, 0);
      this.#write(place, this.#bytes);
      this.#chunks.push(place);
      this.#grant(index);
    }
  }

  /** Moves one chunk, or only leases it again. */
  turn(): void {
    const index = this.#random.below(this.#kind.count);
    // Those that it shares a place in the table with may have lost theirs.
    if (this.#random.chance(30)) return this.#grant(index);
    const from = this.#placeOf(index);
    this.table.withdraw(chunkNumber(index));
    const to = this.#takeFree();
    this.#assertMark(from, index);
    this.#write(to, this.#bytes);
    this.#write(from, this.#freeMark);
    this.#chunks[index] = to;
    this.#free.push(from);
    if (this.#random.chance(90)) this.#grant(index);
  }

  /** Takes every chunk from every thread, for ever. */
  end(): void {
    this.table.end();
    for (const [index, place] of this.#chunks.entries()) {
      this.#assertMark(place, index);
      this.#write(place, this.#freeMark);
      this.#free.push(place);
    }
  }

  /** Fails unless nothing was written after the end. */
  assertUntouched(): void {
    for (const place of this.#free) this.#assertMark(place, FREE);
  }

  [Symbol.dispose](): void {
    for (const file of this.#files) file.close();
  }

  #grant(index: number): void {
    const { file, number } = this.#placeOf(index);
    const lent = this.#lent[file];
    if (lent === undefined) return;
    this.table.grant(chunkNumber(index), file + 1, lent, number);
  }

  #placeOf(index: number): Place {
    const place = this.#chunks[index];
    if (place === undefined) throw new Error(`There is no chunk ${index}`);
    return place;
  }

  /** A place that no thread may have written to. */
  #takeFree(): Place {
    const at = this.#random.below(this.#free.length);
    const [place] = this.#free.splice(at, 1);
    if (place === undefined) throw new Error("No place is free");
    this.#assertMark(place, FREE);
    return place;
  }

  /** Reads a place, too. */
  #assertMark(place: Place, owner: number): void {
    const { file, number } = place;
    this.#files[file]?.read(this.#bytes, number * this.#kind.size);
    const found = ownerOf(this.#words);
    if (found === owner) return;
    throw new Error(
      `Place ${number} of file ${file} has marks of ${found}, not of ${owner}`,
    );
  }

  #write({ file, number }: Place, bytes: Uint8Array): void {
    this.#files[file]?.write(bytes, number * this.#kind.size);
  }
}

/** The threads, from outside. */
class Threads implements Disposable {
  /** What each has seen and should not; "" if nothing. */
  readonly reports: Promise<string[]>;
  readonly #workers: Worker[] = [];
  readonly #words: Int32Array;

  constructor(table: LeaseTable, kind: ChunkKind) {
    const { memory } = table;
    const numbers = Array.from({ length: THREADS }, () => table.join() ?? -1);
    const shared = new SharedArrayBuffer(4 * (1 + numbers.length));
    this.#words = new Int32Array(shared);
    this.reports = Promise.all(numbers.map((thread) => {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const module = new URL("./lease_thread.ts", import.meta.url);
      const worker = new Worker(module, { type: "module" });
      worker.onmessage = ({ data }: MessageEvent<string>) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      const job = { memory, kind, thread, threads: THREADS, shared };
      worker.postMessage(job satisfies ThreadJob);
      this.#workers.push(worker);
      return promise;
    }));
    this.reports.catch(() => {});
  }

  /** Whether each has done enough. */
  get haveWorked(): boolean {
    return this.#words.subarray(1).every((work) => work >= WORK_LEAST);
  }

  /** Lets them end. */
  stop(): void {
    Atomics.store(this.#words, 0, 1);
  }

  [Symbol.dispose](): void {
    this.stop();
    for (const worker of this.#workers) worker.terminate();
  }
}

async function runRound(
  paths: readonly string[],
  kind: ChunkKind,
): Promise<void> {
  using owner = new Owner(paths, kind);
  using threads = new Threads(owner.table, kind);
  let hasEnded = false;
  threads.reports.finally(() => hasEnded = true).catch(() => {});
  for (const end = Date.now() + ROUND_MS; !hasEnded;) {
    if (Date.now() > end && threads.haveWorked) break;
    for (let i = 0; i < TURNS; i++) owner.turn();
    await new Promise((resolve) => setTimeout(resolve));
  }
  // While they still go on.
  owner.end();
  await new Promise((resolve) => setTimeout(resolve, 10));
  threads.stop();
  const faults = (await threads.reports).filter((fault) => fault !== "");
  assertEquals(faults, []);
  owner.assertUntouched();
}

Deno.test("no thread reads or writes a chunk that was taken from it", async () => {
  await using scratch = await makeQuickScratch();
  let round = 0;
  for (const end = Date.now() + SECONDS * 1000; Date.now() < end; round++) {
    const kind = KINDS[round % KINDS.length];
    const paths = ["a", "b"].map((name) => scratch.file(`${name}${round}`));
    if (kind !== undefined) await runRound(paths, kind);
    for (const path of paths) await Deno.remove(path);
  }
});
