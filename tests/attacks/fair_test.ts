/**
 * Goal: clients that ask for as much as they can, and read no answers, hold up
 * no other client, whatever they ask for. Method: real servers, with threads and
 * without; every kind of request in its dearest form, from eight clients at
 * once; meanwhile a good client reads, another one comes, and the status is
 * asked. A server without hostile clients is asked the same at the same time: it
 * tells how long the machine itself makes clients wait. The limits are far
 * above that, and far below the seconds that a buffer of dear requests takes:
 * `deno task fair` measures how long it takes.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { AttackedPool } from "../helpers/attacked_pool.ts";
import {
  Attack,
  GOOD_BYTES,
  HOSTILE_CHUNK,
  HOSTILE_KINDS,
  type Stage,
} from "../helpers/hostile.ts";
import { NbdClient } from "../helpers/nbd_client.ts";
import { MIB } from "../helpers/scratch.ts";

/** What others may wait beside an attack, milliseconds, */
const WAIT_MAX = 2000;
/** and so many times as long as where there is none. */
const QUIET_FACTOR = 20;
/** What the clients of one attack may cost, bytes. */
const ATTACK_BYTES_MAX = 256 * MIB;
/** READs of the good client beside an attack. */
const READS = 4;
/** Hostile clients at once; `deno task fair` sends one alone, too. */
const CLIENTS = 8;
const STAGES: readonly Stage[] = ["dense", "full", "roomy"];

/** Does what others do, and tells the longest wait, milliseconds. */
async function visit(pool: AttackedPool, good: NbdClient): Promise<number> {
  let longest = 0;
  const time = async (act: () => Promise<unknown>) => {
    const start = performance.now();
    await act();
    longest = Math.max(longest, performance.now() - start);
  };
  for (let i = 0; i < READS; i++) {
    const offset = i * HOSTILE_CHUNK % GOOD_BYTES;
    await time(async () => {
      assertEquals((await good.read(offset, 4096))[0], 1);
    });
  }
  await time(async () => {
    using fresh = await NbdClient.open(pool.address, "pool");
    assertEquals((await fresh.read(0, 4096))[0], 1);
  });
  await time(() => pool.status());
  return longest;
}

/** Attacks a pool in every way that fits it, beside a pool without attacks. */
async function attackAll(
  stage: Stage,
  threads: readonly string[],
  calm: AttackedPool,
): Promise<void> {
  await using pool = await AttackedPool.start(stage, threads);
  using good = await NbdClient.open(pool.address, "pool");
  using undisturbed = await NbdClient.open(calm.address, "pool");
  const { residentBytes: before } = pool;
  for (const kind of HOSTILE_KINDS.filter((one) => one.stage === stage)) {
    using _ = await Attack.begin(pool.address, kind, CLIENTS);
    const [beside, quiet] = await Promise.all([
      visit(pool, good),
      visit(calm, undisturbed),
    ]);
    const what = `${CLIENTS} times ${kind.name}: others waited for ` +
      `${Math.round(beside)} ms, ${Math.round(quiet)} elsewhere`;
    assert(beside <= WAIT_MAX + QUIET_FACTOR * quiet, what);
    const cost = pool.residentBytes - before;
    assert(
      cost <= ATTACK_BYTES_MAX,
      `${CLIENTS} times ${kind.name}: ${Math.round(cost / MIB)} MiB more`,
    );
  }
  await good.disconnect();
  const { code, stderr } = await pool.server.stop();
  assertEquals(code, 0, stderr);
  assertEquals(
    await pool.work.succeed(["check", "pool"]),
    'Pool "pool" is sound\n',
  );
}

for (const threads of [["--threads", "0"], []]) {
  const how = threads.length > 0 ? "without threads" : "with threads";
  Deno.test(`attack: dear requests, unread, ${how}`, async (t) => {
    await using calm = await AttackedPool.start("full", threads);
    for (const stage of STAGES) {
      await t.step(
        `on a ${stage} pool`,
        () => attackAll(stage, threads, calm),
      );
    }
  });
}
