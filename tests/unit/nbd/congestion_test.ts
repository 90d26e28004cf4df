/**
 * Goal: a pool that holds as many delayed writes as it may stops only the
 * connections that wait for space. Method: a real pool that is full, one client
 * that fills the queue, another one whose requests need no chunk.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { NBD } from "../../helpers/nbd_client.ts";
import { openSmallPool, pattern, SMALL_CHUNK } from "../../helpers/scratch.ts";
import { makeQuickScratch } from "../../helpers/small_pools.ts";
import { serve, until } from "./serving.ts";

const { CMD_READ, CMD_TRIM, CMD_WRITE, CMD_WRITE_ZEROES } = NBD;

for (
  const [what, request] of [
    ["a FUA write to a mapped chunk", {
      command: CMD_WRITE,
      flags: NBD.CMD_FLAG_FUA,
      payload: pattern(4096, 7),
    }],
    ["a FUA discard of a part of a chunk", {
      command: CMD_TRIM,
      flags: NBD.CMD_FLAG_FUA,
      offset: 4096,
      length: 4096,
    }],
    ["FUA zeroes in a part of a chunk", {
      command: CMD_WRITE_ZEROES,
      flags: NBD.CMD_FLAG_FUA,
      offset: 8192,
      length: 4096,
    }],
  ] as const
) {
  Deno.test(`a client goes on after ${what} while other clients' writes fill the queue`, async () => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 1, {
      format: "native",
      maxDelayedBytes: 2 * SMALL_CHUNK,
    });
    for (let v = 0; pool.status().freeChunks > 0; v++) {
      await pool.volume().write(pattern(SMALL_CHUNK, v), v * SMALL_CHUNK);
    }
    {
      await using serving = await serve({ device: pool.volume() });
      using waiting = await serving.open();
      for (let i = 0; i < 2; i++) {
        await waiting.send({
          command: CMD_WRITE,
          offset: (30 + i) * SMALL_CHUNK,
          payload: pattern(SMALL_CHUNK, 1),
        });
      }
      await until("congested", () => pool.volume().congestion !== undefined);
      using client = await serving.open();
      await client.send(request);
      assertEquals((await client.receive()).errno, 0);
      await client.send({ command: CMD_READ, offset: 0, length: 512 });
      let reply: { errno: number } | undefined;
      const received = client.receive().then((one) => reply = one);
      await until("the client is served", () => reply !== undefined);
      assertEquals((await received).errno, 0);
      // A FUA write that does wait for space counts as before.
      await client.send({
        command: CMD_WRITE,
        flags: NBD.CMD_FLAG_FUA,
        offset: 40 * SMALL_CHUNK,
        payload: pattern(512, 3),
      });
      await until("delayed", () => pool.status().delayed.count === 3);
      await client.send({ command: CMD_WRITE, payload: pattern(512, 3) });
      await pool.volume().discard(0, 4 * SMALL_CHUNK);
      assertEquals((await client.receive()).errno, 0);
      assertEquals((await client.receive()).errno, 0);
    }
    await pool.close();
  });
}
