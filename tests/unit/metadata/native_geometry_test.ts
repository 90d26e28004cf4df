/**
 * Where things lie on a component of format 2, at many sizes, in whole numbers
 * of any length.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { AssertionError } from "../../../errors.ts";
import {
  isNativeChunkSize,
  NATIVE_CHUNK_SIZE,
  NATIVE_CHUNK_SIZE_MAX,
  NATIVE_CHUNK_SIZE_MIN,
  NATIVE_CHUNKS_MAX,
  NATIVE_PAGE_SIZE,
  nativeGeometry,
  SUPERBLOCK_SLOT_SIZE,
  SUPERBLOCK_SLOTS,
  superblockPosition,
  TABLE_PAGE_ENTRIES,
  TABLE_SLOTS,
  TABLE_SLOTS_SIZE,
  tableSlotPosition,
} from "../../../metadata/native/mod.ts";

const KIB = 1024;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIB = 2 ** 40;
const PIB = 2 ** 50;

Deno.test("the constants of the geometry are those of the format", () => {
  assertEquals(
    [NATIVE_PAGE_SIZE, SUPERBLOCK_SLOT_SIZE, SUPERBLOCK_SLOTS],
    [4096, 65_536, 2],
  );
  assertEquals(
    [TABLE_PAGE_ENTRIES, TABLE_SLOTS, TABLE_SLOTS_SIZE],
    [168, 3, 12_288],
  );
  assertEquals(
    [NATIVE_CHUNK_SIZE_MIN, NATIVE_CHUNK_SIZE, NATIVE_CHUNK_SIZE_MAX],
    [64 * KIB, 256 * KIB, GIB],
  );
  assertEquals(NATIVE_CHUNKS_MAX, 0xffff_ffff);
});

Deno.test("isNativeChunkSize() takes the powers of two from 4 KiB to 1 GiB", () => {
  const taken: number[] = [];
  for (let power = 0; power <= 64; power++) {
    if (isNativeChunkSize(2 ** power)) taken.push(power);
    if (power < 2) continue;
    assert(!isNativeChunkSize(2 ** power + 1), `2^${power} + 1`);
    assert(!isNativeChunkSize(2 ** power - 1), `2^${power} - 1`);
    assert(!isNativeChunkSize(2 ** power * 3), `2^${power} * 3`);
  }
  assertEquals(taken, Array.from({ length: 19 }, (_, index) => 12 + index));
  for (const size of [0, -MIB, MIB + 0.5, NaN, Infinity, 2 ** 32 + MIB]) {
    assert(!isNativeChunkSize(size), `${size}`);
  }
});

/** Bytes that chunks need, with their table, and the superblocks. */
function needed(chunks: bigint, chunkSize: number): bigint {
  const pages = (chunks + 167n) / 168n;
  return chunks * BigInt(chunkSize) + pages * 3n * 4096n + 2n * 65_536n;
}

function checkGeometry(size: number, chunkSize: number): void {
  const of = `${size} bytes in chunks of ${chunkSize}`;
  const geometry = nativeGeometry(size, chunkSize);
  const { componentSize, chunkCount, tableOffset, tablePages } = geometry;
  assertEquals(BigInt(componentSize), BigInt(size) / 4096n * 4096n, of);
  const room = BigInt(componentSize);
  const chunks = BigInt(chunkCount);
  // It fits, and not one chunk more would, or could be counted.
  if (chunkCount > 0) assert(needed(chunks, chunkSize) <= room, of);
  assert(
    chunkCount === NATIVE_CHUNKS_MAX || needed(chunks + 1n, chunkSize) > room,
    of,
  );
  assertEquals(BigInt(tablePages), (chunks + 167n) / 168n, of);
  if (chunkCount === 0) return;
  // Chunks end before the table, the table ends where the superblocks start.
  assert(chunks * BigInt(chunkSize) <= BigInt(tableOffset), of);
  assertEquals(tableOffset % 4096, 0, of);
  assertEquals(
    BigInt(tableOffset) + BigInt(tablePages) * 12_288n + 131_072n,
    room,
    of,
  );
  const superblocks = [
    superblockPosition(size, 0),
    superblockPosition(size, 1),
  ];
  assertEquals(superblocks, [componentSize - 131_072, componentSize - 65_536]);
  const last = tableSlotPosition(geometry, tablePages - 1, 2);
  assertEquals(last + 4096, superblocks[0], of);
  assertEquals(tableSlotPosition(geometry, 0, 0), tableOffset);
  assertEquals(tableSlotPosition(geometry, 0, 1), tableOffset + 4096);
  if (tablePages > 1) {
    assertEquals(tableSlotPosition(geometry, 1, 0), tableOffset + 12_288);
  }
}

