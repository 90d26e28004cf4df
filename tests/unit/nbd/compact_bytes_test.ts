/**
 * Goal: clients that know nothing of chunks see what they always saw, byte for
 * byte. Method: what is sent and received is written down here, in hex.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import { exportOf, serve } from "./serving.ts";

/** What client and server say, in turns; spaces mean nothing. */
const TALK: readonly (readonly ["C" | "S", string])[] = [
  // NBDMAGIC, IHAVEOPT, fixed newstyle and no zeroes; the same back.
  ["S", "4e42444d41474943 49484156454f5054 0003"],
  ["C", "00000003"],
  // LIST: one server, "a", "b"; ACK.
  ["C", "49484156454f5054 00000003 00000000"],
  ["S", "0003e889045565a9 00000003 00000002 00000006 00000001 6162"],
  ["S", "0003e889045565a9 00000003 00000001 00000000"],
  // GO "a", no information asked for: export, block sizes, ACK.
  ["C", "49484156454f5054 00000007 00000007 00000001 61 0000"],
  ["S", "0003e889045565a9 00000007 00000003 0000000c"],
  ["S", "0000 0000000000000400 0d6d"],
  ["S", "0003e889045565a9 00000007 00000003 0000000e"],
  ["S", "0003 00000001 00001000 02000000"],
  ["S", "0003e889045565a9 00000007 00000001 00000000"],
  // WRITE of 4 bytes at 8.
  ["C", "25609513 0000 0001 0102030405060708 0000000000000008 00000004"],
  ["C", "deadbeef"],
  ["S", "67446698 00000000 0102030405060708"],
  // READ of 6 bytes at 7; of what is not there; of too much.
  ["C", "25609513 0000 0000 ffffffffffffffff 0000000000000007 00000006"],
  ["S", "67446698 00000000 ffffffffffffffff 00deadbeef00"],
  ["C", "25609513 0000 0000 0000000000000001 0000000000000400 00000001"],
  ["S", "67446698 00000016 0000000000000001"],
  ["C", "25609513 0000 0000 0000000000000002 0000000000000000 02000001"],
  ["S", "67446698 0000004b 0000000000000002"],
  // FLUSH, TRIM, CACHE, WRITE_ZEROES of byte 8.
  ["C", "25609513 0001 0003 0000000000000003 0000000000000000 00000000"],
  ["S", "67446698 00000000 0000000000000003"],
  ["C", "25609513 0001 0004 0000000000000004 0000000000000000 00000004"],
  ["S", "67446698 00000000 0000000000000004"],
  ["C", "25609513 0000 0005 0000000000000005 0000000000000000 00000400"],
  ["S", "67446698 00000000 0000000000000005"],
  ["C", "25609513 0012 0006 0000000000000006 0000000000000008 00000001"],
  ["S", "67446698 00000000 0000000000000006"],
  ["C", "25609513 0000 0000 0000000000000007 0000000000000008 00000002"],
  ["S", "67446698 00000000 0000000000000007 00ad"],
  // A write past the end, BLOCK_STATUS, DF, an unknown command.
  ["C", "25609513 0000 0001 0000000000000008 00000000000003ff 00000002 aaaa"],
  ["S", "67446698 0000001c 0000000000000008"],
  ["C", "25609513 0000 0007 0000000000000009 0000000000000000 00000001"],
  ["S", "67446698 00000016 0000000000000009"],
  ["C", "25609513 0004 0000 000000000000000a 0000000000000000 00000001"],
  ["S", "67446698 00000016 000000000000000a"],
  ["C", "25609513 0000 0063 000000000000000b 0000000000000000 00000001"],
  ["S", "67446698 00000016 000000000000000b"],
];

Deno.test("compact clients see what they always saw, byte for byte", async () => {
  const device = new MemoryDevice(1024);
  const exports = [exportOf(device, { name: "a", description: "b" })];
  await using serving = await serve({ exports });
  const { address } = serving;
  if (!("path" in address)) throw new Error("It is a Unix socket");
  using conn = await Deno.connect({ transport: "unix", path: address.path });
  for (const [side, hex] of TALK) {
    const bytes = Uint8Array.fromHex(hex.replaceAll(" ", ""));
    if (side === "C") {
      assertEquals(await conn.write(bytes), bytes.length);
      continue;
    }
    const got = new Uint8Array(bytes.length);
    for (let at = 0; at < got.length;) {
      at += await conn.read(got.subarray(at)) ?? Infinity;
    }
    assertEquals(got.toHex(), bytes.toHex());
  }
});
