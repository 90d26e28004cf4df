/**
 * The contexts of a pool, asked by libnbd's programs while the pool fills up.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  CHUNK_COMPONENT_SHIFT,
  CHUNK_DELAYED,
  CHUNK_MAPPED,
  PRESSURE_DELAYED,
  PRESSURE_FREE_SHIFT,
  PRESSURE_FULL,
  PRESSURE_LOW,
} from "../../pool/mod.ts";
import { peerTest } from "../helpers/peers.ts";
import {
  CHUNK,
  peerSucceeds,
  ServedPool,
  stampedBytes,
} from "./served_pool.ts";

interface Run {
  offset: number;
  length: number;
  type: number;
}

async function mapOf(pool: ServedPool, context: string): Promise<Run[]> {
  const args = [`--map=${context}`, "--json", pool.uri];
  return JSON.parse(await peerSucceeds("nbdinfo", args));
}

peerTest(
  "nbdinfo --map shows where chunks are, what waits, and how much is left",
  ["nbdinfo"],
  async () => {
    await using pool = await ServedPool.start();
    assertEquals(
      (await mapOf(pool, "virstor:pressure")).map(({ type }) => type),
      [(10_000 << PRESSURE_FREE_SHIFT) >>> 0],
    );
    using client = await pool.connect();
    const before = (await pool.status()).pool;
    for (let v = 0; v < before.freeChunks; v++) {
      const { errno } = await client.write(v * CHUNK, stampedBytes(CHUNK, v));
      assertEquals(errno, 0);
    }
    const late = client.write(100 * CHUNK, stampedBytes(512, 1));
    await pool.statusUntil((status) => status.pool.delayed.count === 1);
    const chunks = await mapOf(pool, "virstor:chunk");
    const [first = 0, second = 0] = before.components.map(({ free }) => free);
    assertEquals(
      chunks.slice(0, 4).map(({ offset, length, type }) => [
        ...[offset / CHUNK, length / CHUNK, type],
      ]),
      [
        [0, first, CHUNK_MAPPED],
        [first, second, (CHUNK_MAPPED | 1 << CHUNK_COMPONENT_SHIFT) >>> 0],
        [first + second, 100 - first - second, 0],
        [100, 1, CHUNK_DELAYED],
      ],
    );
    assertEquals(
      (await mapOf(pool, "virstor:pressure")).map(({ type }) => type),
      [PRESSURE_LOW | PRESSURE_FULL | PRESSURE_DELAYED],
    );
    await pool.add();
    assertEquals((await late).errno, 0);
    await client.disconnect();
    await pool.stopAndCheck();
  },
);
