/**
 * Goal: ranges that have overflowed a number in some server, or been cut short,
 * are answered right, in any dialect. Method: as in `transmission_test.ts`.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { encodeStatusFilter, NBD } from "../helpers/nbd_client.ts";
import { KIB, MIB, pattern } from "../helpers/scratch.ts";
import { assertRefused } from "./requests.ts";
import {
  assertBytes,
  type Attack,
  DIALECTS,
  DISK_SIZE,
  testAttacks,
  testAttacksOnThreads,
} from "./target.ts";

const {
  CMD_READ,
  CMD_WRITE,
  CMD_TRIM,
  CMD_CACHE,
  CMD_WRITE_ZEROES,
  CMD_BLOCK_STATUS,
} = NBD;

/** Where a number of 64 bits stops being exact, or changes its sign. */
const STRANGE_OFFSETS = [
  BigInt(DISK_SIZE) + 1n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 63n + 1n,
  2n ** 64n - 4096n,
  2n ** 64n - 1n,
];

const ranges: Attack[] = [
  {
    name: "2^53, 2^63 and their like as offsets",
    async run(target) {
      for (const dialect of DIALECTS) {
        using client = await target.open(dialect);
        const at = STRANGE_OFFSETS.map((offset) => ({ offset, length: 4096 }));
        const of = (command: number) =>
          at.map((range) => ({ command, ...range }));
        const inside = [CMD_READ, CMD_TRIM, CMD_CACHE, CMD_BLOCK_STATUS];
        for (const command of inside) {
          await assertRefused(client, of(command), NBD.EINVAL);
        }
        await assertRefused(client, of(CMD_WRITE_ZEROES), NBD.ENOSPC);
        const writes = STRANGE_OFFSETS.map((offset) => ({
          command: CMD_WRITE,
          offset,
          payload: pattern(4096, 1),
        }));
        await assertRefused(client, writes, NBD.ENOSPC);
        await client.disconnect();
      }
    },
  },
  {
    name: "ranges whose end is too large for a number",
    async run(target) {
      const lengths = [2 ** 32 - 1, 2 ** 32 - 4096, 2 ** 31];
      for (const dialect of DIALECTS) {
        using client = await target.open(dialect);
        const ends: { offset: bigint; length: number | bigint }[] = lengths
          .map((length) => ({ offset: BigInt(DISK_SIZE) - 4096n, length }));
        if (dialect === "extended") {
          for (const offset of [0n, 512n, BigInt(DISK_SIZE)]) {
            for (const length of STRANGE_OFFSETS) ends.push({ offset, length });
          }
        }
        for (const command of [CMD_TRIM, CMD_CACHE, CMD_BLOCK_STATUS]) {
          const requests = ends.map((range) => ({ command, ...range }));
          await assertRefused(client, requests, NBD.EINVAL);
        }
        const zeroes = ends.map((range) => ({
          command: CMD_WRITE_ZEROES,
          ...range,
        }));
        await assertRefused(client, zeroes, NBD.ENOSPC);
        const reads = ends.map((range) => ({ command: CMD_READ, ...range }));
        await assertRefused(client, reads, NBD.EOVERFLOW);
        await client.disconnect();
      }
    },
  },
  {
    name:
      "CVE-2025-47711, CVE-2025-47712: BLOCK_STATUS of huge and of no ranges",
    async run(target) {
      for (const dialect of ["structured", "extended"] as const) {
        using client = await target.open(dialect);
        await client.write(0, pattern(512, 1));
        await client.write(2 ** 32, pattern(512, 1));
        const offsets = [0, 1, 128 * KIB, 2 ** 31, 2 ** 32 - 1, 2 ** 32];
        const lengths = [1, 511, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
        if (dialect === "extended") lengths.push(2 ** 32, DISK_SIZE);
        for (const offset of offsets) {
          for (const length of lengths) {
            for (const flags of [0, NBD.CMD_FLAG_REQ_ONE]) {
              const request = { command: CMD_BLOCK_STATUS, flags };
              const range = {
                offset,
                length: Math.min(length, DISK_SIZE - offset),
              };
              // The client fails if a run is empty or goes beyond.
              const reply = await client.call({ ...request, ...range });
              assertEquals([reply.errno, reply.status.size], [0, 1]);
            }
          }
        }
        const none = [0, DISK_SIZE].map((offset) => ({
          command: CMD_BLOCK_STATUS,
          offset,
          length: 0,
        }));
        await assertRefused(client, none, NBD.EINVAL);
        await client.disconnect();
      }
    },
  },
  {
    name: "BLOCK_STATUS with a payload that makes no sense",
    async run(target) {
      using client = await target.open("extended");
      const ids = Array.from({ length: 5000 }, (_, i) => i);
      const bad = [
        ...[[], [0], [2], [1, 1], [2 ** 32 - 1], ids].map((ids) =>
          encodeStatusFilter(4096, ids)
        ),
        ...[2n ** 63n, 2n ** 64n - 1n, 0n].map((length) =>
          encodeStatusFilter(length, [1])
        ),
        ...[1, 7, 8, 11, 13, 64 * KIB + 1, 8 * MIB].map((length) =>
          new Uint8Array(length)
        ),
      ];
      const requests = bad.map((payload) => ({
        command: CMD_BLOCK_STATUS,
        payload,
      }));
      for (const request of requests) {
        await assertRefused(client, [request], NBD.EINVAL);
      }
      await client.disconnect();
    },
  },
  {
    name: "nbd-server 3.24: WRITE_ZEROES of 256 MiB, and of 4 GiB",
    async run(target) {
      for (const dialect of DIALECTS) {
        using client = await target.open(dialect);
        for (const length of [256 * MIB, 2 ** 32 - 4096]) {
          const places = [0, 63, 64, 65, 128, 192, 255].map((mib) => mib * MIB);
          places.push(length - 4096, length);
          for (const at of places) await client.write(at, pattern(4096, 5));
          const command = CMD_WRITE_ZEROES;
          const { errno } = await client.call({ command, offset: 0, length });
          assertEquals(errno, 0);
          for (const at of places.filter((at) => at < length)) {
            assertBytes(await client.read(at, 4096), new Uint8Array(4096));
          }
          assertBytes(await client.read(length, 4096), pattern(4096, 5));
        }
        await client.disconnect();
      }
    },
  },
  {
    name: "nbd-server #64: TRIM of odd lengths leaves its neighbours alone",
    async run(target) {
      for (const dialect of DIALECTS) {
        using client = await target.open(dialect);
        const bytes = pattern(MIB, 3);
        for (const [offset, end] of [[1, 2], [511, 70_000], [4096, 900_000]]) {
          if (offset === undefined || end === undefined) continue;
          await client.write(0, bytes);
          const length = end - offset;
          const trim = { command: CMD_TRIM, offset, length };
          assertEquals((await client.call(trim)).errno, 0);
          const now = await client.read(0, MIB);
          assertBytes(now.subarray(0, offset), bytes.subarray(0, offset));
          assertBytes(now.subarray(end), bytes.subarray(end));
        }
        const offset = 2 * MIB;
        await client.write(offset + 3 * 2 ** 30, bytes);
        const trim = { command: CMD_TRIM, offset, length: 3 * 2 ** 30 };
        assertEquals((await client.call(trim)).errno, 0);
        assertBytes(await client.read(offset + 3 * 2 ** 30, MIB), bytes);
        await client.disconnect();
      }
    },
  },
  {
    name: "a WRITE that reaches behind the end changes nothing before it",
    async run(target) {
      const length = 100_000;
      const offset = DISK_SIZE - length / 2;
      for (const dialect of DIALECTS) {
        using client = await target.open(dialect);
        const bytes = pattern(length / 2, 6);
        // Twice: the second one finds it mapped.
        for (let i = 0; i < 2; i++) await client.write(offset, bytes);
        const payload = pattern(length, 7);
        const request = { command: CMD_WRITE, offset, payload };
        await assertRefused(client, [request], NBD.ENOSPC);
        assertBytes(await client.read(offset, length / 2), bytes);
        await client.disconnect();
      }
    },
  },
  {
    name: "a disk that has grown ends for old clients at the negotiated size",
    async run(target) {
      const payload = pattern(4096, 8);
      for (const [i, dialect] of DIALECTS.entries()) {
        const offset = target.pool.volume().size;
        const read = { command: CMD_READ, offset, length: 4096 };
        const write = { command: CMD_WRITE, offset, payload };
        using old = await target.open(dialect);
        await target.pool.resize(DISK_SIZE + (i + 1) * MIB);
        using client = await target.open(dialect);
        for (let k = 0; k < 2; k++) await client.write(offset, payload);
        await assertRefused(old, [read], NBD.EINVAL);
        await assertRefused(old, [write], NBD.ENOSPC);
        await old.disconnect();
        await client.disconnect();
      }
    },
  },
];

testAttacks(ranges);
testAttacksOnThreads(ranges);
