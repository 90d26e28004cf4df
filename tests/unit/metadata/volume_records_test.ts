/**
 * The records of a volume table of format 2, held against the tables a second
 * time, and against bytes that cannot be.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import { NIL_UUID } from "../../../metadata/common/mod.ts";
import {
  decodeSuperblock,
  decodeVolumeRecords,
  encodeVolumeRecords,
  superblockWriteSize,
  type VolumeRecord,
  volumeRecordsSize,
} from "../../../metadata/native/mod.ts";
import {
  DEAD_TABLE,
  putRaw,
  type RawField,
  type RawValues,
  SLOT_BYTES,
  SNAPSHOT_TABLE,
  SUPERBLOCK_TABLE,
  VOLUME_TABLE,
} from "../../helpers/native_raw.ts";
import {
  BOOT,
  CHUNK,
  encodedSuperblock,
  POSITION,
  RECORDS,
  reseal,
  superblockOf,
  volume,
  VOLUMES,
} from "../../helpers/native_volumes.ts";

function raw(
  table: Readonly<Record<string, RawField>>,
  values: RawValues,
  size: number,
): number[] {
  const bytes = new Uint8Array(size);
  putRaw(bytes, table, values);
  return [...bytes];
}

/** The records of `VOLUMES`, from the tables. */
function rawRecords(): Uint8Array {
  const text = (name: string) => [...new TextEncoder().encode(name)];
  return Uint8Array.from(VOLUMES.flatMap((one) => {
    const name = one.id === 0 ? [] : text(one.name);
    const record = raw(VOLUME_TABLE, {
      id: one.id,
      flags: (one.isReadOnly ? 1 : 0) + (one.parent === undefined ? 0 : 2),
      onFull: { "": 0, delay: 1, error: 2 }[one.onFull],
      epoch: one.epoch,
      size: one.size,
      created: one.created,
      quota: one.quota,
      reserve: one.reserve,
      parentEpoch: one.parent?.epoch ?? 0,
      parentVolume: one.parent?.volume ?? 0,
      nameSize: name.length,
      snapshotCount: one.snapshots.length,
      deadCount: one.dead.length,
    }, 56);
    const snapshots = one.snapshots.flatMap(({ name, ...fields }) => [
      ...raw(SNAPSHOT_TABLE, { nameSize: text(name).length, ...fields }, 24),
      ...text(name),
    ]);
    const dead = one.dead.flatMap((range) => raw(DEAD_TABLE, { ...range }, 8));
    return [...record, ...name, ...snapshots, ...dead];
  }));
}

Deno.test("encodeVolumeRecords() gives the bytes of the tables, and decodeVolumeRecords() reads them", () => {
  const wanted = rawRecords();
  assertEquals(volumeRecordsSize(VOLUMES), wanted.length);
  const bytes = new Uint8Array(wanted.length).fill(0xee);
  encodeVolumeRecords(VOLUMES, bytes);
  assertEquals(bytes, wanted);
  assertEquals(decodeVolumeRecords(bytes, "demo"), VOLUMES);
  assertEquals(decodeVolumeRecords(new Uint8Array(0), "demo"), []);
  for (const size of [wanted.length - 1, wanted.length + 1]) {
    const wrong = new Uint8Array(size);
    assertThrows(() => encodeVolumeRecords(VOLUMES, wrong));
  }
});

Deno.test("a superblock has its volume table behind the members", () => {
  const superblock = superblockOf(VOLUMES);
  const slot = encodedSuperblock(superblock);
  const records = rawRecords();
  const used = RECORDS + records.length;
  const { volumes: _, ...plain } = superblock;
  const wanted = encodedSuperblock(plain);
  putRaw(wanted, SUPERBLOCK_TABLE, {
    usedSize: used,
    incompat: 1,
    volumesSize: records.length,
    bootId: Uint8Array.fromHex(BOOT.replaceAll("-", "")),
  });
  wanted.set(records, RECORDS);
  reseal(wanted, used);
  assertEquals(slot, wanted);
  const found = decodeSuperblock(slot.fill(0xff, used), POSITION, "c1");
  assertEquals(found, { ...superblock, readOnly: false });
});

