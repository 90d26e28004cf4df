/**
 * Goal: whatever a power cut loses, a chunk table of format 2 holds what was
 * durable, or something newer.
 *
 * Method: a disk that knows what is durable, and refuses a write to a slot
 * that must not be touched. Updates, and beginnings and ends of flushes, come
 * in random order; after each the disk loses power in many ways, and read
 * again.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Completion,
  type Extent,
  MemoryDevice,
} from "../../../device/mod.ts";
import type { FlushObserver } from "../../../device/file/mod.ts";
import { AssertionError, VirstorError } from "../../../errors.ts";
import {
  nativeGeometry,
  pickSlot,
  TABLE_PAGE_ENTRIES,
  TABLE_SLOTS,
  TABLE_SLOTS_SIZE,
} from "../../../metadata/mod.ts";
import type { ComponentDevice } from "../../../pool/core/mod.ts";
import { scanTable } from "../../../pool/format/native/native_scan.ts";
import { ChunkTable } from "../../../pool/format/native/native_table.ts";
import { PAGE_BYTES } from "../../helpers/native_raw.ts";
import { randomOf } from "../../helpers/small_pools.ts";

const UUID = Uint8Array.fromHex("00112233445566778899aabbccddeeff");
const CHUNK = 4096;
const PAGES = 3;
const SECTOR = 512;
const SIZE = 400 * CHUNK + PAGES * TABLE_SLOTS_SIZE + 2 * 65_536;
const GEOMETRY = nativeGeometry(SIZE, CHUNK);

/** A write that is not durable yet. */
interface Pending {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A component in memory of which it is known what is durable. */
class TableDisk implements ComponentDevice {
  readonly path = "disk";
  readonly identity = "disk";
  readonly size = SIZE;
  readonly blockSize = 1;
  readonly capabilities = {
    readOnly: false,
    discard: true,
    fastZeroes: true,
  };
  observer: FlushObserver | undefined;
  /** What the next write fails with. */
  failure: VirstorError | undefined;
  /** Slots that were written and pages that were read, as page and slot. */
  readonly writes: string[] = [];
  readonly reads: string[] = [];

  /** What is read. */
  readonly bytes: Uint8Array;
  readonly #memory: MemoryDevice;
  readonly #durable: Uint8Array;
  #pending: Pending[] = [];
  #covered = 0;

  constructor(bytes: Uint8Array = new Uint8Array(SIZE)) {
    this.bytes = bytes;
    this.#durable = bytes.slice();
    this.#memory = new MemoryDevice(bytes);
  }

  read(target: Uint8Array, offset: number): Completion {
    if (target.length === PAGE_BYTES) this.reads.push(nameOf(offset));
    return this.#memory.read(target, offset);
  }

