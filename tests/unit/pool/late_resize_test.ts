/**
 * A resize and a stop that meet beside a component that answers late: the second
 * begins while the far side has any of the first one's requests. Each ends, and
 * the next opening finds the pool as before the resize if that was refused, else
 * as after it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import type { Pool } from "../../../pool/mod.ts";
import { LATE_CHUNK as C, LatePool } from "../../helpers/late_pool.ts";
import { eventually, pause } from "../../helpers/patience.ts";
import { pattern, readBytes } from "../../helpers/scratch.ts";
import { assertSound, makeQuickScratch } from "../../helpers/small_pools.ts";

/** Virtual chunks before a resize. */
const CHUNKS = 32;
/** Chunks with data. */
const WRITTEN = 8;
/** Virtual chunks after one that grows, and after one that shrinks. */
const SIZES = [2 * CHUNKS, WRITTEN];

type Step = (pool: Pool) => Promise<unknown>;

function resize(chunks: number): Step {
  return (pool) => pool.resize(chunks * C, { force: true });
}

/** The second of two, by name; its failure may be that of a stop only. */
const SECONDS: Readonly<Record<string, Step>> = {
  "a stop": (pool) => pool.close(),
  "a write and a stop": async (pool) => {
    const writing = pool.volume().write(pattern(C, 0), 0);
    await Promise.all([writing, pool.close()]);
  },
  "a close of the volume": async (pool) => await pool.volume().close(),
  "another resize and a stop": async (pool) => {
    await Promise.allSettled([resize(3 * CHUNKS)(pool), pool.close()]);
  },
};

/**
 * Begins the second at a request of the first to the far side.
 *
 * @param late The pool.
 * @param steps The two.
 * @param at Which request, from 1.
 * @returns What became of them; the second may have begun after the first.
 */
async function meet(
  { pool, far }: LatePool,
  [first, second]: readonly [Step, Step],
  at: number,
): Promise<PromiseSettledResult<unknown>[]> {
  let requests = 0;
  let seconds: Promise<unknown> | undefined;
  const begin = () => seconds ??= Promise.allSettled([second(pool)]);
  far.travel = () => pause(1);
  far.onRequest = () => {
    requests += 1;
    if (requests !== at) return;
    // The first waits for it when the second begins.
    far.hold();
    begin();
    setTimeout(() => far.release(), 1);
  };
  const [result] = await Promise.allSettled([first(pool)]);
  far.onRequest = undefined;
  begin();
  const [other] = await seconds as PromiseSettledResult<unknown>[];
  return [result, other].filter((one) => one !== undefined);
}

function assertEnded(result: PromiseSettledResult<unknown>): boolean {
  if (result.status === "fulfilled") return true;
  assert(result.reason instanceof VirstorError, String(result.reason));
  return false;
}

async function assertLife(
  steps: readonly [Step, Step],
  at: number,
  sizes: (ended: readonly boolean[]) => readonly number[],
): Promise<boolean> {
  await using scratch = await makeQuickScratch();
  const late = await LatePool.make(scratch, { virtualChunks: CHUNKS });
  const disk = late.pool.volume();
  for (let i = 0; i < WRITTEN; i++) await disk.write(pattern(C, i), i * C);
  await disk.flush();
  let ended: boolean[] | undefined;
  meet(late, steps, at).then((results) => ended = results.map(assertEnded));
  await eventually("both end", () => ended !== undefined);
  await late.pool.close();
  late.reconnect();
  await late.open();
  const now = late.pool.volume();
  const allowed = sizes(ended ?? []);
  assert(allowed.includes(now.size / C), `${now.size / C} of ${allowed}`);
  for (let i = 0; i < WRITTEN; i++) {
    assertEquals(await readBytes(now, i * C, C), pattern(C, i));
  }
  assertEquals(await late.pool.check(), []);
  await late.pool.close();
  await Deno.writeFile(late.remotePath, late.far.content);
  await assertSound("native", late.paths);
  return ended?.[0] === true;
}

for (const [name, second] of Object.entries(SECONDS)) {
  Deno.test(`beside a late component a resize meets ${name}`, async () => {
    const done = new Set<boolean>();
    for (const chunks of SIZES) {
      for (let at = 0; at < 8; at++) {
        const steps = [resize(chunks), second] as const;
        const isDone = await assertLife(steps, at, ([isResized]) => {
          const more = name.includes("another") ? [3 * CHUNKS] : [];
          return isResized ? [chunks, ...more] : [CHUNKS, ...more];
        });
        done.add(isDone);
      }
    }
    assert(done.has(true), "some are done");
  });
}

Deno.test("beside a late component a stop meets a resize", async () => {
  for (const chunks of SIZES) {
    for (let at = 0; at < 8; at++) {
      const stop: Step = (pool) => pool.close();
      await assertLife([stop, resize(chunks)], at, () => [CHUNKS]);
    }
  }
});
