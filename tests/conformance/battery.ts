/**
 * What every block device promises, whatever it is made of: one battery, run
 * against each.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type {
  BlockDevice,
  WriteOptions,
  WriteZeroesOptions,
} from "../../device/mod.ts";
import { VirstorError } from "../../errors.ts";
import { isZero } from "../helpers/bytes.ts";
import { makeScratch, pattern, type Scratch } from "../helpers/scratch.ts";
import { Random } from "../simulation/random.ts";

/** A disk, as the battery sees it: also one at the end of a wire. */
export interface Disk extends AsyncDisposable {
  /** Bytes; at least 8 MiB. */
  readonly size: number;
  /** Reads. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Writes. */
  write(
    source: Uint8Array,
    offset: number,
    options?: WriteOptions,
  ): Promise<void>;
  /** Flushes. */
  flush(): Promise<void>;
  /** Discards. */
  discard(offset: number, length: number): Promise<void>;
  /** Zeroes. */
  writeZeroes(
    offset: number,
    length: number,
    options?: WriteZeroesOptions,
  ): Promise<void>;
}

/** A disk in this process. */
export interface LocalDisk extends Disk {
  /** The device itself. */
  readonly device: BlockDevice;
}

/** A kind of disk in this process. */
export interface LocalSubject extends Subject {
  make(scratch: Scratch): Promise<LocalDisk>;
}

/** A kind of disk. */
export interface Subject {
  /** For the name of the test. */
  readonly name: string;
  /** Makes an empty one. */
  make(scratch: Scratch): Promise<Disk>;
}

/** A size above every buffer on the way. */
const LARGE = 3 * 1024 * 1024 + 5;

const BATTERY: Readonly<Record<string, (disk: Disk) => Promise<void>>> = {
  "reads zeroes before anything is written": async (disk) => {
    assert(isZero(await disk.read(0, LARGE)));
    assert(isZero(await disk.read(disk.size - 1, 1)));
  },
  "reads what was written, at any place and of any length": async (disk) => {
    for (const length of [1, 511, 512, 513, 4096, 65_537, LARGE]) {
      for (const offset of [0, 1, 4095, 1_000_003, disk.size - length]) {
        const bytes = pattern(length, offset + length);
        await disk.write(bytes, offset);
        assertEquals(await disk.read(offset, length), bytes);
      }
    }
  },
  "takes reads and writes of no bytes": async (disk) => {
    await disk.write(new Uint8Array(), 5);
    assertEquals(await disk.read(5, 0), new Uint8Array());
  },
  "has its last byte": async (disk) => {
    await disk.write(pattern(1, 1), disk.size - 1);
    assertEquals(await disk.read(disk.size - 1, 1), pattern(1, 1));
  },
  "leaves what lies around a write alone": async (disk) => {
    await disk.write(pattern(10_000, 1), 100_000);
    await disk.write(pattern(100, 2), 105_000);
    const wanted = pattern(10_000, 1);
    wanted.set(pattern(100, 2), 5000);
    assertEquals(await disk.read(100_000, 10_000), wanted);
    assert(isZero(await disk.read(110_000, 1000)));
    assert(isZero(await disk.read(99_000, 1000)));
  },
  "has the source of a write back for the caller at once": async (disk) => {
    const source = pattern(LARGE, 3);
    const write = disk.write(source, 12_345);
    source.fill(0xff);
    await write;
    assertEquals(await disk.read(12_345, LARGE), pattern(LARGE, 3));
  },
  "zeroes exactly the given range": async (disk) => {
    for (const options of [{}, { noHole: true }, { fua: true }]) {
      await disk.write(pattern(LARGE, 4), 0);
      await disk.writeZeroes(1001, 1_500_000, options);
      const wanted = pattern(LARGE, 4).fill(0, 1001, 1_501_001);
      assertEquals(await disk.read(0, LARGE), wanted);
    }
    await disk.writeZeroes(0, disk.size);
    assert(isZero(await disk.read(0, LARGE)));
  },
  "shows old bytes or zeroes where something was discarded": async (disk) => {
    await disk.write(pattern(LARGE, 5), 0);
    await disk.discard(1000, 2_000_000);
    const old = pattern(LARGE, 5);
    const read = await disk.read(0, LARGE);
    assertEquals(read.subarray(0, 1000), old.subarray(0, 1000));
    assertEquals(read.subarray(2_001_000), old.subarray(2_001_000));
    assert(read.every((byte, i) => byte === 0 || byte === old[i]));
    await disk.discard(0, disk.size);
  },
  "flushes again and again, and writes with fua": async (disk) => {
    await disk.flush();
    await disk.write(pattern(100, 6), 0, { fua: true });
    await Promise.all([disk.flush(), disk.flush()]);
    await disk.flush();
    assertEquals(await disk.read(0, 100), pattern(100, 6));
  },
  "ends overlapping writes in some order, block by block": async (disk) => {
    const writes = Array.from(
      { length: 8 },
      (_, i) =>
        disk.write(new Uint8Array(300_000).fill(i + 1), 200_000 + i * 4096),
    );
    await Promise.all(writes);
    const read = await disk.read(200_000, 300_000 + 7 * 4096);
    for (let at = 0; at < read.length; at += 512) {
      const block = read.subarray(at, at + 512);
      assert(block.every((byte) => byte === block[0]), `mixed at ${at}`);
      assert(block[0] !== 0);
    }
  },
  "does as a plain array does, for hundreds of random requests": async (
    disk,
  ) => {
    const random = new Random(7);
    const length = 2_000_000;
    const model = new Uint8Array(length);
    for (let i = 0; i < 300; i++) {
      const count = 1 + random.below(random.pick([10, 5000, 300_000]));
      const offset = random.below(length - count);
      const what = random.below(5);
      if (what < 2) {
        const bytes = pattern(count, i);
        await disk.write(bytes, offset);
        model.set(bytes, offset);
      } else if (what === 2) {
        await disk.writeZeroes(offset, count, { noHole: random.chance(30) });
        model.fill(0, offset, offset + count);
      } else if (what === 3) {
        const read = await disk.read(offset, count);
        assertEquals(read, model.slice(offset, offset + count));
      } else {
        await disk.flush();
      }
    }
    assertEquals(await disk.read(0, length), model);
  },
};

