/**
 * The header and the records of a journal: their bytes, and everything that can
 * be wrong with them.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { AssertionError } from "../../../errors.ts";
import {
  decodeJournalHeader,
  decodeJournalRecord,
  encodeJournalHeader,
  isSoundJournalRecord,
  JOURNAL_HEADER_OFFSET,
  JOURNAL_NEVER_WRITTEN,
  JOURNAL_NO_HOLE,
  JOURNAL_RECORD_OFFSET,
  JOURNAL_RECORD_SIZE,
  JOURNAL_SKIP,
  JOURNAL_WRITE,
  JOURNAL_ZEROES,
  type JournalHeader,
  journalPayload,
  journalRecordSize,
  newerJournalHeader,
  sealJournalRecord,
} from "../../../metadata/journal/mod.ts";
import { checksumOf, setUint64 } from "../../../metadata/common/mod.ts";

const HEADER: JournalHeader = {
  bootId: "0b0c0d0e-1112-4314-9516-171819202122",
  counter: 0x12_3456_789a_bcde,
  journalUuid: "00112233-4455-4677-8899-aabbccddeeff",
  componentUuid: "c0c1c2c3-c4c5-46c7-88c9-cacbcccdcecf",
  generation: 7,
  componentSize: 2 ** 40,
  journalSize: 2 ** 30,
  epoch: 3,
  tailSequence: 0x0a0b_0c0d_0e0f,
  tailPosition: 8192 + 512,
  tailEpoch: 2,
};
const UUID = Uint8Array.fromHex("00112233445546778899aabbccddeeff");

Deno.test("a header of a journal has the bytes of docs/format.md", () => {
  const bytes = encodeJournalHeader(HEADER, 1);
  assertEquals(bytes.length, 512);
  assertEquals(
    bytes.subarray(0, 144).toHex(),
    "56495253544f523a3a4a4f55524e414c" + // magic
      bytes.subarray(16, 20).toHex() + // checksum
      "02000000" + // version
      "0010000000000000" + // position
      "debc9a7856341200" + // counter
      "00112233445546778899aabbccddeeff" + // journal
      "c0c1c2c3c4c546c788c9cacbcccdcecf" + // component
      "0700000000000000" + // generation
      "0000000000010000" + // bytes of the component
      "0000004000000000" + // bytes of the journal
      "0300000000000000" + // epoch
      "0f0e0d0c0b0a0000" + // tail: sequence
      "0022000000000000" + // tail: position
      "0200000000000000" + // tail: epoch
      "0b0c0d0e111243149516171819202122", // boot
  );
  assertEquals(
    new DataView(bytes.buffer).getUint32(16, true),
    checksumOf(bytes, 16),
  );
  assert(bytes.subarray(144).every((byte) => byte === 0));
  assertEquals(decodeJournalHeader(bytes, 1), HEADER);
  assertEquals(decodeJournalHeader(bytes, 0), "it belongs at byte 4096");
});

Deno.test("no flipped bit of a header passes for sound", () => {
  const bytes = encodeJournalHeader(HEADER, 0);
  for (let bit = 0; bit < 512 * 8; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assertEquals(typeof decodeJournalHeader(damaged, 0), "string", `${bit}`);
  }
});

/** A header with one field changed, and its checksum. */
function changed(
  offset: number,
  value: number,
  bits: 32 | 64 = 64,
): JournalHeader | string {
  const bytes = encodeJournalHeader(HEADER, 0);
  const view = new DataView(bytes.buffer);
  if (bits === 64) setUint64(view, offset, value);
  else view.setUint32(offset, value, true);
  view.setUint32(16, checksumOf(bytes, 16), true);
  return decodeJournalHeader(bytes, 0);
}

Deno.test("a header with a field out of range is not sound", () => {
  const at = JOURNAL_HEADER_OFFSET;
  for (
    const [offset, value, reason] of [
      [at.counter, 0, "its counter is out of range"],
      [at.generation, 2 ** 53, "its generation is out of range"],
      [at.epoch, 0, "its epoch is out of range"],
      [at.tailSequence, 0, "its tailSequence is out of range"],
      [at.componentSize, 2 ** 53, "its component's size is out of range"],
      [at.journalSize, 8192, "its size is out of range"],
      [at.journalSize, 2 ** 30 + 1, "its size is out of range"],
      [at.tailPosition, 4096, "its oldest record lies outside its ring"],
      [at.tailPosition, 2 ** 30, "its oldest record lies outside its ring"],
      [at.tailPosition, 8193, "its oldest record lies outside its ring"],
      [at.tailEpoch, 4, "its tailEpoch is out of range"],
      [144, 1, "its reserved bytes are not zero"],
    ] as const
  ) assertEquals(changed(offset, value), reason);
  // What version 1 lacks is a promise of its flushes, no field.
  assertEquals(changed(at.version, 1, 32), HEADER);
  assertEquals(changed(at.version, 0, 32), "it has version 0, not 2");
  assertEquals(changed(at.version, 3, 32), "it has version 3, not 2");
  const bytes = encodeJournalHeader(HEADER, 0);
  for (const field of [at.journalUuid, at.componentUuid]) {
    const damaged = bytes.slice().fill(0, field, field + 16);
    new DataView(damaged.buffer)
      .setUint32(16, checksumOf(damaged, 16), true);
    assertEquals(decodeJournalHeader(damaged, 0), "it has no UUID");
  }
  assertThrows(
    () => encodeJournalHeader({ ...HEADER, epoch: 0 }, 0),
    AssertionError,
  );
});

