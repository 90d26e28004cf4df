/**
 * After a snapshot the thread of a client goes on reading what the volume shares
 * with it, and writes to none of it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { testNatively } from "../../helpers/native.ts";
import { PATIENCE_MS } from "../../helpers/patience.ts";
import { pattern, readBytes } from "../../helpers/scratch.ts";
import { lease, serveOnLanes } from "./lane_serving.ts";

const READS = 20;

testNatively(
  "a thread reads shared chunks by itself, and a write copies them",
  async () => {
    await using serving = await serveOnLanes();
    const { pool } = serving;
    using client = await serving.open();
    const read = () => client.read(0, 100);
    await lease(serving, client, [0]);
    await client.write(0, pattern(100, 1));
    await pool.snapshotChanges.take([{ volume: pool.name, snapshot: "a" }]);
    const before = serving.leased();
    const deadline = performance.now() + PATIENCE_MS;
    while (serving.leased().reads === before.reads) {
      assert(performance.now() < deadline, "no lease of a shared chunk");
      assertEquals(await read(), pattern(100, 1));
    }
    const { reads } = serving.leased();
    for (let i = 0; i < READS; i++) assertEquals(await read(), pattern(100, 1));
    assertEquals(serving.leased().reads, reads + READS);
    // The event loop copies; afterwards the thread writes again.
    await client.write(0, pattern(100, 2));
    assertEquals(serving.leased().writes, before.writes);
    assertEquals(await read(), pattern(100, 2));
    const disk = pool.snapshotDisk(pool.name, "a");
    assertEquals(await readBytes(disk, 0, 100), pattern(100, 1));
    await lease(serving, client, [0]);
    assertEquals(await readBytes(disk, 0, 100), pattern(100, 1));
  },
);
