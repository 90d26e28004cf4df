/**
 * A server that is killed in the middle of `add` may leave a file behind that
 * carries a label and is no component. Whatever the pool does afterwards, that
 * file must never be taken for the component that joined in its stead: not
 * even if the registry, which is a hint only, has forgotten it.
 *
 * @module
 */

import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { VirstorError } from "../../errors.ts";
import { readLabel } from "../../pool/mod.ts";
import { CHUNK, ServedPool, stampedBytes } from "../interop/served_pool.ts";

/** Chunks for data on the first component: the next one is on the second. */
const FIRST_CAPACITY = 13;

/**
 * A pool as a kill leaves it after the label of `c1` was written and before
 * that of `c0` was; the registry knows both. Stopped.
 */
async function interruptedAdd(): Promise<ServedPool> {
  const pool = await ServedPool.start({ components: 1 });
  const { work } = pool;
  await pool.server.stop();
  await Deno.copyFile(work.path("c0"), work.path("c0.before"));
  await work.succeed(["add", "--create", "2M", "pool", "c1"]);
  await Deno.rename(work.path("c0.before"), work.path("c0"));
  // The label of c1 was still the one of a component that is joining.
  using file = await Deno.open(work.path("c1"), { write: true });
  await file.seek(2 * 2 ** 20 - 512 + 90, Deno.SeekMode.Start);
  await file.write(new Uint8Array([4, 0]));
  return pool;
}

/** Makes the registry anew from what some files say. */
async function tasteOnly(pool: ServedPool, paths: string[]): Promise<void> {
  await Deno.remove(pool.work.path("state"), { recursive: true });
  await pool.work.succeed(["taste", ...paths]);
}

/** Another component joins, and holds data. Stopped. */
async function addAnother(pool: ServedPool): Promise<void> {
  const { work } = pool;
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
}

/** Looks at all files there are; then the pool serves what was written. */
async function assertServes(pool: ServedPool): Promise<void> {
  const { work } = pool;
  await work.succeed(["taste", work.directory, work.path("elsewhere")]);
  await pool.restart();
  using client = await pool.connect();
  const last = await client.read(FIRST_CAPACITY * CHUNK, CHUNK);
  assertEquals(last.payload, stampedBytes(CHUNK, FIRST_CAPACITY));
  await client.disconnect();
  assertEquals((await pool.server.stop()).code, 0);
}

Deno.test("What an interrupted add left behind is cleared when the pool is served again", async () => {
  await using pool = await interruptedAdd();
  await pool.restart();
  await pool.stopAndCheck();
  assertThrows(() => readLabel(pool.work.path("c1")), VirstorError);
  await addAnother(pool);
  await assertServes(pool);
});

Deno.test("A component that holds data goes before a file that an interrupted add left behind", async () => {
  await using pool = await interruptedAdd();
  await tasteOnly(pool, ["c0"]);
  await addAnother(pool);
  await assertServes(pool);
});

Deno.test("A pool is refused if a file that an interrupted add left behind stands in for a component", async () => {
  await using pool = await interruptedAdd();
  await tasteOnly(pool, ["c0"]);
  await addAnother(pool);
  await tasteOnly(pool, [pool.work.directory]);
  // Else zeroes would be served instead of what was written.
  assertNotEquals((await pool.work.run(["check", "pool"])).code, 0);
  assertNotEquals((await pool.work.run(["status", "pool"])).code, 0);
});
