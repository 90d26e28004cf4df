/**
 * The superblock of format 2, held against the table a second time, and
 * against everything that can be wrong with it.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { AssertionError, VirstorError } from "../../../errors.ts";
import {
  decodeUuid,
  encodeUuid,
  isUuid,
  NIL_UUID,
  UUID_SIZE,
} from "../../../metadata/common/mod.ts";
import {
  decodeSuperblock,
  encodeSuperblock,
  isSuperblock,
  type MemberState,
  NATIVE_NAME_SIZE_MAX,
  type Superblock,
  SUPERBLOCK_HEADER_SIZE,
  SUPERBLOCK_MEMBER_SIZE,
  SUPERBLOCK_MEMBERS_MAX,
  SUPERBLOCK_SLOT_SIZE,
  superblockWriteSize,
} from "../../../metadata/native/mod.ts";
import {
  MEMBER_TABLE,
  putRaw,
  type RawValues,
  sealRawSuperblock,
  SLOT_BYTES,
  SUPERBLOCK_TABLE,
  withFlippedBit,
} from "../../helpers/native_raw.ts";

const POOL = "00112233-4455-6677-8899-aabbccddeeff";
const FIRST = "c0c0c0c0-0001-4002-8003-000000000001";
const SECOND = "c0c0c0c0-0001-4002-8003-000000000002";
const THIRD = "c0c0c0c0-0001-4002-8003-000000000003";

/** 64 MiB: 63 chunks of 1 MiB, one page of table. */
const SUPERBLOCK: Superblock = {
  name: "demo",
  poolUuid: POOL,
  componentUuid: SECOND,
  generation: 0x1_2345_6789,
  clean: true,
  tableDigest: 0xfedc_ba98,
  compat: 0,
  readOnlyCompat: 0,
  virtualSize: 2 ** 40,
  chunkSize: 2 ** 20,
  componentSize: 2 ** 26,
  members: [
    { uuid: FIRST, state: "active", chunkCount: 0x0403_0201 },
    { uuid: SECOND, state: "evacuating", chunkCount: 63 },
    { uuid: THIRD, state: "joining", chunkCount: 7 },
  ],
};
const POSITION = 2 ** 26 - 65_536;
const USED = 512 + 3 * 32;

const RAW: RawValues = {
  magic: "VIRSTOR::POOL",
  usedSize: USED,
  position: POSITION,
  generation: 0x1_2345_6789,
  version: 2,
  poolUuid: Uint8Array.fromHex(POOL.replaceAll("-", "")),
  componentUuid: Uint8Array.fromHex(SECOND.replaceAll("-", "")),
  virtualSize: 2 ** 40,
  chunkSize: 2 ** 20,
  componentSize: 2 ** 26,
  tableOffset: 2 ** 26 - 131_072 - 12_288,
  chunkCount: 63,
  tablePages: 1,
  memberCount: 3,
  nameSize: 4,
  clean: 1,
  tableDigest: 0xfedc_ba98,
  name: "demo",
};

function putMember(slot: Uint8Array, index: number, values: RawValues): void {
  putRaw(slot, MEMBER_TABLE, values, 512 + index * 32);
}

/** `SUPERBLOCK` as the tables have it, with changes, and its checksum. */
function rawSlot(
  change: RawValues = {},
  memberChange: RawValues = {},
  usedSize = USED,
): Uint8Array {
  const slot = new Uint8Array(SLOT_BYTES);
  putRaw(slot, SUPERBLOCK_TABLE, RAW);
  for (
    const [index, [uuid, state, chunkCount]] of [
      [FIRST, 2, 0x0403_0201],
      [SECOND, 3, 63],
      [THIRD, 1, 7],
    ].entries()
  ) {
    const bytes = Uint8Array.fromHex(String(uuid).replaceAll("-", ""));
    putMember(slot, index, {
      uuid: bytes,
      state: Number(state),
      chunkCount: Number(chunkCount),
    });
  }
  putRaw(slot, SUPERBLOCK_TABLE, change);
  putMember(slot, 1, memberChange);
  sealRawSuperblock(slot, usedSize);
  return slot;
}