Deno.test("decodeSuperblock() gives back every volume table that encodeSuperblock() wrote", () => {
  const tables: VolumeRecord[][] = [
    [volume(0)],
    [volume(0, { epoch: 1, dead: [{ first: 0, last: 0 }] })],
    [volume(0), volume(9), volume(3, { onFull: "delay" })],
    Array.from({ length: 500 }, (_, id) => volume(id)),
  ];
  for (const volumes of tables) {
    for (const bootId of [BOOT, NIL_UUID]) {
      const superblock = superblockOf(volumes, bootId);
      const found = decodeSuperblock(
        encodedSuperblock(superblock),
        POSITION,
        "c1",
      );
      assertEquals(found, { ...superblock, readOnly: false });
    }
  }
});

Deno.test("superblockWriteSize() counts the volume records", () => {
  const rest = 4096 - RECORDS - 2 * 56;
  const filler = (bytes: number) => ({
    dead: Array.from({ length: bytes / 8 }, (_, i) => ({ first: i, last: i })),
    epoch: bytes / 8,
  });
  assertEquals(superblockWriteSize(superblockOf([volume(0), volume(1)])), 4096);
  for (const [extra, size] of [[0, 4096], [1, 8192]] as const) {
    const fill = filler(rest - 8);
    const superblock = superblockOf([
      volume(0, fill),
      volume(1, { name: "n".repeat(8 + extra) }),
    ]);
    assertEquals(superblockWriteSize(superblock), size);
    const slot = new Uint8Array(SLOT_BYTES).fill(0xaa);
    slot.set(encodedSuperblock(superblock).subarray(0, size));
    const found = decodeSuperblock(slot, POSITION, "c1");
    assertEquals(found, { ...superblock, readOnly: false });
  }
});

const S = { name: "s", epoch: 5, size: CHUNK, created: 0 };
/** Changes of the records of `[volume 0, volume 1]` with a snapshot each. */
const RECORD_REFUSALS: readonly [RawValues, RawValues, RawValues, string][] = [
  [{ id: 1 }, {}, {}, "volume 0 is not listed first"],
  [{ flags: 4 }, {}, {}, "record of volume 0 has unknown flags"],
  [{ flags: 0x80 }, {}, {}, "record of volume 0 has unknown flags"],
  [{ onFull: 3 }, {}, {}, "record of volume 0 has an unknown policy"],
  [{ nameSize: 1 }, {}, {}, "record of volume 0 has a name of its own"],
  [{ parentVolume: 1 }, {}, {}, "has a parent but no flag for one"],
  [{ parentEpoch: 1 }, {}, {}, "has a parent but no flag for one"],
  [{ flags: 2, parentVolume: 1 }, {}, {}, "which is no snapshot"],
  [{ size: 2n ** 53n + 1n }, {}, {}, "size of volume 0"],
  [{ snapshotCount: 0 }, {}, {}, "record"],
  [{ snapshotCount: 0xffff_ffff }, {}, {}, "record of volume 0 is cut short"],
  [{ deadCount: 0xffff_ffff }, {}, {}, "record of volume 0 is cut short"],
  [{}, { nameSize: 0xffff }, {}, "record of volume 0 is cut short"],
  [{}, { nameSize: 0 }, {}, "volume"],
  [{}, { reserved6: 1 }, {}, "snapshot whose reserved bytes are not zero"],
  [{}, { epoch: 0xffff_ffff }, {}, "epoch of snapshot"],
  [{}, { size: 2n ** 64n - 1n }, {}, "size of snapshot"],
  [{}, { created: 2n ** 53n }, {}, "creation time of snapshot"],
  [{}, {}, { first: 3 }, "no range"],
  [{}, {}, { last: 8 }, "contain snapshot"],
  [{}, {}, { last: 0xffff_ffff }, "not below its epoch"],
];

