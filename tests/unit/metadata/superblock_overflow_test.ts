/**
 * Superblocks of format 2 that are longer than their slots.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { AssertionError, VirstorError } from "../../../errors.ts";
import {
  decodeSuperblock,
  encodeSuperblock,
  findingInSuperblock,
  nativeGeometry,
  newOverflowSize,
  OVERFLOW_SIZE_MAX,
  overflowPosition,
  type Superblock,
  SUPERBLOCK_MEMBERS_MAX,
  superblockPosition,
  superblockWriteSize,
  usedOverflow,
  type VolumeRecord,
} from "../../../metadata/mod.ts";
import {
  putRaw,
  SLOT_BYTES,
  SUPERBLOCK_TABLE,
} from "../../helpers/native_raw.ts";
import { CHUNK, superblockOf, volume } from "../../helpers/native_volumes.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZE = 1024 * MIB;

/** A superblock of a component of 1 GiB with the largest overflows. */
function longSuperblock(
  volumes: readonly VolumeRecord[],
  overflowSize = OVERFLOW_SIZE_MAX,
): Superblock {
  const superblock = superblockOf(volumes);
  const { chunkCount } = nativeGeometry(SIZE, CHUNK, overflowSize);
  const members = superblock.members.map((one) => ({ ...one, chunkCount }));
  return { ...superblock, componentSize: SIZE, overflowSize, members };
}

/** Volume 0 with snapshots of the longest names. */
function withSnapshots(count: number): VolumeRecord[] {
  const snapshots = Array.from({ length: count }, (_, epoch) => ({
    name: String(epoch).padStart(255, "s"),
    epoch,
    size: CHUNK,
    created: 0,
  }));
  return [volume(0, { epoch: count, snapshots })];
}

function encoded(superblock: Superblock, slot = 0): Uint8Array {
  const bytes = new Uint8Array(superblockWriteSize(superblock)).fill(0xee);
  encodeSuperblock(superblock, superblockPosition(SIZE, slot), bytes);
  return bytes;
}

Deno.test("a new component has overflows of less than 1/128 of it, 1.25 MiB each at most", () => {
  const sizes = [0, 16 * MIB - 1, 16 * MIB, 64 * MIB, 320 * MIB, 2 ** 53];
  assertEquals(
    sizes.map(newOverflowSize),
    [0, 0, 64 * KIB, 256 * KIB, 1280 * KIB, 1280 * KIB],
  );
  assertEquals(OVERFLOW_SIZE_MAX, 1280 * KIB);
  assertEquals(superblockPosition(SIZE, 0), SIZE - 128 * KIB);
  const [first, second] = [0, 1].map((slot) =>
    overflowPosition(SIZE, slot, OVERFLOW_SIZE_MAX)
  );
  assertEquals(
    [first, second],
    [SIZE - 128 * KIB - 2560 * KIB, SIZE - 128 * KIB - 1280 * KIB],
  );
  const { tableOffset, tablePages } = nativeGeometry(SIZE, MIB, 1280 * KIB);
  assertEquals(tableOffset + tablePages * 12_288, first);
});

Deno.test("the largest overflow holds 4096 records of the longest names beside 2032 members", () => {
  const longest = Array.from({ length: 4095 }, (_, id) =>
    volume(id + 1, {
      name: String(id).padStart(255, "v"),
      dead: [{ first: 0, last: 0 }],
      epoch: 1,
    }));
  const superblock = longSuperblock([volume(0), ...longest]);
  const [own] = superblock.members;
  assert(own !== undefined);
  const members = Array.from(
    { length: SUPERBLOCK_MEMBERS_MAX },
    (_, i) =>
      i === 0 ? own : {
        ...own,
        uuid: `c0c0c0c0-0002-4002-8003-${String(i).padStart(12, "0")}`,
      },
  );
  const full = { ...superblock, members };
  assertEquals(findingInSuperblock(full), "");
  const found = decodeSuperblock(
    encoded(full),
    superblockPosition(SIZE, 0),
    "",
  );
  assertEquals(found, { ...full, readOnly: false });
});