function encoded(superblock: Superblock, position = POSITION): Uint8Array {
  const slot = new Uint8Array(SLOT_BYTES).fill(0xee);
  encodeSuperblock(superblock, position, slot);
  return slot;
}

function refusal(slot: Uint8Array, position = POSITION): VirstorError {
  const error = assertThrows(
    () => decodeSuperblock(slot, position, "disks/c1"),
    VirstorError,
  );
  assert(error.message.includes('"disks/c1"'), error.message);
  assert(error.message.includes(`byte ${position}`), error.message);
  assert(!/\p{Cc}/u.test(error.message), "one line");
  return error;
}

Deno.test("the constants of the superblock are those of the format", () => {
  assertEquals(
    [SUPERBLOCK_SLOT_SIZE, SUPERBLOCK_HEADER_SIZE, SUPERBLOCK_MEMBER_SIZE],
    [65_536, 512, 32],
  );
  assertEquals([SUPERBLOCK_MEMBERS_MAX, NATIVE_NAME_SIZE_MAX], [2032, 255]);
});

Deno.test("encodeSuperblock() gives the bytes of the tables, and zeroes after them", () => {
  const slot = encoded(SUPERBLOCK);
  assertEquals(slot, rawSlot());
  assertEquals(slot.subarray(USED), new Uint8Array(SLOT_BYTES - USED));
});

Deno.test("a superblock without a volume table has the bytes that it always had", () => {
  const digest = createHash("sha256").update(encoded(SUPERBLOCK)).digest("hex");
  assertEquals(
    digest,
    "51d28354957e5a7758280c850a790c9bd45aefae990b96855047eef8b4c03d69",
  );
});

Deno.test("decodeSuperblock() reads the bytes of the tables, whatever follows them", () => {
  for (const junk of [0, 0xff]) {
    const slot = rawSlot().fill(junk, USED);
    assertEquals(decodeSuperblock(slot, POSITION, "c1"), {
      ...SUPERBLOCK,
      readOnly: false,
    });
  }
});

Deno.test("decodeSuperblock() reads a slot in the middle of a buffer", () => {
  const buffer = new Uint8Array(SLOT_BYTES + 2000).fill(0x55);
  const slot = buffer.subarray(777, 777 + SLOT_BYTES);
  encodeSuperblock(SUPERBLOCK, POSITION, slot);
  const superblock = decodeSuperblock(slot, POSITION, "c1");
  assertEquals(superblock, { ...SUPERBLOCK, readOnly: false });
  assertEquals([buffer[776], buffer[777 + SLOT_BYTES]], [0x55, 0x55]);
});

/** As many members as asked for, the last one with 63 chunks. */
function manyMembers(count: number): Superblock["members"] {
  const states: MemberState[] = ["joining", "active", "evacuating"];
  return Array.from({ length: count }, (_, index) => ({
    uuid: `c0c0c0c0-0001-4002-8003-${String(index).padStart(12, "0")}`,
    state: states[index % 3] ?? "active",
    chunkCount: index === count - 1 ? 63 : 0xffff_ffff - index,
  }));
}

function withMembers(count: number): Superblock {
  const members = manyMembers(count);
  return {
    ...SUPERBLOCK,
    componentUuid: members[count - 1]?.uuid ?? "",
    members,
  };
}

/** 8 PiB in chunks of a page: as many chunks as can be counted. */
const LARGEST: Superblock = {
  ...SUPERBLOCK,
  chunkSize: 4096,
  virtualSize: 2 ** 53,
  componentSize: 2 ** 53,
  members: [{ uuid: SECOND, state: "active", chunkCount: 0xffff_ffff }],
};
/** One chunk of 1 GiB. */
const ONE_CHUNK: Superblock = {
  ...SUPERBLOCK,
  chunkSize: 2 ** 30,
  virtualSize: 2 ** 30,
  componentSize: 2 ** 30 + 131_072 + 12_288,
  members: [{ uuid: SECOND, state: "active", chunkCount: 1 }],
};

