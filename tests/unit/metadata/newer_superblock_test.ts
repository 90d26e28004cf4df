/**
 * Which of two superblocks counts: whatever happens to one of them.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import {
  encodeSuperblock,
  type NewerSuperblock,
  newerSuperblock,
  type Superblock,
  superblockPosition,
} from "../../../metadata/mod.ts";
import {
  putRaw,
  type RawValues,
  sealRawSuperblock,
  SLOT_BYTES,
  SUPERBLOCK_TABLE,
} from "../../helpers/native_raw.ts";

const SIZE = 2 ** 26;
const USED = 512 + 32;
const UUID = "c0c0c0c0-0001-4002-8003-000000000001";
const SUPERBLOCK: Superblock = {
  name: "demo",
  poolUuid: "00112233-4455-6677-8899-aabbccddeeff",
  componentUuid: UUID,
  generation: 1,
  clean: true,
  tableDigest: 0,
  compat: 0,
  readOnlyCompat: 0,
  virtualSize: 2 ** 40,
  chunkSize: 2 ** 20,
  componentSize: SIZE,
  members: [{ uuid: UUID, state: "active", chunkCount: 63 }],
};

/** Both slots with these generations; 0 leaves a slot empty. */
function slotsOf(first: number, second: number): Uint8Array {
  const slots = new Uint8Array(2 * SLOT_BYTES);
  for (const [index, generation] of [first, second].entries()) {
    if (generation === 0) continue;
    encodeSuperblock(
      { ...SUPERBLOCK, generation },
      superblockPosition(SIZE, index),
      slotIn(slots, index),
    );
  }
  return slots;
}

/** What counts of a component with these slots. */
function newerOf(slots: Uint8Array, size = SIZE): NewerSuperblock {
  const both = [slotIn(slots, 0), slotIn(slots, 1)];
  return newerSuperblock(both, size, "c1");
}

function slotIn(slots: Uint8Array, index: number): Uint8Array {
  return slots.subarray(index * SLOT_BYTES, (index + 1) * SLOT_BYTES);
}

function change(slots: Uint8Array, index: number, values: RawValues): void {
  const slot = slotIn(slots, index);
  putRaw(slot, SUPERBLOCK_TABLE, values);
  sealRawSuperblock(slot, USED);
}

function thrown(slots: Uint8Array): VirstorError {
  return assertThrows(() => newerOf(slots), VirstorError);
}

Deno.test("newerSuperblock() takes the higher generation of two", () => {
  for (
    const [first, second, slot] of [
      [1, 2, 1],
      [3, 2, 0],
      [1, 1, 0],
      [2 ** 32 - 1, 2 ** 32, 1],
      [2 ** 53 - 1, 2 ** 53 - 2, 0],
    ] as const
  ) {
    const found = newerOf(slotsOf(first, second));
    assertEquals(found, {
      superblock: {
        ...SUPERBLOCK,
        generation: Math.max(first, second),
        readOnly: false,
      },
      slot,
      otherFault: undefined,
    });
  }
});

Deno.test("newerSuperblock() reads a component that has a part of a page too many", () => {
  for (const size of [SIZE, SIZE + 1, SIZE + 4095]) {
    assertEquals(newerOf(slotsOf(1, 2), size).slot, 1);
  }
});

Deno.test("newerSuperblock() takes the sound slot and says what is wrong with the other", () => {
  for (
    const [first, second, good] of [
      [5, 1, 0],
      [5, 9, 0],
      [1, 5, 1],
      [9, 5, 1],
    ] as const
  ) {
    const bad = 1 - good;
    const slots = slotsOf(first, second);
    slotIn(slots, bad)[146] = 0x20; // A letter of the name.
    const found = newerOf(slots);
    assertEquals([found.slot, found.superblock.generation], [good, 5]);
    assertEquals(found.otherFault?.code, "corrupt");
    assert(found.otherFault?.message.includes("checksum"));
    slotIn(slots, bad).fill(0);
    const alone = newerOf(slots);
    assertEquals([alone.slot, alone.superblock.generation], [good, 5]);
    assertEquals(alone.otherFault?.code, "not-found");
  }
});

Deno.test("newerSuperblock() refuses a component without a sound slot, with the reason that tells most", () => {
  assertEquals(thrown(slotsOf(0, 0)).code, "not-found");
  for (const damaged of [0, 1]) {
    const one = slotsOf(damaged === 0 ? 1 : 0, damaged === 0 ? 0 : 1);
    slotIn(one, damaged)[146] = 0x20;
    const error = thrown(one);
    assertEquals(error.code, "corrupt");
    assert(error.message.includes(`byte ${superblockPosition(SIZE, damaged)}`));
    const other = slotsOf(1, 1);
    slotIn(other, damaged)[146] = 0x20;
    change(other, 1 - damaged, { version: 3 });
    assertEquals(thrown(other).code, "unsupported");
  }
});

Deno.test("newerSuperblock() does not go back before a feature that it does not know", () => {
  for (const values of [{ incompat: 4 }, { version: 3 }]) {
    for (const unknown of [0, 1]) {
      const newer = unknown === 0 ? slotsOf(5, 4) : slotsOf(4, 5);
      change(newer, unknown, values);
      assertEquals(thrown(newer).code, "unsupported");
      // A feature that was given up again is no reason.
      const older = unknown === 0 ? slotsOf(5, 6) : slotsOf(6, 5);
      change(older, unknown, values);
      const found = newerOf(older);
      assertEquals([found.slot, found.superblock.generation], [1 - unknown, 6]);
      assertEquals(found.otherFault?.code, "unsupported");
    }
  }
});

Deno.test("newerSuperblock() refuses slots that changed places", () => {
  const slots = slotsOf(1, 2);
  const swapped = slots.slice();
  swapped.set(slotIn(slots, 1), 0);
  swapped.set(slotIn(slots, 0), SLOT_BYTES);
  const error = thrown(swapped);
  assertEquals(error.code, "corrupt");
  assert(error.message.includes("position"), error.message);
});

Deno.test("newerSuperblock() refuses the slot of a component that was cut short or made longer", () => {
  // After a cut of 64 KiB the old slot 0 lies where slot 1 is looked for.
  const slots = slotsOf(1, 2);
  const cut = new Uint8Array(2 * SLOT_BYTES);
  cut.set(slotIn(slots, 0), SLOT_BYTES);
  const error = assertThrows(
    () => newerOf(cut, SIZE - 65_536),
    VirstorError,
    `of a component of ${SIZE} bytes, this has ${SIZE - 65_536}`,
  );
  assertEquals(error.code, "corrupt");
  const longer = new Uint8Array(2 * SLOT_BYTES);
  longer.set(slotIn(slots, 1));
  assertThrows(
    () => newerOf(longer, SIZE + 65_536),
    VirstorError,
    `this has ${SIZE + 65_536}`,
  );
});
