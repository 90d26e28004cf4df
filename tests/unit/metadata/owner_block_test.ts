/**
 * The owner block of a remote component: its bytes, and what can be wrong.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { checksumOf, setUint64 } from "../../../metadata/common/mod.ts";
import {
  decodeOwnerBlock,
  encodeOwnerBlock,
  NO_OWNER,
  OWNER_BLOCK_OFFSET,
  ownerBlockPosition,
} from "../../../metadata/journal/mod.ts";
import { superblockPosition } from "../../../metadata/native/mod.ts";

const BLOCK = {
  componentUuid: "c0c1c2c3-c4c5-46c7-88c9-cacbcccdcecf",
  ownerUuid: "00112233-4455-4677-8899-aabbccddeeff",
  journalUuid: "d0d1d2d3-c4c5-46c7-88c9-cacbcccdcecf",
  generation: 7,
  epoch: 3,
  beat: 0x12_3456_789a_bcde,
  intervalMs: 4000,
  isInUse: true,
  host: "höst.example",
};
const POSITION = ownerBlockPosition(2 ** 30);

Deno.test("an owner block has the bytes of docs/format.md", () => {
  const bytes = encodeOwnerBlock(BLOCK, POSITION);
  assertEquals(bytes.length, 512);
  assertEquals(
    bytes.subarray(0, 126).toHex(),
    "56495253544f523a3a4f574e45520000" + // magic
      bytes.subarray(16, 20).toHex() + // checksum
      "01000000" + // version
      "00f0fe3f00000000" + // position
      "c0c1c2c3c4c546c788c9cacbcccdcecf" + // component
      "00112233445546778899aabbccddeeff" + // owner
      "d0d1d2d3c4c546c788c9cacbcccdcecf" + // journal
      "0700000000000000" + // generation
      "0300000000000000" + // epoch
      "debc9a7856341200" + // beat
      "a00f0000" + // interval
      "01" + // in use
      "000000" + // reserved
      "68c3b673742e6578616d706c6500", // host
  );
  assertEquals(decodeOwnerBlock(bytes, POSITION), BLOCK);
  assertEquals(
    decodeOwnerBlock(bytes, POSITION + 512),
    `it belongs at byte ${POSITION}`,
  );
  assertEquals(decodeOwnerBlock(new Uint8Array(512), POSITION), NO_OWNER);
});

Deno.test("an owner block lies behind what superblocks use", () => {
  const slots = [0, 1].map((slot) => superblockPosition(2 ** 30, slot));
  assertEquals(POSITION, (slots[1] ?? 0) - 4096);
  assertEquals(POSITION, (slots[0] ?? 0) + 61_440);
  assert(ownerBlockPosition(4096) < 0);
});

Deno.test("no flipped bit of an owner block passes for sound", () => {
  const bytes = encodeOwnerBlock(BLOCK, POSITION);
  for (let bit = 0; bit < 512 * 8; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assertEquals(typeof decodeOwnerBlock(damaged, POSITION), "string");
  }
});

Deno.test("an owner block with a field out of range is not sound", () => {
  const at = OWNER_BLOCK_OFFSET;
  for (
    const [offset, value, reason] of [
      [at.generation, 0, "its generation is out of range"],
      [at.epoch, 2 ** 53, "its epoch is out of range"],
      [at.beat, 0, "its beat is out of range"],
      [at.intervalMs, 0, "its interval is out of range"],
      [at.isInUse, 2, "its reserved bytes are not zero"],
      [176, 1, "its reserved bytes are not zero"],
    ] as const
  ) {
    const bytes = encodeOwnerBlock(BLOCK, POSITION);
    const view = new DataView(bytes.buffer);
    setUint64(view, offset, value);
    view.setUint32(16, checksumOf(bytes, 16), true);
    assertEquals(decodeOwnerBlock(bytes, POSITION), reason);
  }
});

Deno.test("a host whose name is too long is cut at a whole character", () => {
  const host = "ö".repeat(40);
  const bytes = encodeOwnerBlock({ ...BLOCK, host: `a${host}` }, POSITION);
  const block = decodeOwnerBlock(bytes, POSITION);
  assert(typeof block !== "string");
  assertEquals(block.host, `a${"ö".repeat(31)}`);
});
