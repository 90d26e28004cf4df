/**
 * Goal: an acknowledged write survives SIGKILL of the server, and the pool
 * that is left behind is sound, for our own check and in its format for
 * FreeBSD.
 *
 * Method: rounds. In each, a real server serves the pool that the round before
 * has left, a client sends random requests, and the server is killed at a
 * random moment; in some rounds while components join. Then every block must
 * hold what was acknowledged last, or what was under way; a check must find
 * no damage before anything was put right, and nothing at all afterwards.
 *
 * `VIRSTOR_SIGKILL_ROUNDS` asks for more rounds, `VIRSTOR_SIGKILL_SEED` for
 * those of a seed that was printed (the moments of the kills differ).
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { FormatName } from "../../pool/mod.ts";
import { assertFreebsd } from "../helpers/freebsd_checker.ts";
import { encodeRequest, NBD, NbdClient } from "../helpers/nbd_client.ts";
import { testFormats } from "../helpers/small_pools.ts";
import { CHUNK, delay, MIB, ServedPool } from "../interop/served_pool.ts";
import { BLOCK } from "./stamped_disk.ts";
import {
  askedMeanwhile,
  newSeed,
  roundsOf,
  say,
  USUAL_ROUNDS,
  Victim,
} from "./victim.ts";

/** Rounds for each format; about half a second each. */
const LOAD_ROUNDS = roundsOf(USUAL_ROUNDS);
/** Rounds after which a new pool is begun, so that first writes go on. */
const ROUNDS_A_POOL = 5;
/** Each of them with a kill during `add`. */
const ADD_ROUNDS = roundsOf(5);
/** The longest load before the kill, milliseconds. */
const LOAD_MS = 120;
/** Requests acknowledged before the kill, also on a busy machine. */
const REQUESTS_MIN = 10;
/** The longest time between asking for `add` and the kill, milliseconds. */
const ADD_MS = 160;

async function killDuringLoad(
  format: FormatName,
  seed: number,
  rounds: number,
): Promise<number> {
  await using victim = await Victim.create(format, 3, seed);
  for (let round = 0; round < rounds; round++) {
    await victim.killDuring(
      { least: REQUESTS_MIN },
      () => victim.someTime(LOAD_MS),
    );
    if (format === "freebsd") assertFreebsd(victim.files);
    await victim.verify();
    await victim.pool.restart();
  }
  await victim.stop();
  return victim.acknowledged;
}

testFormats(
  "Acknowledged writes survive SIGKILL, and the pool is sound before it is opened again",
  async (format) => {
    const seed = newSeed();
    let acknowledged = 0;
    for (let done = 0; done < LOAD_ROUNDS; done += ROUNDS_A_POOL) {
      const rounds = Math.min(ROUNDS_A_POOL, LOAD_ROUNDS - done);
      acknowledged += await killDuringLoad(format, seed + done, rounds);
    }
    say(`${LOAD_ROUNDS} kills, ${acknowledged} requests acknowledged`);
    const least = LOAD_ROUNDS * REQUESTS_MIN;
    assert(acknowledged >= least, `only ${acknowledged} requests`);
  },
);

testFormats(
  "SIGKILL in the middle of a large write leaves every block old or new",
  async (format) => {
    await using pool = await ServedPool.start({ format });
    // Neither whole blocks nor whole sectors of the payload arrive.
    const [arrived, length] = [70_001, CHUNK];
    using client = await NbdClient.open({ path: pool.socket }, "pool");
    await client.write(0, new Uint8Array(length).fill(1));
    const request = encodeRequest({
      command: NBD.CMD_WRITE,
      payload: new Uint8Array(length).fill(2),
    });
    await client.sendRaw(request.subarray(0, 28 + arrived));
    // If the server has done anything about it by then, it is not by halves.
    await delay(100);
    await pool.server.kill();
    await pool.restart();
    using again = await pool.connect();
    const { payload } = await again.read(0, length);
    for (let at = 0; at < length; at += BLOCK) {
      const values = new Set(payload.subarray(at, at + BLOCK));
      assertEquals(values.size, 1, `the block at ${at} holds ${[...values]}`);
    }
    await again.disconnect();
    await pool.stopAndCheck();
  },
);

/** The paths of the components as they are now. */
async function componentsOf(victim: Victim): Promise<string[]> {
  const { components } = await victim.status();
  return components.map(({ path }) => path);
}

testFormats(
  "SIGKILL during virstor add leaves the pool before it or after it",
  async (format) => {
    const seed = newSeed();
    await using victim = await Victim.create(format, 1, seed);
    let added = 0;
    for (let round = 0; round < ADD_ROUNDS; round++) {
      const before = await componentsOf(victim);
      const path = victim.pool.work.path(`add${round}`);
      let adding: Promise<unknown> | undefined;
      // Some more chunks than there are: some writes wait for the component.
      await victim.killDuring({ overcommit: 4 }, async () => {
        await victim.someTime(40);
        adding = askedMeanwhile(victim.add(`add${round}`, MIB));
        await victim.someTime(ADD_MS);
      });
      await adding;
      await victim.assertFindable();
      const { components } = await victim.verify();
      await victim.pool.restart();
      const after = await componentsOf(victim);
      const hasJoined = after.length > before.length;
      assertEquals(after, hasJoined ? [...before, path] : before);
      assertEquals(components.length, after.length);
      if (hasJoined) added++;
    }
    await victim.stop();
    say(
      `${ADD_ROUNDS} kills, ${added} components joined, ` +
        `${victim.acknowledged} requests acknowledged`,
    );
  },
);