Deno.test("decodeSuperblock() gives back every field that encodeSuperblock() wrote", () => {
  const superblocks: Superblock[] = [
    { ...SUPERBLOCK, name: "a" },
    { ...SUPERBLOCK, name: "x".repeat(255) },
    { ...SUPERBLOCK, name: "\u{feff}a name, 名前 und \u{1f4be}\u{fffd}" },
    { ...SUPERBLOCK, name: "€".repeat(85) },
    { ...SUPERBLOCK, generation: 1 },
    { ...SUPERBLOCK, generation: 2 ** 53 - 1 },
    { ...SUPERBLOCK, clean: false },
    { ...SUPERBLOCK, virtualSize: 2 ** 20 },
    { ...SUPERBLOCK, virtualSize: 2 ** 53 },
    { ...SUPERBLOCK, compat: 0xffff_ffff },
    LARGEST,
    ONE_CHUNK,
    withMembers(1),
    withMembers(SUPERBLOCK_MEMBERS_MAX),
  ];
  for (const superblock of superblocks) {
    for (const slot of [131_072, 65_536]) {
      const position = superblock.componentSize - slot;
      const bytes = encoded(superblock, position);
      const found = decodeSuperblock(bytes, position, "c1");
      assertEquals(found, { ...superblock, readOnly: false });
    }
  }
});

Deno.test("encodeSuperblock() does not write what makes no sense", () => {
  const [first, second, third] = SUPERBLOCK.members;
  assert(first !== undefined && second !== undefined && third !== undefined);
  const changes: Partial<Superblock>[] = [
    { name: "" },
    { name: "x".repeat(256) },
    { name: "€".repeat(86) },
    { name: "two\nlines" },
    { name: "half \ud83d" },
    { poolUuid: NIL_UUID },
    { poolUuid: POOL.toUpperCase() },
    { componentUuid: POOL },
    { generation: 0 },
    { generation: 1.5 },
    { generation: 2 ** 53 },
    { compat: 2 ** 32 },
    { readOnlyCompat: 1 },
    { chunkSize: 2 ** 11 },
    { chunkSize: 2 ** 31 },
    { virtualSize: 0 },
    { virtualSize: 2 ** 20 + 1 },
    { virtualSize: 2 ** 53 + 2 ** 20 },
    { virtualSize: NaN },
    { componentSize: 2 ** 26 + 512 },
    { members: [] },
    { members: [first, third] },
    { members: [first, second, second] },
    { members: [{ ...second, chunkCount: 62 }] },
    { members: [second, { ...first, chunkCount: 0 }] },
    { members: [second, { ...first, chunkCount: 2 ** 32 }] },
    { members: [second, { ...first, uuid: NIL_UUID }] },
    withMembers(SUPERBLOCK_MEMBERS_MAX + 1),
  ];
  for (const change of changes) {
    assertThrows(
      () => encoded({ ...SUPERBLOCK, ...change }),
      AssertionError,
      "",
      JSON.stringify(change).slice(0, 100),
    );
  }
  for (const position of [0, POSITION - 4096, POSITION + 65_536]) {
    assertThrows(() => encoded(SUPERBLOCK, position), AssertionError);
  }
  assertThrows(
    () => encodeSuperblock(SUPERBLOCK, POSITION, new Uint8Array(512)),
    AssertionError,
  );
});

const JUNK = Uint8Array.of(0, 0, 1);