Deno.test("of two sound headers the one of the higher counter counts", () => {
  const slots = new Uint8Array(8192);
  assertEquals(newerJournalHeader(slots), JOURNAL_NEVER_WRITTEN);
  const old = { ...HEADER, counter: 4 };
  const young = { ...HEADER, counter: 5 };
  slots.set(encodeJournalHeader(young, 0), 0);
  assertEquals(newerJournalHeader(slots), {
    ...{ header: young, slot: 0, version: 2 },
  });
  slots.set(encodeJournalHeader(old, 1), 4096);
  assertEquals(newerJournalHeader(slots), {
    ...{ header: young, slot: 0, version: 2 },
  });
  slots[100] = 77;
  assertEquals(newerJournalHeader(slots), {
    ...{ header: old, slot: 1, version: 2 },
  });
  slots[4200] = 77;
  assertEquals(newerJournalHeader(slots), "its checksum is wrong");
});

const RECORD = {
  kind: JOURNAL_WRITE,
  flags: 0,
  epoch: 3,
  sequence: 0x0a0b_0c0d_0e0f,
  position: 8192 + 512,
  offset: 2 ** 33 + 1,
  length: 5,
};

function sealed(record: typeof RECORD, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(journalRecordSize(payload.length));
  bytes.set(payload, JOURNAL_RECORD_SIZE);
  sealJournalRecord(record, UUID, bytes, payload.length);
  return bytes;
}

Deno.test("a record of a journal has the bytes of docs/format.md", () => {
  const bytes = sealed(RECORD, new TextEncoder().encode("Hello"));
  assertEquals(bytes.length, 512);
  assertEquals(
    bytes.subarray(0, 85).toHex(),
    "564a524e" + // magic
      bytes.subarray(4, 8).toHex() + // checksum
      "00112233445546778899aabbccddeeff" + // journal
      "0300000000000000" + // epoch
      "0f0e0d0c0b0a0000" + // sequence
      "0022000000000000" + // position
      "0100000002000000" + // offset
      "0500000000000000" + // length
      "01000000" + // kind: a write
      "00000000" + // flags
      "0000000000000000" + // reserved
      "48656c6c6f", // payload
  );
  assertEquals(decodeJournalRecord(bytes, UUID), RECORD);
  assert(isSoundJournalRecord(bytes.subarray(0, 85)));
  assertEquals(journalPayload(RECORD), 5);
});

Deno.test("no flipped bit of a record or its payload passes for sound", () => {
  const bytes = sealed(RECORD, new TextEncoder().encode("Hello"));
  const whole = bytes.subarray(0, JOURNAL_RECORD_SIZE + 5);
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const damaged = whole.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert(!isSoundJournalRecord(damaged), `${bit}`);
  }
});

Deno.test("a record of another journal, kind or flag is no record", () => {
  const at = JOURNAL_RECORD_OFFSET;
  const zeroes = {
    ...RECORD,
    kind: JOURNAL_ZEROES,
    flags: JOURNAL_NO_HOLE,
    length: 2 ** 40,
  };
  const bytes = sealed(zeroes, new Uint8Array());
  assertEquals(decodeJournalRecord(bytes, UUID), zeroes);
  assertEquals(journalPayload(zeroes), 0);
  for (
    const [offset, value, reason] of [
      [at.magic, 1, "it holds no record"],
      [at.journalUuid, 1, "it belongs to another journal"],
      [at.kind, 0, "its kind is unknown"],
      [at.kind, 4, "its kind is unknown"],
      [at.kind, JOURNAL_SKIP, "its flags are unknown"],
      [at.flags, 2, "its flags are unknown"],
      [at.flags + 4, 1, "its reserved bytes are not zero"],
    ] as const
  ) {
    const damaged = bytes.slice();
    new DataView(damaged.buffer).setUint32(offset, value, true);
    assertEquals(decodeJournalRecord(damaged, UUID), reason);
  }
});

Deno.test("a record takes whole sectors", () => {
  assertEquals(
    [0, 432, 433, 4096, 2 ** 20].map(journalRecordSize),
    [512, 512, 1024, 4608, 2 ** 20 + 512],
  );
});
