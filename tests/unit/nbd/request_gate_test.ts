/**
 * Goal: the gate lets through what is right and answers the rest with the
 * error value that the protocol names. Method: a table.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import type { ExportProperties } from "../../../nbd/server/export/export.ts";
import { allocationContext } from "../../../nbd/wire/meta_context.ts";
import { createRequest } from "../../../nbd/wire/request.ts";
import { checkRequest } from "../../../nbd/server/transmission/request_gate.ts";
import { NBD } from "../../helpers/nbd_client.ts";

const MIB = 1024 * 1024;
const SIZE = 100 * MIB;
const SIMPLE: ExportProperties = {
  size: SIZE,
  minimumBlockSize: 512,
  preferredBlockSize: 4096,
  readOnly: false,
  trim: true,
  fastZero: true,
  dialect: "simple",
  chunked: false,
  extended: false,
  contexts: [],
  flags: 0,
};
const CONTEXTS = [allocationContext(new MemoryDevice(512))]
  .map((context) => ({ id: 1, context }));
const STRUCTURED: ExportProperties = {
  ...SIMPLE,
  dialect: "structured",
  chunked: true,
  contexts: CONTEXTS,
};
const EXTENDED: ExportProperties = {
  ...STRUCTURED,
  dialect: "extended",
  extended: true,
};
const READ_ONLY = { ...SIMPLE, readOnly: true, trim: false, fastZero: false };
const PLAIN = { ...SIMPLE, trim: false, fastZero: false };

const { EINVAL, ENOSPC, EOVERFLOW, EPERM } = NBD;
const R = NBD.CMD_READ;
const W = NBD.CMD_WRITE;
const F = NBD.CMD_FLUSH;
const T = NBD.CMD_TRIM;
const C = NBD.CMD_CACHE;
const Z = NBD.CMD_WRITE_ZEROES;
const S = NBD.CMD_BLOCK_STATUS;
const { CMD_FLAG_DF: DF, CMD_FLAG_REQ_ONE: ONE, CMD_FLAG_PAYLOAD_LEN: PAY } =
  NBD;

type Row = [
  name: string,
  properties: ExportProperties,
  command: number,
  flags: number,
  offset: number,
  length: number,
  errno: number,
];

const ROWS: Row[] = [
  ["a read", SIMPLE, R, 0, 0, 512, 0],
  ["a read of the last block", SIMPLE, R, 0, SIZE - 512, 512, 0],
  ["a read past the end", SIMPLE, R, 0, SIZE - 512, 1024, EINVAL],
  ["a read behind the end", SIMPLE, R, 0, SIZE + 512, 512, EINVAL],
  ["a read at 2^53", SIMPLE, R, 0, 2 ** 53, 512, EINVAL],
  ["a read at 2^63", SIMPLE, R, 0, 2 ** 63, 512, EINVAL],
  ["a read at 2^64", SIMPLE, R, 0, 2 ** 64, 512, EINVAL],
  ["a read of 32 MiB", SIMPLE, R, 0, 0, 32 * MIB, 0],
  ["a longer read", SIMPLE, R, 0, 0, 32 * MIB + 512, EOVERFLOW],
  ["the longest read", SIMPLE, R, 0, 0, 2 ** 32 - 1, EOVERFLOW],
  ["a read with FUA", SIMPLE, R, 1, 0, 512, 0],
  ["a read with DF, not negotiated", SIMPLE, R, 4, 0, 512, EINVAL],
  ["a read with unknown flags", SIMPLE, R, 0x8000, 0, 512, EINVAL],
  ["a read at no block", SIMPLE, R, 0, 1, 512, EINVAL],
  ["a read of half a block", SIMPLE, R, 0, 0, 256, EINVAL],
  ["a read of nothing", SIMPLE, R, 0, 0, 0, 0],
  ["a read of nothing at the end", SIMPLE, R, 0, SIZE, 0, 0],
  ["a read of nothing behind it", SIMPLE, R, 0, SIZE + 512, 0, EINVAL],
  ["a read of a read-only disk", READ_ONLY, R, 0, 0, 512, 0],

  ["a write", SIMPLE, W, 0, 0, 512, 0],
  ["a write with FUA", SIMPLE, W, 1, 0, 512, 0],
  ["a write past the end", SIMPLE, W, 0, SIZE - 512, 1024, ENOSPC],
  ["a write at 2^63", SIMPLE, W, 0, 2 ** 63, 512, ENOSPC],
  ["a write of 32 MiB", SIMPLE, W, 0, 0, 32 * MIB, 0],
  ["a longer write", SIMPLE, W, 0, 0, 32 * MIB + 512, EINVAL],
  ["a write with NO_HOLE", SIMPLE, W, 2, 0, 512, EINVAL],
  ["a write at no block", SIMPLE, W, 0, 100, 512, EINVAL],
  ["a write to a read-only disk", READ_ONLY, W, 0, 0, 512, EPERM],

  ["a flush", SIMPLE, F, 0, 0, 0, 0],
  ["a flush with FUA", SIMPLE, F, 1, 0, 0, 0],
  ["a flush of a range", SIMPLE, F, 0, 0, 512, EINVAL],
  ["a flush of a read-only disk", READ_ONLY, F, 0, 0, 0, 0],

  ["a trim", SIMPLE, T, 0, 0, SIZE, 0],
  ["a trim with FUA", SIMPLE, T, 1, 0, 512, 0],
  ["a trim past the end", SIMPLE, T, 0, 512, SIZE, EINVAL],
  ["a trim with FAST_ZERO", SIMPLE, T, 16, 0, 512, EINVAL],
  ["a trim that is not offered", PLAIN, T, 0, 0, 512, EINVAL],
  ["a trim of a read-only disk", READ_ONLY, T, 0, 0, 512, EPERM],

  ["zeroes all over", SIMPLE, Z, 0, 0, SIZE, 0],
  ["zeroes with all flags", SIMPLE, Z, 1 | 2 | 16, 0, 512, 0],
  ["zeroes with an unknown flag", SIMPLE, Z, 32, 0, 512, EINVAL],
  ["zeroes past the end", SIMPLE, Z, 0, 512, SIZE, ENOSPC],
  ["fast zeroes, not offered", PLAIN, Z, 16, 0, 512, EINVAL],
  ["zeroes on a read-only disk", READ_ONLY, Z, 0, 0, 512, EPERM],

  ["a cache hint", SIMPLE, C, 0, 0, SIZE, 0],
  ["a cache hint past the end", SIMPLE, C, 0, 512, SIZE, EINVAL],
  ["a cache hint with NO_HOLE", SIMPLE, C, 2, 0, 512, EINVAL],
  ["a block status request", SIMPLE, S, 0, 0, 512, EINVAL],
  ["a payload flag in a compact header", SIMPLE, T, PAY, 0, 512, EINVAL],
  ["a write with that", SIMPLE, W, PAY, 0, 512, EINVAL],

  ["a structured read with DF", STRUCTURED, R, DF, 0, 512, 0],
  ["all of 32 MiB with DF", STRUCTURED, R, DF, 0, 32 * MIB, 0],
  ["more with DF", STRUCTURED, R, DF, 0, 32 * MIB + 512, EOVERFLOW],
  ["a write with DF", STRUCTURED, W, DF, 0, 512, EINVAL],
  ["a structured write", STRUCTURED, W, 0, 0, 512, 0],
  ["a payload flag without extended headers", STRUCTURED, W, PAY, 0, 8, EINVAL],
  ["a status", STRUCTURED, S, 0, 0, SIZE, 0],
  ["a status of one run", STRUCTURED, S, ONE, 0, 512, 0],
  ["a status with FUA", STRUCTURED, S, 1, 0, 512, 0],
  ["a status with DF", STRUCTURED, S, DF, 0, 512, EINVAL],
  ["a status with a payload flag", STRUCTURED, S, PAY, 0, 512, EINVAL],
  ["a status of nothing", STRUCTURED, S, 0, 0, 0, EINVAL],
  ["a status past the end", STRUCTURED, S, 0, 512, SIZE, EINVAL],
  ["a status of half a block", STRUCTURED, S, 0, 0, 256, EINVAL],
  [
    "a status without contexts",
    { ...STRUCTURED, contexts: [] },
    S,
    0,
    0,
    512,
    EINVAL,
  ],
  ["a read with REQ_ONE", STRUCTURED, R, ONE, 0, 512, EINVAL],

  ["an extended write", EXTENDED, W, PAY, 0, 512, 0],
  ["an extended write with FUA", EXTENDED, W, PAY | 1, 0, 512, 0],
  ["one without its flag", EXTENDED, W, 0, 0, 512, EINVAL],
  ["one past the end", EXTENDED, W, PAY, SIZE, 512, ENOSPC],
  ["a read with a payload", EXTENDED, R, PAY, 0, 512, EINVAL],
  ["a flush with a payload", EXTENDED, F, PAY, 0, 0, EINVAL],
  ["a trim with a payload", EXTENDED, T, PAY, 0, 512, EINVAL],
  ["a cache hint with a payload", EXTENDED, C, PAY, 0, 512, EINVAL],
  ["zeroes with a payload", EXTENDED, Z, PAY, 0, 512, EINVAL],
  ["a status with a payload", EXTENDED, S, PAY | ONE, 0, 512, 0],
  ["the longest read of all", EXTENDED, R, 0, 0, 2 ** 64, EOVERFLOW],
  ["the longest trim", EXTENDED, T, 0, 0, 2 ** 64, EINVAL],
  ["the longest zeroes", EXTENDED, Z, 0, 0, 2 ** 64, ENOSPC],
  ["the longest status", EXTENDED, S, 0, 512, 2 ** 64, EINVAL],
  ["the longest cache hint", EXTENDED, C, 0, 512, 2 ** 64, EINVAL],
  ["a flush of all", EXTENDED, F, 0, 0, 2 ** 64, EINVAL],
  ["an unknown command", SIMPLE, 0xffff, 0, 0, 0, EINVAL],
];

function check(
  properties: ExportProperties,
  command: number,
  flags: number,
  offset: number,
  length: number,
): number {
  const request = { ...createRequest(), command, flags, offset, length };
  const failure = checkRequest(properties, request, properties.size);
  if (failure !== undefined) assertMatch(failure.text, /^[A-Z][^\n]*[^.]$/);
  return failure?.errno ?? 0;
}

Deno.test("checkRequest() decides as the protocol says", () => {
  for (
    const [name, properties, command, flags, offset, length, errno] of ROWS
  ) {
    const got = check(properties, command, flags, offset, length);
    assertEquals(`${name}: ${got}`, `${name}: ${errno}`);
  }
});

Deno.test("checkRequest() is exact around 2^32 and at 8 PiB", () => {
  for (const size of [2 ** 32, 2 ** 33, 2 ** 53 - 2 ** 22]) {
    const properties = { ...EXTENDED, size };
    assertEquals(check(properties, R, 0, size - 512, 512), 0);
    assertEquals(check(properties, R, 0, size - 512, 1024), EINVAL);
    assertEquals(check(properties, R, 0, size - 256, 256), EINVAL);
    assertEquals(check(properties, T, 0, size - 2 ** 31, 2 ** 31), 0);
    for (const command of [T, Z, S, C]) {
      assertEquals(check(properties, command, 0, 0, size), 0);
      assertEquals(check(properties, command, 0, 512, size - 512), 0);
      const errno = command === Z ? ENOSPC : EINVAL;
      assertEquals(check(properties, command, 0, 1024, size - 512), errno);
      assertEquals(check(properties, command, 0, 0, size + 512), errno);
    }
  }
});

Deno.test("checkRequest() knows a device that has shrunk or grown", () => {
  const request = { ...createRequest(), offset: SIZE - 1024, length: 1024 };
  const errnoAt = (command: number, size: number) =>
    checkRequest(SIMPLE, { ...request, command }, size)?.errno;
  for (const command of [R, W, T, C, Z]) {
    const beyond = command === W || command === Z ? ENOSPC : EINVAL;
    assertEquals(errnoAt(command, SIZE - 512), beyond);
    assertEquals(errnoAt(command, 2 * SIZE), undefined);
  }
  const more = { ...request, command: R, length: 2048 };
  assertEquals(checkRequest(SIMPLE, more, 2 * SIZE)?.errno, EINVAL);
});