Deno.test("decodeSuperblock() refuses each record that cannot be", () => {
  const snapshots = [S];
  const dead = [{ first: 1, last: 2 }];
  const superblock = superblockOf([
    volume(0, { epoch: 9, snapshots, dead }),
    volume(1, { name: "é" }),
  ]);
  const sound = encodedSuperblock(superblock);
  const used = RECORDS + volumeRecordsSize(superblock.volumes.volumes);
  const refusal = (slot: Uint8Array) => {
    reseal(slot, used);
    const decode = () => decodeSuperblock(slot, POSITION, "c1");
    const error = assertThrows(decode, VirstorError);
    assertEquals(error.code, "corrupt");
    return error.message;
  };
  for (const [first, snapshot, range, finding] of RECORD_REFUSALS) {
    const slot = sound.slice();
    putRaw(slot, VOLUME_TABLE, first, RECORDS);
    putRaw(slot, SNAPSHOT_TABLE, snapshot, RECORDS + 56);
    putRaw(slot, DEAD_TABLE, range, RECORDS + 56 + 25);
    const message = refusal(slot);
    assert(message.includes(finding), `"${message}", not "${finding}"`);
  }
  const slot = sound.slice();
  slot[used - 1] = 0;
  assert(refusal(slot).includes("record of volume 1 has a name that is not"));
  for (
    const [size, finding] of [[0, "used size"], [55, "used size"]] as const
  ) {
    const wrong = sound.slice();
    putRaw(wrong, SUPERBLOCK_TABLE, { volumesSize: size });
    assert(refusal(wrong).includes(finding));
  }
  const reserved = sound.slice();
  putRaw(reserved, SUPERBLOCK_TABLE, { reserved420: Uint8Array.of(1) });
  assert(refusal(reserved).includes("byte 420"));
});

Deno.test("decodeSuperblock() refuses records that end anywhere but at the end of a record", () => {
  const sound = encodedSuperblock(superblockOf(VOLUMES));
  const size = volumeRecordsSize(VOLUMES);
  const ends = VOLUMES.map((_, i) =>
    volumeRecordsSize(VOLUMES.slice(0, i + 1))
  );
  for (let volumesSize = 0; volumesSize <= size + 100; volumesSize++) {
    const slot = sound.slice().fill(0, RECORDS + size);
    const usedSize = RECORDS + volumesSize;
    putRaw(slot, SUPERBLOCK_TABLE, { usedSize, volumesSize });
    reseal(slot, usedSize);
    const decode = () => decodeSuperblock(slot, POSITION, "c1");
    if (ends.includes(volumesSize)) decode();
    else assertEquals(assertThrows(decode, VirstorError).code, "corrupt");
  }
});

Deno.test("decodeSuperblock() takes or refuses records with flipped bits, and never breaks", () => {
  const sound = encodedSuperblock(superblockOf(VOLUMES));
  const used = RECORDS + volumeRecordsSize(VOLUMES);
  let taken = 0;
  const attempt = (slot: Uint8Array, what: string) => {
    reseal(slot, used);
    try {
      const { readOnly: _, ...found } = decodeSuperblock(slot, POSITION, "c1");
      // What is taken is a sound superblock, and has no other bytes.
      assertEquals(
        encodedSuperblock(found).subarray(0, used),
        slot.subarray(0, used),
      );
      taken++;
    } catch (error) {
      assert(error instanceof VirstorError, `${what}: ${error}`);
      assertEquals(error.code, "corrupt", what);
    }
  };
  for (let bit = 0; bit < used * 8; bit++) {
    const at = bit >> 3;
    // Before the records, other tests flip the bits of all other fields.
    if (at < RECORDS && !(at >= 140 && at < 144) && at < 400) continue;
    const slot = sound.slice(0);
    slot[at] = (slot[at] ?? 0) ^ (1 << (bit & 7));
    attempt(slot, `bit ${bit}`);
  }
  assert(taken > 100, "names and times may have other bits");
  let seed = 1;
  const random = (below: number) => {
    seed = Math.imul(seed, 1_103_515_245) + 12_345 >>> 0;
    return (seed >>> 8) % below;
  };
  for (let round = 0; round < 2000; round++) {
    const slot = sound.slice();
    for (let i = random(8); i >= 0; i--) {
      slot[RECORDS + random(used - RECORDS)] = random(3) === 0
        ? 0xff
        : random(256);
    }
    attempt(slot, `round ${round}`);
  }
});