  write(source: Uint8Array, offset: number): Completion {
    const { page, slot } = placeOf(offset);
    assertEquals(source.length, PAGE_BYTES);
    const what = `slot ${slot} of page ${page} is `;
    assert(durableSlot(this.#durable, page) !== slot, `${what}durable`);
    const flushing = this.#pending.slice(0, this.#covered);
    const isFlushing = flushing.some((write) => write.offset === offset);
    assert(!isFlushing, `${what}being made durable`);
    if (this.failure !== undefined) {
      const { failure } = this;
      this.failure = undefined;
      throw failure;
    }
    this.writes.push(nameOf(offset));
    this.#pending.push({ offset, bytes: source.slice() });
    return this.#memory.write(source, offset);
  }

  begin(): void {
    this.#covered = this.#pending.length;
    this.observer?.flushBegins();
  }

  end(): void {
    for (const { offset, bytes } of this.#pending.splice(0, this.#covered)) {
      this.#durable.set(bytes, offset);
    }
    this.#covered = 0;
    this.observer?.flushEnds();
  }

  flush(): Completion {
    this.begin();
    this.end();
    return undefined;
  }

  /** What a power cut leaves: of each sector that was written, any version. */
  cut(random: () => number): Uint8Array {
    const left = this.#durable.slice();
    for (const { offset, bytes } of this.#pending) {
      for (let at = 0; at < bytes.length; at += SECTOR) {
        if (random() < 0.5) continue;
        left.set(bytes.subarray(at, at + SECTOR), offset + at);
      }
    }
    return left;
  }

  extents(offset: number, length: number): Extent[] {
    return this.#memory.extents(offset, length);
  }

  discard(): never {
    throw new Error("a table is not discarded");
  }

  writeZeroes(): never {
    throw new Error("a table is not zeroed");
  }

  close(): Completion {
    return undefined;
  }
}

function placeOf(offset: number): { page: number; slot: number } {
  const index = (offset - GEOMETRY.tableOffset) / PAGE_BYTES;
  assert(Number.isInteger(index) && index >= 0 && index < PAGES * TABLE_SLOTS);
  return { page: Math.floor(index / TABLE_SLOTS), slot: index % TABLE_SLOTS };
}

function nameOf(offset: number): string {
  const { page, slot } = placeOf(offset);
  return `${page}.${slot}`;
}

function durableSlot(bytes: Uint8Array, page: number): number {
  const position = GEOMETRY.tableOffset + page * TABLE_SLOTS_SIZE;
  const slots = bytes.subarray(position, position + TABLE_SLOTS_SIZE);
  return pickSlot(slots, position, page, UUID);
}

/** The entries of all pages, each page as one string. */
async function entriesOf(bytes: Uint8Array): Promise<string[]> {
  const table = new ChunkTable(new TableDisk(bytes), GEOMETRY, UUID);
  const entries = Array.from({ length: PAGES }, () => "");
  await scanTable(table, {
    page() {},
    unsound() {},
    owned({ chunk, virtualChunk, sequence }) {
      const page = Math.floor(chunk / TABLE_PAGE_ENTRIES);
      entries[page] += `${chunk}:${virtualChunk}@${sequence} `;
    },
  });
  return entries;
}

/** Gives chunks away and takes them back; knows what each page may say. */
class Work {
  readonly disk = new TableDisk();
  readonly table = new ChunkTable(this.disk, GEOMETRY, UUID);
  /** For each page all that it has said since what is durable, that first. */
  readonly versions: string[][] = Array.from({ length: PAGES }, () => [""]);
  /** By chunk; 0 for a free one. */
  readonly #sequences = new Uint32Array(GEOMETRY.chunkCount);
  #covered: number[] | undefined;
  #sequence = 0;

  own(chunk: number): void {
    this.table.own(chunk, chunk * 3, ++this.#sequence);
    this.#sequences[chunk] = this.#sequence;
    this.#note([chunk]);
  }

  disown(chunks: readonly number[]): void {
    this.table.disown(chunks);
    for (const chunk of chunks) this.#sequences[chunk] = 0;
    this.#note(chunks);
  }

  isOwned(chunk: number): boolean {
    const sequence = this.#sequences[chunk] ?? 0;
    if (sequence > 0) assertEquals(this.table.sequenceOf(chunk), sequence);
    return sequence > 0;
  }

  begin(): void {
    this.#covered = this.versions.map((all) => all.length - 1);
    this.disk.begin();
  }

  end(): void {
    this.disk.end();
    for (const [page, all] of this.versions.entries()) {
      all.splice(0, this.#covered?.[page] ?? 0);
    }
    this.#covered = undefined;
  }

  get isFlushing(): boolean {
    return this.#covered !== undefined;
  }

  #note(chunks: readonly number[]): void {
    const page = (chunk: number) => Math.floor(chunk / TABLE_PAGE_ENTRIES);
    for (const p of new Set(chunks.map(page))) {
      let text = "";
      for (const [chunk, sequence] of this.#sequences.entries()) {
        if (page(chunk) !== p || sequence === 0) continue;
        text += `${chunk}:${chunk * 3}@${sequence} `;
      }
      this.versions[p]?.push(text);
    }
  }
}

Deno.test("ChunkTable never writes over what is durable or being made so, and a power cut leaves that or something newer", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = randomOf(seed);
    const below = (end: number) => Math.floor(random() * end);
    const work = new Work();
    for (let step = 0; step < 250; step++) {
      // Often the same page again, sometimes all of them.
      const chunk = below(random() < 0.7 ? 40 : GEOMETRY.chunkCount);
      const what = random();
      if (what < 0.2) {
        if (work.isFlushing) work.end();
        else work.begin();
      } else if (!work.isOwned(chunk)) {
        work.own(chunk);
      } else if (what < 0.5) {
        const chunks = [chunk, chunk + 1, below(GEOMETRY.chunkCount)]
          .filter((one) => one < GEOMETRY.chunkCount && work.isOwned(one));
        work.disown([...new Set(chunks)].toSorted((a, b) => a - b));
      }
      const left = await entriesOf(work.disk.cut(random));
      for (const [page, text] of left.entries()) {
        const isKnown = work.versions[page]?.includes(text);
        assert(isKnown, `seed ${seed}, step ${step}: page ${page}: ${text}`);
      }
    }
    if (work.isFlushing) work.end();
    await work.disk.flush();
    const wanted = work.versions.map((all) => all.at(-1) ?? "");
    assertEquals(await entriesOf(work.disk.bytes.slice()), wanted);
  }
});

Deno.test("ChunkTable writes one slot again and again until a flush begins, and goes on while it runs", () => {
  const { disk, table } = new Work();
  const written = (act: () => void) => {
    disk.writes.length = 0;
    act();
    return disk.writes.slice();
  };
  assertEquals(written(() => table.own(0, 0, 1)), ["0.0"]);
  assertEquals(written(() => table.own(1, 1, 2)), ["0.0"]);
  disk.begin();
  assertEquals(written(() => table.own(2, 2, 3)), ["0.1"]);
  assertEquals(written(() => table.disown([0])), ["0.1"]);
  disk.end();
  // Slot 0 is durable now, and slot 1 is still only changed.
  assertEquals(written(() => table.own(3, 3, 4)), ["0.1"]);
  disk.begin();
  assertEquals(written(() => table.own(4, 4, 5)), ["0.2"]);
  disk.end();
  disk.begin();
  assertEquals(written(() => table.own(5, 5, 6)), ["0.0"]);
  disk.end();
});

Deno.test("ChunkTable writes each page once for chunks that come in a row", () => {
  const { disk, table } = new Work();
  const chunks = [0, 1, 167, 168, 335, 336, 399];
  for (const [i, chunk] of chunks.entries()) table.own(chunk, i, i + 1);
  const { version } = table;
  disk.writes.length = 0;
  table.disown(chunks);
  assertEquals(disk.writes, ["0.0", "1.0", "2.0"]);
  assertEquals(table.version, version + 3);
});

Deno.test("ChunkTable writes what it holds back once a page, when the page changes or is released", () => {
  const { disk, table } = new Work();
  table.hold();
  for (const [i, chunk] of [0, 1, 168, 169].entries()) {
    table.own(chunk, i, i + 1);
  }
  assertEquals(disk.writes, ["0.0"]);
  assertThrows(() => disk.begin(), AssertionError);
  table.release();
  table.release();
  assertEquals(disk.writes, ["0.0", "1.0"]);
  assertEquals([table.sequenceOf(1), table.sequenceOf(169)], [2, 4]);
  table.own(170, 5, 5);
  assertEquals(disk.writes, ["0.0", "1.0", "1.0"]);
  // What could not be written is forgotten.
  disk.failure = new VirstorError("io", "Cannot write: no spindle turns");
  table.hold().own(171, 6, 6);
  assertThrows(() => table.release(), VirstorError, "no spindle");
  assertThrows(() => table.sequenceOf(171), AssertionError);
});

Deno.test("ChunkTable.mirror() writes a second copy of what has one only", async () => {
  const work = new Work();
  const { disk, table } = work;
  for (const chunk of [0, 5, 170]) work.own(chunk);
  assertThrows(() => table.mirror(), AssertionError);
  disk.begin();
  assertThrows(() => table.mirror(), AssertionError);
  disk.end();
  disk.writes.length = 0;
  table.mirror();
  assertEquals(disk.writes, ["0.1", "1.1"]);
  await disk.flush();
  table.mirror();
  assertEquals(disk.writes.length, 2);
  // Whichever of the two is lost, the other one says the same.
  const wanted = await entriesOf(disk.bytes.slice());
  assertEquals(wanted[0], "0:0@1 5:15@2 ");
  for (const slot of [0, 1]) {
    const left = disk.bytes.slice();
    const at = GEOMETRY.tableOffset + slot * PAGE_BYTES;
    left.fill(0xee, at, at + PAGE_BYTES);
    assertEquals(await entriesOf(left), wanted);
  }
  // Only what has changed since has one copy again.
  work.own(6);
  await disk.flush();
  disk.writes.length = 0;
  table.mirror();
  assertEquals(disk.writes, ["0.1"]);
});

Deno.test("ChunkTable mirrors what was found with one copy, and keeps what was found with two", async () => {
  const before = new Work();
  for (const chunk of [0, 170]) before.own(chunk);
  await before.disk.flush();
  const disk = new TableDisk(before.disk.bytes);
  const table = new ChunkTable(disk, GEOMETRY, UUID);
  table.loaded(0, 0, true);
  table.loaded(1, 0, false);
  table.mirror();
  assertEquals(disk.writes, ["0.1"]);
  table.own(171, 7, 9);
  assertEquals(disk.writes, ["0.1", "1.1"]);
});

Deno.test("ChunkTable reads a page again after other pages, from the slot that was written last", () => {
  const { disk, table } = new Work();
  table.own(0, 10, 1);
  table.own(1, 11, 2);
  assertEquals(disk.reads, []);
  table.own(168, 20, 3);
  assertEquals(table.sequenceOf(1), 2);
  assertEquals(disk.reads, ["0.0"]);
  disk.begin();
  table.own(2, 12, 4);
  table.own(169, 21, 5);
  assertEquals([table.sequenceOf(0), table.sequenceOf(2)], [1, 4]);
  disk.end();
  assertEquals([table.sequenceOf(168), table.sequenceOf(2)], [3, 4]);
  assertEquals(disk.reads.at(-1), "0.1");
  assertThrows(() => table.sequenceOf(3), AssertionError);
});

Deno.test("ChunkTable uses no page that is damaged on disk, and leaves it as it is", async () => {
  const { disk, table } = new Work();
  table.own(0, 10, 1);
  await disk.flush();
  table.own(168, 20, 2);
  // Behind its back, in the page that is not in memory.
  const at = GEOMETRY.tableOffset + 100;
  disk.bytes[at] = (disk.bytes[at] ?? 0) ^ 1;
  const before = disk.bytes.slice();
  const acts = [
    () => table.own(1, 11, 3),
    () => table.disown([0]),
    () => table.sequenceOf(0),
  ];
  for (const act of acts) {
    const error = assertThrows(act, VirstorError, "its checksum is wrong");
    assertEquals(error.code, "corrupt");
    assert(error.message.includes(`byte ${GEOMETRY.tableOffset}`));
  }
  assertEquals(disk.bytes, before);
  assertEquals(table.sequenceOf(168), 2);
});

Deno.test("ChunkTable forgets a page that could not be written", () => {
  const { disk, table } = new Work();
  table.own(0, 10, 1);
  disk.failure = new VirstorError("io", "Cannot write: no spindle turns");
  assertThrows(() => table.own(1, 11, 2), VirstorError, "no spindle");
  assertEquals(table.sequenceOf(0), 1);
  assertThrows(() => table.sequenceOf(1), AssertionError);
});
