/**
 * Goal: the gate lets through what is right and answers the rest with the
 * error value that the protocol names. Method: a table.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { ExportFacts } from "../../../nbd/export.ts";
import { checkRequest } from "../../../nbd/request_gate.ts";
import { NBD } from "../../helpers/nbd_client.ts";

const MIB = 1024 * 1024;
const SIZE = 100 * MIB;
const FACTS: ExportFacts = {
  size: SIZE,
  minimumBlockSize: 512,
  preferredBlockSize: 4096,
  readOnly: false,
  trim: true,
  fastZero: true,
  flags: 0,
};
const READ_ONLY = { ...FACTS, readOnly: true, trim: false, fastZero: false };
const PLAIN = { ...FACTS, trim: false, fastZero: false };

const { EINVAL, ENOSPC, EOVERFLOW, EPERM } = NBD;
const R = NBD.CMD_READ;
const W = NBD.CMD_WRITE;
const F = NBD.CMD_FLUSH;
const T = NBD.CMD_TRIM;
const C = NBD.CMD_CACHE;
const Z = NBD.CMD_WRITE_ZEROES;

type Row = [
  name: string,
  facts: ExportFacts,
  command: number,
  flags: number,
  offset: number,
  length: number,
  errno: number,
];

const ROWS: Row[] = [
  ["a read", FACTS, R, 0, 0, 512, 0],
  ["a read of the last block", FACTS, R, 0, SIZE - 512, 512, 0],
  ["a read past the end", FACTS, R, 0, SIZE - 512, 1024, EINVAL],
  ["a read behind the end", FACTS, R, 0, SIZE + 512, 512, EINVAL],
  ["a read at 2^53", FACTS, R, 0, 2 ** 53, 512, EINVAL],
  ["a read at 2^63", FACTS, R, 0, 2 ** 63, 512, EINVAL],
  ["a read at 2^64", FACTS, R, 0, 2 ** 64, 512, EINVAL],
  ["a read of 32 MiB", FACTS, R, 0, 0, 32 * MIB, 0],
  ["a longer read", FACTS, R, 0, 0, 32 * MIB + 512, EOVERFLOW],
  ["the longest read", FACTS, R, 0, 0, 2 ** 32 - 1, EOVERFLOW],
  ["a read with FUA", FACTS, R, 1, 0, 512, 0],
  ["a read with DF, not negotiated", FACTS, R, 4, 0, 512, EINVAL],
  ["a read with unknown flags", FACTS, R, 0x8000, 0, 512, EINVAL],
  ["a read at no block", FACTS, R, 0, 1, 512, EINVAL],
  ["a read of half a block", FACTS, R, 0, 0, 256, EINVAL],
  ["a read of nothing", FACTS, R, 0, 0, 0, 0],
  ["a read of nothing at the end", FACTS, R, 0, SIZE, 0, 0],
  ["a read of nothing behind it", FACTS, R, 0, SIZE + 512, 0, EINVAL],
  ["a read of a read-only disk", READ_ONLY, R, 0, 0, 512, 0],

  ["a write", FACTS, W, 0, 0, 512, 0],
  ["a write with FUA", FACTS, W, 1, 0, 512, 0],
  ["a write past the end", FACTS, W, 0, SIZE - 512, 1024, ENOSPC],
  ["a write at 2^63", FACTS, W, 0, 2 ** 63, 512, ENOSPC],
  ["a write of 32 MiB", FACTS, W, 0, 0, 32 * MIB, 0],
  ["a longer write", FACTS, W, 0, 0, 32 * MIB + 512, EINVAL],
  ["a write with NO_HOLE", FACTS, W, 2, 0, 512, EINVAL],
  ["a write at no block", FACTS, W, 0, 100, 512, EINVAL],
  ["a write to a read-only disk", READ_ONLY, W, 0, 0, 512, EPERM],

  ["a flush", FACTS, F, 0, 0, 0, 0],
  ["a flush with FUA", FACTS, F, 1, 0, 0, 0],
  ["a flush of a range", FACTS, F, 0, 0, 512, EINVAL],
  ["a flush of a read-only disk", READ_ONLY, F, 0, 0, 0, 0],

  ["a trim", FACTS, T, 0, 0, SIZE, 0],
  ["a trim with FUA", FACTS, T, 1, 0, 512, 0],
  ["a trim past the end", FACTS, T, 0, 512, SIZE, EINVAL],
  ["a trim with FAST_ZERO", FACTS, T, 16, 0, 512, EINVAL],
  ["a trim that is not offered", PLAIN, T, 0, 0, 512, EINVAL],
  ["a trim of a read-only disk", READ_ONLY, T, 0, 0, 512, EPERM],

  ["zeroes all over", FACTS, Z, 0, 0, SIZE, 0],
  ["zeroes with all flags", FACTS, Z, 1 | 2 | 16, 0, 512, 0],
  ["zeroes with an unknown flag", FACTS, Z, 32, 0, 512, EINVAL],
  ["zeroes past the end", FACTS, Z, 0, 512, SIZE, ENOSPC],
  ["fast zeroes, not offered", PLAIN, Z, 16, 0, 512, EINVAL],
  ["zeroes on a read-only disk", READ_ONLY, Z, 0, 0, 512, EPERM],

  ["a cache hint", FACTS, C, 0, 0, SIZE, 0],
  ["a cache hint past the end", FACTS, C, 0, 512, SIZE, EINVAL],
  ["a cache hint with NO_HOLE", FACTS, C, 2, 0, 512, EINVAL],
  ["a block status request", FACTS, 7, 0, 0, 512, EINVAL],
  ["an unknown command", FACTS, 0xffff, 0, 0, 0, EINVAL],
];

Deno.test("checkRequest() decides as the protocol says", () => {
  for (const [name, facts, command, flags, offset, length, errno] of ROWS) {
    const got = checkRequest(facts, command, flags, offset, length);
    assertEquals(`${name}: ${got}`, `${name}: ${errno}`);
  }
});

Deno.test("checkRequest() is exact around 2^32 and at 8 PiB", () => {
  for (const size of [2 ** 32, 2 ** 33, 2 ** 53 - 2 ** 22]) {
    const facts = { ...FACTS, size };
    assertEquals(checkRequest(facts, R, 0, size - 512, 512), 0);
    assertEquals(checkRequest(facts, R, 0, size - 512, 1024), EINVAL);
    assertEquals(checkRequest(facts, R, 0, size - 256, 256), EINVAL);
    assertEquals(checkRequest(facts, T, 0, size - 2 ** 31, 2 ** 31), 0);
  }
});