Deno.test("nativeGeometry() fits as many chunks as can be, at every size around a full page", () => {
  for (const chunkSize of [4 * KIB, 8 * KIB, 64 * KIB, MIB, GIB]) {
    for (const chunks of [0n, 1n, 2n, 167n, 168n, 169n, 335n, 336n, 337n]) {
      const least = Number(needed(chunks, chunkSize));
      for (const more of [-4097, -4096, -1, 0, 1, 4095, 4096, 12_288]) {
        if (least + more >= 0) checkGeometry(least + more, chunkSize);
      }
      if (chunks === 0n) continue;
      assertEquals(nativeGeometry(least, chunkSize).chunkCount, Number(chunks));
      assertEquals(
        nativeGeometry(least - 1, chunkSize).chunkCount,
        Number(chunks) - 1,
      );
    }
  }
});

Deno.test("nativeGeometry() holds from nothing to 8 PiB", () => {
  const sizes = [0, 1, 4095, 4096, 131_071, 131_072, 200_000, 209_000];
  for (let power = 18; power <= 53; power++) {
    for (const more of [-4096, -1, 0, 1, 4096]) sizes.push(2 ** power + more);
  }
  // Sizes without any pattern, the same ones each time.
  let random = 12_345;
  for (let i = 0; i < 2000; i++) {
    random = (random * 48_271) % 0x7fff_ffff;
    sizes.push(Math.floor(2 ** (17 + 36 * (random / 0x7fff_ffff))) + i);
  }
  for (const size of sizes) {
    if (size > 2 ** 53) continue;
    for (let power = 12; power <= 30; power += 2) {
      checkGeometry(size, 2 ** power);
    }
  }
});

Deno.test("nativeGeometry() gives the documented figures", () => {
  assertEquals(nativeGeometry(64 * MIB, MIB), {
    componentSize: 64 * MIB,
    chunkCount: 63,
    tableOffset: 64 * MIB - 131_072 - 12_288,
    tablePages: 1,
  });
  // A full page of chunks that are as large as a page, and two chunks more.
  const group = 168 * 4096 + 12_288;
  assertEquals(group, 700_416);
  const size = group + 12_288 + 2 * 4096 + 131_072;
  assertEquals(nativeGeometry(size, 4096), {
    componentSize: size,
    chunkCount: 170,
    tableOffset: 170 * 4096,
    tablePages: 2,
  });
  // About 1/14,000 of a component with chunks of 1 MiB is table.
  const { chunkCount, tablePages } = nativeGeometry(PIB, MIB);
  assertEquals([chunkCount, tablePages], [1_073_666_930, 6_390_875]);
});

Deno.test("nativeGeometry() counts no more chunks than a u32 can", () => {
  const most = nativeGeometry(8 * PIB, 64 * KIB);
  assertEquals(most.chunkCount, 0xffff_ffff);
  assertEquals(nativeGeometry(256 * TIB, 64 * KIB).chunkCount < 2 ** 32, true);
  assertEquals(nativeGeometry(257 * TIB, 64 * KIB).chunkCount, 0xffff_ffff);
  assertEquals(nativeGeometry(16 * TIB, 4 * KIB).chunkCount < 2 ** 32, true);
  assertEquals(nativeGeometry(17 * TIB, 4 * KIB).chunkCount, 0xffff_ffff);
});

Deno.test("nativeGeometry() of a component that is too small has no chunks", () => {
  for (const chunkSize of [4 * KIB, 64 * KIB]) {
    const least = chunkSize + 12_288 + 131_072;
    assertEquals(nativeGeometry(least, chunkSize).chunkCount, 1);
    for (const size of [0, 1, 4096, 131_072, least - 4096, least - 1]) {
      const { chunkCount, tablePages } = nativeGeometry(size, chunkSize);
      assertEquals([chunkCount, tablePages], [0, 0], `${size}`);
    }
  }
  assert(superblockPosition(131_071, 0) < 0);
  assertEquals(superblockPosition(131_072, 0), 0);
});

Deno.test("the geometry refuses what is no size, no chunk size and no slot", () => {
  for (const size of [-1, 0.5, NaN, Infinity, 2 ** 54]) {
    assertThrows(() => nativeGeometry(size, MIB), AssertionError);
  }
  assertThrows(() => nativeGeometry(GIB, 3 * MIB), AssertionError);
  assertThrows(() => superblockPosition(GIB, 2), AssertionError);
  const geometry = nativeGeometry(GIB, MIB);
  assertEquals(geometry.tablePages, 7);
  for (const [page, slot] of [[7, 0], [-1, 0], [0, 3], [0, -1]] as const) {
    assertThrows(() => tableSlotPosition(geometry, page, slot), AssertionError);
  }
});