/** What is wrong, in a header whose checksum is right; code; words. */
const REFUSALS: readonly [RawValues, VirstorError["code"], string][] = [
  [{ magic: "VIRSTOR::POO" }, "not-found", "no superblock"],
  [{ magic: "VIRSTOR::POOL2" }, "not-found", "no superblock"],
  [{ magic: "GEOM::VIRSTOR" }, "not-found", "no superblock"],
  [{ usedSize: 0 }, "corrupt", "used size is 0 bytes"],
  [{ usedSize: 511 }, "corrupt", "used size is 511 bytes"],
  [{ usedSize: 65_537 }, "corrupt", "used size is 65537 bytes"],
  [{ usedSize: 0xffff_ffff }, "corrupt", "used size"],
  [{ position: 2 ** 26 - 131_072 }, "corrupt", "position is byte 66977792"],
  [{ position: 2n ** 63n }, "corrupt", "position"],
  [{ generation: 0 }, "corrupt", "generation"],
  [{ generation: 2n ** 53n }, "corrupt", "generation"],
  [{ generation: 2n ** 64n - 1n }, "corrupt", "generation"],
  [{ version: 1 }, "unsupported", "version is 1, expected 2"],
  [{ version: 3 }, "unsupported", "version is 3, expected 2"],
  [{ version: 3, incompat: 1, name: "" }, "unsupported", "version is 3"],
  [{ incompat: 4 }, "unsupported", "incompat 0x4"],
  [{ incompat: 7 }, "unsupported", "incompat 0x4"],
  [{ incompat: 1 }, "corrupt", "volume 0 is not listed first"],
  [{ incompat: 1, volumesSize: 32 }, "corrupt", "records take 32"],
  [{ incompat: 0x8000_0000 }, "unsupported", "incompat 0x80000000"],
  [{ poolUuid: new Uint8Array(16) }, "corrupt", "pool has no UUID"],
  [{ componentUuid: new Uint8Array(16) }, "corrupt", "not among its members"],
  [{ componentUuid: Uint8Array.of(9) }, "corrupt", "not among its members"],
  [{ virtualSize: 0 }, "corrupt", "virtual size is 0"],
  [{ virtualSize: 2 ** 20 + 4096 }, "corrupt", "not whole chunks"],
  [{ virtualSize: 2n ** 53n + 1n }, "corrupt", "above 8 PiB"],
  [{ virtualSize: 2n ** 63n }, "corrupt", "above 8 PiB"],
  [{ chunkSize: 0 }, "corrupt", "chunk size is 0"],
  [{ chunkSize: 2 ** 11 }, "corrupt", "chunk size is 2048"],
  [{ chunkSize: 3 * 2 ** 20 }, "corrupt", "chunk size is 3145728"],
  [{ chunkSize: 2 ** 31 }, "corrupt", "chunk size is 2147483648"],
  [{ chunkSize: 2 ** 32 + 2 ** 20 }, "corrupt", "chunk size is 4296015872"],
  [{ chunkSize: 2n ** 63n }, "corrupt", "chunk size"],
  [{ componentSize: 0 }, "corrupt", "chunks"],
  [{ componentSize: 4096 }, "corrupt", "chunks"],
  [{ componentSize: 2 ** 26 + 1 }, "corrupt", "not whole pages"],
  [{ componentSize: 2 ** 26 + 4096 }, "corrupt", "no slot of a component"],
  [{ componentSize: 2n ** 53n + 4096n }, "corrupt", "component size"],
  [{ tableOffset: 0 }, "corrupt", "table offset"],
  [{ tableOffset: 2n ** 64n - 1n }, "corrupt", "table offset"],
  [{ chunkCount: 62 }, "corrupt", "chunk count"],
  [{ chunkCount: 64 }, "corrupt", "chunk count"],
  [{ tablePages: 0 }, "corrupt", "table pages"],
  [{ tablePages: 2 }, "corrupt", "table pages"],
  [{ memberCount: 0 }, "corrupt", "member count is 0"],
  [{ memberCount: 2 }, "corrupt", "member count is 2"],
  [{ memberCount: 4 }, "corrupt", "member count is 4"],
  [{ nameSize: 0 }, "corrupt", "name size is 0"],
  [{ nameSize: 256 }, "corrupt", "name size is 256"],
  [{ nameSize: 3 }, "corrupt", "name does not end"],
  [{ nameSize: 5 }, "corrupt", 'name is "demo\\u0000"'],
  [{ name: "de\nmo" }, "corrupt", "name"],
  [{ name: Uint8Array.of(0x64, 0xff, 0x6d, 0x6f) }, "corrupt", "not UTF-8"],
  [{ name: Uint8Array.of(0xed, 0xa0, 0x80, 0x6f) }, "corrupt", "not UTF-8"],
  [{ clean: 2 }, "corrupt", "mark of a clean stop is 2"],
  [{ clean: 255 }, "corrupt", "mark of a clean stop is 255"],
  [{ reserved133: JUNK }, "corrupt", "byte 133"],
  [{ volumesSize: 1 }, "corrupt", "byte 140"],
  [{ bootId: JUNK }, "corrupt", "byte 400"],
  [{ overflowSize: 65_536 }, "corrupt", "byte 416"],
  [{ incompat: 2 }, "corrupt", "the size of its overflow is 0 bytes"],
  [{ incompat: 2, overflowSize: 1 }, "corrupt", "its overflow is 1 byte"],
  [{ incompat: 2, overflowSize: 1_376_256 }, "corrupt", "1376256 bytes"],
  [{ incompat: 2, overflowSize: 65_536 }, "corrupt", "table offset"],
  [{ reserved420: JUNK }, "corrupt", "byte 420"],
];