Deno.test("a superblock goes on in the overflow of its slot, and no byte more is written", () => {
  // 600 + 232 * 279 bytes fit in 64 KiB, another 279 do not.
  for (const [count, pages] of [[232, 16], [233, 17], [300, 21]] as const) {
    const superblock = longSuperblock(withSnapshots(count));
    assertEquals(superblockWriteSize(superblock), pages * 4096);
    for (const slot of [0, 1]) {
      const bytes = encoded(superblock, slot);
      const more = usedOverflow(bytes.subarray(0, SLOT_BYTES));
      const used = 512 + 32 + 56 + count * 279;
      assertEquals(
        more,
        used <= SLOT_BYTES ? undefined : {
          offset: overflowPosition(SIZE, slot, OVERFLOW_SIZE_MAX),
          length: used - SLOT_BYTES,
        },
      );
      const position = superblockPosition(SIZE, slot);
      const whole = bytes.slice(0, SLOT_BYTES + (more?.length ?? 0));
      const found = decodeSuperblock(whole, position, "c1");
      assertEquals(found, { ...superblock, readOnly: false });
    }
  }
});

Deno.test("without an overflow that is large enough a superblock is refused", () => {
  const volumes = withSnapshots(300);
  const small = longSuperblock(volumes, 0);
  const wanted = "its records need 83756 bytes, 64992 fit";
  assertEquals(findingInSuperblock(small), wanted);
  assertThrows(() => superblockWriteSize(small), AssertionError);
  for (const wrong of [-65_536, 1, 4096, OVERFLOW_SIZE_MAX + 65_536]) {
    assert(
      findingInSuperblock({ ...small, overflowSize: wrong })
        .startsWith("the size of its overflow is "),
    );
  }
});

Deno.test("a torn write of an overflow is known, wherever it is torn", () => {
  const older = encoded(longSuperblock(withSnapshots(300)));
  const newer = encoded({
    ...longSuperblock(withSnapshots(301)),
    generation: 7,
  });
  const position = superblockPosition(SIZE, 0);
  const sectors = newer.length / 512;
  for (let torn = 1; torn < sectors; torn++) {
    for (const [front, back] of [[newer, older], [older, newer]] as const) {
      const bytes = new Uint8Array(newer.length);
      bytes.set(front.subarray(0, torn * 512));
      bytes.set(back.subarray(torn * 512), torn * 512);
      const more = usedOverflow(bytes.subarray(0, SLOT_BYTES));
      const read = bytes.subarray(0, SLOT_BYTES + (more?.length ?? 0));
      // Sectors that are alike, or unused, may come from either write.
      try {
        const found = decodeSuperblock(read, position, "c1");
        const whole = found.generation === 7 ? newer : older;
        assertEquals(read, whole.subarray(0, read.length));
      } catch (error) {
        assert(error instanceof VirstorError, String(error));
        assertEquals(error.code, "corrupt");
      }
    }
  }
});

Deno.test("what a slot says of its overflow is not believed where it cannot be", () => {
  const bytes = encoded(longSuperblock(withSnapshots(300)));
  const slot = bytes.slice(0, SLOT_BYTES);
  assert(usedOverflow(slot) !== undefined);
  const lies = [
    { magic: "VIRSTOR::COOL" },
    { incompat: 1 },
    { overflowSize: 0 },
    { overflowSize: 4096 },
    { overflowSize: OVERFLOW_SIZE_MAX + 65_536 },
    { usedSize: SLOT_BYTES },
    { usedSize: 0 },
    { usedSize: SLOT_BYTES + OVERFLOW_SIZE_MAX + 1 },
    { componentSize: SIZE - 4096 },
    { componentSize: 2n ** 63n },
    { componentSize: 0 },
    { position: 0 },
    { position: 2 * SLOT_BYTES, componentSize: 4 * SLOT_BYTES },
  ];
  for (const lie of lies) {
    const changed = slot.slice();
    putRaw(changed, SUPERBLOCK_TABLE, lie);
    assertEquals(usedOverflow(changed), undefined, Deno.inspect(lie));
  }
});