/** Every second one of these pieces is written. */
const PIECE = 192 * 1024;
const PIECES = 20;

/** What a device promises besides to a caller in its own process. */
const LOCAL_BATTERY: Readonly<
  Record<string, (disk: LocalDisk) => Promise<void>>
> = {
  "tells extents of a range, in order and without gaps": async (disk) => {
    await writeEverySecond(disk);
    for (const offset of [0, 1, PIECE - 1, PIECE, 5 * PIECE + 7]) {
      for (const length of [1, PIECE, PIECES * PIECE - offset]) {
        const runs = disk.device.extents(offset, length);
        const total = runs.reduce((sum, run) => sum + run.length, 0);
        assertEquals(total, length);
        await assertTrue(disk, offset, runs);
      }
    }
  },
  "tells no more extents than it is asked for, but for one": async (disk) => {
    await writeEverySecond(disk);
    const length = PIECES * PIECE;
    for (const limit of [1, 2, 3, 7, 100]) {
      const runs = disk.device.extents(0, length, limit);
      assert(runs.length >= 1 && runs.length <= limit + 1, `${limit}`);
      assert(runs.reduce((sum, run) => sum + run.length, 0) <= length);
      await assertTrue(disk, 0, runs);
    }
  },
  "tells of leading holes what is true": async (disk) => {
    await writeEverySecond(disk);
    for (let at = 0; at < PIECES * PIECE; at += PIECE / 3) {
      const hole = disk.device.leadingHole?.(at, PIECE) ?? 0;
      assert(isZero(await disk.read(at, Math.min(hole, PIECE))), `${at}`);
    }
    await disk.device.close();
    disk.device.leadingHole?.(0, PIECE);
  },
  "fails everything after it was closed": async (disk) => {
    const { device } = disk;
    await device.close();
    const all = [
      () => device.read(new Uint8Array(10), 0),
      () => device.write(new Uint8Array(10), 0),
      () => device.write(new Uint8Array(10), 0, { fua: true }),
    ];
    for (const act of all) {
      await assertRejects(async () => await act(), VirstorError);
    }
    await device.close();
  },
};

async function writeEverySecond(disk: Disk): Promise<void> {
  for (let i = 1; i < PIECES; i += 2) {
    await disk.write(pattern(PIECE, i), i * PIECE);
  }
}

/** Fails unless what is said to be zeroes is. */
async function assertTrue(
  disk: LocalDisk,
  offset: number,
  runs: ReturnType<BlockDevice["extents"]>,
): Promise<void> {
  let at = offset;
  for (const { length, kind } of runs) {
    assert(length > 0);
    if (kind !== "data") assert(isZero(await disk.read(at, length)));
    at += length;
  }
}

/**
 * Registers both batteries for one kind of disk.
 *
 * @param subject The kind.
 */
export function testLocalConformance(subject: LocalSubject): void {
  testConformance(subject);
  for (const [promise, test] of Object.entries(LOCAL_BATTERY)) {
    Deno.test(`${subject.name} ${promise}`, async () => {
      await using scratch = await makeScratch();
      await using disk = await subject.make(scratch);
      await test(disk);
    });
  }
}

/**
 * Registers the battery for one kind of disk.
 *
 * @param subject The kind.
 */
export function testConformance(subject: Subject): void {
  for (const [promise, test] of Object.entries(BATTERY)) {
    Deno.test(`${subject.name} ${promise}`, async () => {
      await using scratch = await makeScratch();
      await using disk = await subject.make(scratch);
      await test(disk);
    });
  }
}