for (const [change, code, message] of REFUSALS) {
  const field = Object.entries(change).map(([name, value]) =>
    `${name} ${value}`
  );
  Deno.test(`decodeSuperblock() refuses ${field} and names the component`, () => {
    const usedSize = Number(change["usedSize"] ?? USED);
    const covered = usedSize >= 512 && usedSize <= SLOT_BYTES ? usedSize : USED;
    const error = refusal(rawSlot(change, {}, covered));
    assertEquals(error.code, code);
    assert(error.message.includes(message), error.message);
  });
}

/** The same for the member that is the component itself. */
const MEMBER_REFUSALS: readonly [RawValues, string][] = [
  [{ uuid: new Uint8Array(16) }, "member 1 has no UUID"],
  [
    { uuid: Uint8Array.fromHex(FIRST.replaceAll("-", "")) },
    "member 1 is listed twice",
  ],
  [{ uuid: Uint8Array.of(7) }, "not among its members"],
  [{ state: 0 }, "state of member 1 is 0"],
  [{ state: 4 }, "state of member 1 is 4"],
  [{ state: 255 }, "state of member 1 is 255"],
  [{ chunkCount: 0 }, "chunk count of member 1 is 0"],
  [{ chunkCount: 62 }, "62 chunks, 63 fit"],
  [{ reserved17: JUNK }, "byte 17 on of member 1"],
  [{ reserved24: JUNK }, "byte 24 on of member 1"],
];

for (const [change, message] of MEMBER_REFUSALS) {
  const field = Object.entries(change).map(([name, value]) =>
    `${name} ${value}`
  );
  Deno.test(`decodeSuperblock() refuses a member with ${field}`, () => {
    const error = refusal(rawSlot({}, change));
    assertEquals(error.code, "corrupt");
    assert(error.message.includes(message), error.message);
  });
}

Deno.test("decodeSuperblock() takes unknown compatible features and says when to read only", () => {
  const ignored = decodeSuperblock(
    rawSlot({ compat: 0x8000_0001 }),
    POSITION,
    "c1",
  );
  assertEquals([ignored.compat, ignored.readOnly], [0x8000_0001, false]);
  // What is not known is kept when it is written again.
  assertEquals(encoded(ignored), rawSlot({ compat: 0x8000_0001 }));
  for (const readOnlyCompat of [1, 0x8000_0000]) {
    const slot = rawSlot({ readOnlyCompat });
    const found = decodeSuperblock(slot, POSITION, "c1");
    assertEquals(found, { ...SUPERBLOCK, readOnlyCompat, readOnly: true });
    assertThrows(() => encoded(found), AssertionError);
  }
});

