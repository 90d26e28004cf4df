/**
 * The flush mark of a remote component: its bytes, and what can be wrong.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { AssertionError } from "../../../errors.ts";
import { checksumOf, setUint64 } from "../../../metadata/common/mod.ts";
import {
  decodeFlushMark,
  encodeFlushMark,
  FLUSH_MARK_OFFSET,
  flushMarkPosition,
  NO_MARK,
  OTHER_THAN_MARK,
  ownerBlockPosition,
} from "../../../metadata/journal/mod.ts";
import { Random } from "../../simulation/random.ts";

const MARK = {
  componentUuid: "c0c1c2c3-c4c5-46c7-88c9-cacbcccdcecf",
  ownerUuid: "00112233-4455-4677-8899-aabbccddeeff",
  journalUuid: "d0d1d2d3-c4c5-46c7-88c9-cacbcccdcecf",
  epoch: 3,
  sequence: 0x12_3456_789a_bcde,
};
const POSITION = flushMarkPosition(2 ** 30);

Deno.test("a flush mark has the bytes of docs/format.md", () => {
  const bytes = encodeFlushMark(MARK, POSITION);
  assertEquals(bytes.length, 512);
  assertEquals(
    bytes.toHex(),
    "56495253544f523a3a4d41524b000000" + // magic
      bytes.subarray(16, 20).toHex() + // checksum
      "01000000" + // version
      "00f2fe3f00000000" + // position
      "c0c1c2c3c4c546c788c9cacbcccdcecf" + // component
      "00112233445546778899aabbccddeeff" + // owner
      "d0d1d2d3c4c546c788c9cacbcccdcecf" + // journal
      "0300000000000000" + // epoch
      "debc9a7856341200" + // sequence
      "00".repeat(416), // reserved
  );
  assertEquals(decodeFlushMark(bytes, POSITION), MARK);
  assertEquals(
    decodeFlushMark(bytes, POSITION + 512),
    `it belongs at byte ${POSITION}`,
  );
  assertEquals(decodeFlushMark(new Uint8Array(512), POSITION), NO_MARK);
  assertEquals(
    decodeFlushMark(new Uint8Array(512).fill(7), POSITION),
    OTHER_THAN_MARK,
  );
  const none = { ...MARK, sequence: 0 };
  assertEquals(decodeFlushMark(encodeFlushMark(none, 0), 0), none);
});

Deno.test("a flush mark lies behind the owner block", () => {
  assertEquals(POSITION, ownerBlockPosition(2 ** 30) + 512);
});

Deno.test("no flipped bit of a flush mark, and no wild bytes, pass for sound", () => {
  const bytes = encodeFlushMark(MARK, POSITION);
  for (let bit = 0; bit < 512 * 8; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assertEquals(typeof decodeFlushMark(damaged, POSITION), "string");
  }
  for (let seed = 1; seed <= 2000; seed++) {
    const random = new Random(seed);
    const damaged = bytes.slice();
    const start = random.below(512);
    const end = start + 1 + random.below(random.pick([4, 512]));
    for (let at = start; at < end; at++) damaged[at] = random.below(256);
    const isSame = damaged.toHex() === bytes.toHex();
    const found = decodeFlushMark(damaged, POSITION);
    assertEquals(typeof found, isSame ? "object" : "string", `seed ${seed}`);
  }
});

Deno.test("a flush mark with a field out of range is not sound", () => {
  const at = FLUSH_MARK_OFFSET;
  for (
    const [offset, value, reason] of [
      [at.epoch, 0, "its epoch is out of range"],
      [at.sequence, 2 ** 53, "its sequence is out of range"],
      [96, 1, "its reserved bytes are not zero"],
      [504, 1, "its reserved bytes are not zero"],
    ] as const
  ) {
    const bytes = encodeFlushMark(MARK, POSITION);
    const view = new DataView(bytes.buffer);
    setUint64(view, offset, value);
    view.setUint32(16, checksumOf(bytes, 16), true);
    assertEquals(decodeFlushMark(bytes, POSITION), reason);
  }
  const bytes = encodeFlushMark(MARK, POSITION);
  bytes.fill(0, at.journalUuid, at.journalUuid + 16);
  const view = new DataView(bytes.buffer);
  view.setUint32(16, checksumOf(bytes, 16), true);
  assertEquals(decodeFlushMark(bytes, POSITION), "it has no UUID");
  view.setUint32(20, 2, true);
  view.setUint32(16, checksumOf(bytes, 16), true);
  assertEquals(decodeFlushMark(bytes, POSITION), "it has version 2, not 1");
  assertThrows(
    () => encodeFlushMark({ ...MARK, sequence: -1 }, POSITION),
    AssertionError,
  );
});
