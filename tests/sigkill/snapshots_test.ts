/**
 * Goal: SIGKILL beside snapshots loses nothing: the volume has every
 * acknowledged write, a snapshot that was acknowledged is there and never
 * changes, one that was removed never comes back.
 *
 * Method: rounds as in `sigkill_test.ts`, of pools of format 2. In each round
 * snapshots are taken and removed beside the load, half of which a lane
 * executes.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";
import type { Pool } from "../../pool/mod.ts";
import { readBytes } from "../helpers/scratch.ts";
import { askedMeanwhile, newSeed, roundsOf, say, Victim } from "./victim.ts";

const ROUNDS = roundsOf(6);
/** Chunks in use; the rest is for copies. */
const CHUNKS = 24;
/** The longest load before and after something is asked for, milliseconds. */
const LOAD_MS = 60;

/** What is known of a snapshot. */
interface Known {
  /** Whether the server has said that it is there, or gone. */
  isSure: boolean;
  /** The checksum of its content; undefined before the first look. */
  checksum: number | undefined;
}

/** The snapshots that a pool has, with the checksums of their contents. */
async function checksumsOf(pool: Pool): Promise<Map<string, number>> {
  const [volume] = await pool.describeVolumes();
  assert(volume !== undefined, "a pool has a first volume");
  const checksums = new Map<string, number>();
  for (const { name } of volume.snapshots) {
    const disk = pool.snapshotDisk(volume.name, name);
    checksums.set(name, crc32(await readBytes(disk, 0, disk.size)));
  }
  return checksums;
}

/** Compares the snapshots of a pool with what is known; notes what is new. */
function compare(
  there: ReadonlyMap<string, number>,
  known: Map<string, Known>,
  leaving: ReadonlyMap<string, Known>,
): void {
  for (const [name, one] of known) {
    const checksum = there.get(name);
    if (checksum === undefined) {
      assert(!one.isSure, `snapshot ${name} is lost`);
      known.delete(name);
      continue;
    }
    one.isSure = true;
    assertEquals(checksum, one.checksum ?? checksum, `${name} has changed`);
    one.checksum = checksum;
  }
  for (const [name, one] of leaving) {
    const checksum = there.get(name);
    if (checksum === undefined) continue;
    assert(!one.isSure, `snapshot ${name} was removed, and is there`);
    assertEquals(checksum, one.checksum, `${name} has changed`);
    known.set(name, { isSure: true, checksum });
  }
  for (const name of there.keys()) assert(known.has(name), name);
}

Deno.test("SIGKILL beside snapshots leaves them and the volume as they were", async () => {
  await using victim = await Victim.create("native", 3, newSeed());
  const known = new Map<string, Known>();
  let removed = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const leaving = new Map<string, Known>();
    const asked: Promise<unknown>[] = [];
    const take = async (snapshot: string) => {
      const one: Known = { isSure: false, checksum: undefined };
      known.set(snapshot, one);
      const snapshots = [{ volume: "", snapshot }];
      const answer = await victim.ask("takeSnapshots", { snapshots });
      one.isSure = answer !== undefined;
    };
    const remove = async (snapshot: string, one: Known) => {
      known.delete(snapshot);
      one.isSure = false;
      leaving.set(snapshot, one);
      const snapshots = [{ volume: "", snapshot }];
      const answer = await victim.ask("removeSnapshots", {
        snapshots,
        wait: false,
      });
      one.isSure = answer !== undefined;
    };
    await victim.killDuring({ chunks: CHUNKS }, async () => {
      await victim.someTime(LOAD_MS);
      const taking = askedMeanwhile(take(`a${round}`));
      asked.push(taking);
      // Every other time the kill may come before the answer.
      if (round % 2 === 0) await taking;
      await victim.someTime(LOAD_MS);
      const [oldest] = [...known].filter(([, one]) => one.isSure);
      if (oldest !== undefined && known.size > 2) {
        asked.push(askedMeanwhile(remove(...oldest)));
      }
      await victim.someTime(LOAD_MS);
      asked.push(askedMeanwhile(take(`b${round}`)));
      await victim.someTime(LOAD_MS);
    });
    for (const one of asked) await one;
    await victim.verify(async (pool) => {
      compare(await checksumsOf(pool), known, leaving);
    });
    removed += leaving.size;
    await victim.pool.restart();
  }
  await victim.stop();
  say(
    `${ROUNDS} kills, ${known.size} snapshots there, ${removed} removed, ` +
      `${victim.acknowledged} requests acknowledged`,
  );
  assert(known.size > 0, "snapshots were taken");
});
