/**
 * Goal: contiguous requests that wait together leave as one, and each of them
 * still succeeds or fails for itself. Method: the far server counts what
 * arrives, or fails a part, or goes away.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { NbdDisk, type NbdDiskOptions } from "../../nbd/client/mod.ts";
import { NBD } from "../helpers/nbd_messages.ts";
import { PATIENCE_MS } from "../helpers/patience.ts";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch, pattern, readBytes } from "../helpers/scratch.ts";
import { FarServer } from "./peers.ts";
import {
  type ReceivedRequest,
  ScriptedServer,
  serveBytes,
  USUAL_FLAGS,
} from "./scripted_server.ts";

const BLOCK = 4096;
const SIZE = 64 * BLOCK;
const QUICK: NbdDiskOptions = { backOff: { firstMs: 1, mostMs: 10 } };

function block(number: number): Uint8Array {
  return pattern(BLOCK, number + 1);
}

/** Writes blocks in one turn of the event loop; returns how each ended. */
async function writeBlocks(
  disk: NbdDisk,
  numbers: readonly number[],
): Promise<PromiseSettledResult<void>[]> {
  return await Promise.allSettled(
    numbers.map((number) => disk.write(block(number), number * BLOCK)),
  );
}

function count(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

for (const [coalesceBytes, most] of [[0, 128], [SIZE / 2, 4]] as const) {
  peerTest(
    `with ${coalesceBytes} bytes at once a far server gets ${most} requests`,
    ["nbdkit"],
    async () => {
      await using scratch = await makeScratch();
      const log = scratch.file("log");
      await using far = await FarServer.nbdkit(scratch.file("s"), [
        ...["--filter=log", "--filter=delay", "memory", `${SIZE}`],
        ...[`logfile=${log}`, "delay-read=5ms", "delay-write=5ms"],
      ]);
      await using disk = await NbdDisk.connect(far.uri, {
        openTimeoutMs: PATIENCE_MS,
        connections: 1,
        coalesceBytes,
      });
      await writeBlocks(disk, count(0, 64));
      const found = await Promise.all(
        count(0, 64).map((number) => readBytes(disk, number * BLOCK, BLOCK)),
      );
      assertEquals(found, count(0, 64).map(block));
      const lines = (await Deno.readTextFile(log)).split("\n");
      const requests = lines.filter((line) => / (Read|Write) id=/.test(line));
      assertEquals(requests.length, most, lines.join("\n"));
    },
  );
}

/** A far disk of which a block cannot be written, and what arrives there. */
async function withFar(
  use: (
    disk: NbdDisk,
    content: Uint8Array,
    arrived: readonly ReceivedRequest[],
  ) => Promise<void>,
  before: (request: ReceivedRequest) => number | "end" | undefined,
): Promise<void> {
  await using scratch = await makeScratch();
  const content = new Uint8Array(SIZE);
  const arrived: ReceivedRequest[] = [];
  await using server = new ScriptedServer(
    scratch.file("s"),
    { size: SIZE, flags: USUAL_FLAGS },
    async (conn) => {
      await conn.handshake();
      await serveBytes(conn, content, async (request) => {
        arrived.push(request);
        const answer = before(request);
        if (answer === "end") throw new Error("The server goes away");
        if (answer !== undefined) await conn.simple(request.cookie, answer);
        return answer !== undefined;
      });
    },
  );
  await using disk = await NbdDisk.connect(server.uri, QUICK);
  await use(disk, content, arrived);
}

Deno.test("of requests that left as one only the bad one fails", async () => {
  const bad = 3 * BLOCK;
  await withFar(async (disk, content, arrived) => {
    const results = await writeBlocks(disk, count(0, 8));
    assertEquals(
      results.map(({ status }) => status === "rejected"),
      count(0, 8).map((number) => number === 3),
    );
    const lengths = arrived.map(({ length }) => length);
    assertEquals(lengths, [8 * BLOCK, ...Array(8).fill(BLOCK)]);
    for (const number of [0, 1, 2, 4, 5, 6, 7]) {
      const at = number * BLOCK;
      assertEquals(content.slice(at, at + BLOCK), block(number));
    }
  }, ({ command, offset, length }) => {
    const isBad = command === NBD.CMD_WRITE && offset <= bad &&
      bad < offset + length;
    return isBad ? NBD.ENOSPC : undefined;
  });
});

Deno.test("requests that left as one survive a lost connection", async () => {
  let ends = 1;
  await withFar(async (disk, content) => {
    const results = await writeBlocks(disk, count(0, 8));
    assert(results.every(({ status }) => status === "fulfilled"));
    assertEquals(content.slice(0, 8 * BLOCK).length, 8 * BLOCK);
    for (const number of count(0, 8)) {
      const at = number * BLOCK;
      assertEquals(content.slice(at, at + BLOCK), block(number));
      assertEquals(await readBytes(disk, at, BLOCK), block(number));
    }
    assertEquals(disk.status().reconnects, 1);
  }, () => ends-- > 0 ? "end" : undefined);
});

Deno.test("only what is contiguous and alike leaves as one", async () => {
  await withFar(async (disk, _content, arrived) => {
    await Promise.all([
      disk.write(block(0), 0),
      disk.write(block(1), BLOCK, { fua: true }),
      disk.write(block(3), 3 * BLOCK),
      disk.write(block(4), 4 * BLOCK),
      readBytes(disk, 8 * BLOCK, BLOCK),
      readBytes(disk, 9 * BLOCK, 100),
      readBytes(disk, 10 * BLOCK, BLOCK),
    ]);
    assertEquals(
      arrived.map(({ command, offset, length }) => [
        command,
        offset / BLOCK,
        length,
      ]).toSorted(),
      [
        [NBD.CMD_READ, 10, BLOCK],
        [NBD.CMD_READ, 8, BLOCK + 100],
        [NBD.CMD_WRITE, 0, BLOCK],
        [NBD.CMD_WRITE, 1, BLOCK],
        [NBD.CMD_WRITE, 3, 2 * BLOCK],
      ],
    );
  }, () => undefined);
});
