/**
 * A server that is killed in the middle of `add` may leave a file behind that
 * carries a label and is no component. Whatever the pool does afterwards, that
 * file must never be taken for the component that joined in its stead.
 *
 * @module
 */

import { assertEquals, assertNotEquals } from "@std/assert";
import { CHUNK, ServedPool, stampedBytes } from "../interop/served_pool.ts";

/** Chunks for data on the first component: the next one is on the second. */
const FIRST_CAPACITY = 13;

/**
 * A pool as a kill leaves it after the label of `c1` was written and before
 * that of `c0` was; then `elsewhere/c1` joined, and holds data. Stopped.
 */
async function poolWithLeftover(): Promise<ServedPool> {
  const pool = await ServedPool.start({ components: 1 });
  const { work } = pool;
  await pool.server.stop();
  const state = work.path("state/pools/pool.json");
  for (const path of [work.path("c0"), state]) {
    await Deno.copyFile(path, `${path}.before`);
  }
  await work.succeed(["add", "--create", "2M", "pool", "c1"]);
  for (const path of [work.path("c0"), state]) {
    await Deno.rename(`${path}.before`, path);
  }
  await Deno.mkdir(work.path("elsewhere"));
  await work.succeed(["add", "--create", "2M", "pool", "elsewhere/c1"]);
  pool.paths.push(work.path("elsewhere/c1"));
  await pool.restart();
  using client = await pool.connect();
  for (let chunk = 0; chunk <= FIRST_CAPACITY; chunk++) {
    const bytes = stampedBytes(CHUNK, chunk);
    assertEquals((await client.write(chunk * CHUNK, bytes)).errno, 0);
  }
  await client.disconnect();
  await pool.stopAndCheck();
  return pool;
}

Deno.test("A pool opens although taste finds a file that an interrupted add left behind", async () => {
  await using pool = await poolWithLeftover();
  const { work } = pool;
  await work.succeed(["taste", work.directory, work.path("elsewhere")]);
  await pool.restart();
  using client = await pool.connect();
  const last = await client.read(FIRST_CAPACITY * CHUNK, CHUNK);
  assertEquals(last.payload, stampedBytes(CHUNK, FIRST_CAPACITY));
  await client.disconnect();
  assertEquals((await pool.server.stop()).code, 0);
});

Deno.test("A pool is refused if a file that an interrupted add left behind stands in for a component", async () => {
  await using pool = await poolWithLeftover();
  const { work } = pool;
  await Deno.remove(work.path("state"), { recursive: true });
  await work.succeed(["taste", work.directory]);
  // Else zeroes would be served instead of what was written.
  assertNotEquals((await work.run(["check", "pool"])).code, 0);
  assertNotEquals((await work.run(["status", "pool"])).code, 0);
});