Deno.test("decodeSuperblock() refuses a superblock read from any other place", () => {
  const other = POSITION - 65_536;
  assertEquals(refusal(rawSlot(), other).code, "corrupt");
  assertEquals(refusal(rawSlot(), POSITION + 4096).code, "corrupt");
  // It says that it belongs there, but no slot is there.
  const error = refusal(rawSlot({ position: 2 ** 20 }), 2 ** 20);
  assert(error.message.includes("no slot of a component"), error.message);
});

Deno.test("decodeSuperblock() refuses each flipped bit of the used part", () => {
  const sound = encoded(SUPERBLOCK);
  for (let bit = 0; bit < USED * 8; bit++) {
    const { code } = refusal(withFlippedBit(sound, bit));
    assertEquals(code, bit < 128 ? "not-found" : "corrupt", `bit ${bit}`);
  }
});

Deno.test("decodeSuperblock() refuses a superblock that was torn at any sector", () => {
  const older = encoded(SUPERBLOCK);
  const newer = encoded({
    ...withMembers(100),
    generation: SUPERBLOCK.generation + 2,
  });
  const sectors = Math.ceil((512 + 100 * 32) / 512);
  for (let torn = 1; torn < sectors; torn++) {
    const front = newer.slice();
    front.set(older.subarray(torn * 512), torn * 512);
    assertEquals(refusal(front).code, "corrupt", `after sector ${torn}`);
  }
});

Deno.test("superblockWriteSize() is the used part in whole pages", () => {
  const sizes = [1, 112, 113, 240, 241, SUPERBLOCK_MEMBERS_MAX];
  assertEquals(
    sizes.map((count) => superblockWriteSize(withMembers(count))),
    [4096, 4096, 8192, 8192, 12_288, SLOT_BYTES],
  );
  for (const count of [0, SUPERBLOCK_MEMBERS_MAX + 1]) {
    const wrong = withMembers(count);
    assertThrows(() => superblockWriteSize(wrong), AssertionError);
  }
});

Deno.test("decodeSuperblock() reads what was written over a superblock with more members", () => {
  for (const count of [1, 112, 113]) {
    const slot = encoded(withMembers(SUPERBLOCK_MEMBERS_MAX));
    const newer = { ...withMembers(count), generation: 2 ** 40, clean: false };
    slot.set(encoded(newer).subarray(0, superblockWriteSize(newer)));
    const found = decodeSuperblock(slot, POSITION, "c1");
    assertEquals(found, { ...newer, readOnly: false });
  }
});

Deno.test("isSuperblock() looks at the magic only", () => {
  assert(!isSuperblock(new Uint8Array(SLOT_BYTES)));
  assert(!isSuperblock(new TextEncoder().encode("VIRSTOR::POOL")));
  const slot = new Uint8Array(SLOT_BYTES).fill(0xee);
  putRaw(slot, SUPERBLOCK_TABLE, { magic: "VIRSTOR::POOL" });
  assert(isSuperblock(slot));
  assert(isSuperblock(slot.subarray(0, 16)));
});

Deno.test("a UUID is on disk as it is written", () => {
  const bytes = new Uint8Array(20).fill(0xee);
  encodeUuid(POOL, bytes, 2);
  assertEquals(bytes.toHex(), "eeee00112233445566778899aabbccddeeffeeee");
  assertEquals(decodeUuid(bytes, 2), POOL);
  assertEquals(decodeUuid(new Uint8Array(UUID_SIZE), 0), NIL_UUID);
  const random = crypto.randomUUID();
  assert(isUuid(random));
  for (const text of ["", POOL.toUpperCase(), `${POOL}0`, `{${POOL}}`]) {
    assert(!isUuid(text), text);
    assertThrows(() => encodeUuid(text, bytes, 0), AssertionError);
  }
  assertThrows(() => encodeUuid(POOL, bytes, 5), AssertionError);
});
