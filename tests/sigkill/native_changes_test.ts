/**
 * Goal: SIGKILL in the middle of an evacuation or of a resize loses nothing,
 * and leaves a pool that goes on with it, or is as it was before.
 *
 * Method: rounds as in `sigkill_test.ts`, of pools of format 2.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { VirstorError } from "../../errors.ts";
import type { PoolStatus } from "../../pool/mod.ts";
import { MIB } from "../interop/served_pool.ts";
import {
  askedMeanwhile,
  COMPONENT_BYTES,
  newSeed,
  roundsOf,
  say,
  Victim,
} from "./victim.ts";

/** Rounds with a kill during an evacuation. */
const EVACUATION_ROUNDS = roundsOf(7);
/** Rounds with a kill during a resize. */
const RESIZE_ROUNDS = roundsOf(4);
/** Members that an evacuation needs, one of which leaves. */
const MEMBERS = 3;
/** Chunks in use: two members have room for them. */
const CHUNKS = 44;
/** The longest load before something is asked for, milliseconds. */
const LOAD_MS = 60;
/** The longest time between asking for an evacuation and the kill. */
const EVACUATION_MS = 600;
/** The longest time between asking for a resize and the kill. */
const RESIZE_MS = 80;

/** Asks for something that is refused if it comes too late. */
async function unlessTooLate(asking: Promise<unknown>): Promise<void> {
  try {
    await asking;
  } catch (error) {
    const isLate = error instanceof VirstorError && error.code === "invalid";
    if (!isLate) throw error;
  }
}

/** Begins an evacuation, or goes on with one, or ends one. */
async function evacuate(victim: Victim, status: PoolStatus): Promise<void> {
  const { components } = status;
  const leaving = components.filter(({ evacuating }) => evacuating);
  if (leaving.length === 0) {
    const at = victim.random.below(components.length);
    const paths = components.slice(at, at + 1).map(({ path }) => path);
    await victim.ask("remove", { paths, bytesPerSecond: 0 });
  } else if (victim.random.happens(40)) {
    const paths = leaving.map(({ path }) => path);
    await unlessTooLate(victim.ask("cancelRemove", { paths }));
  }
}

Deno.test("SIGKILL during an evacuation loses nothing, and the next open goes on with it", async () => {
  await using victim = await Victim.create("native", MEMBERS, newSeed());
  let halves = 0;
  let removed = 0;
  for (let round = 0; round < EVACUATION_ROUNDS; round++) {
    let before = await victim.status();
    if (before.components.length < MEMBERS) {
      removed++;
      await victim.add(`more${round}`, COMPONENT_BYTES);
      before = await victim.status();
    }
    let evacuating: Promise<void> | undefined;
    await victim.killDuring({ chunks: CHUNKS }, async () => {
      await victim.someTime(LOAD_MS);
      evacuating = askedMeanwhile(evacuate(victim, before));
      await victim.someTime(EVACUATION_MS);
    });
    await evacuating;
    const { components } = await victim.verify();
    if (components.some((one) => one.evacuating)) halves++;
    await victim.pool.restart();
  }
  const { components } = await victim.status();
  await victim.stop();
  say(
    `${EVACUATION_ROUNDS} kills, ${halves} in the middle of an evacuation, ` +
      `${removed} components removed, ` +
      `${victim.acknowledged} requests acknowledged`,
  );
  assert(halves + removed > 0, "something was evacuated");
  assert(components.length >= MEMBERS - 1, "one leaves at a time");
});

Deno.test("SIGKILL during a resize leaves the old size or the new one", async () => {
  await using victim = await Victim.create("native", 2, newSeed());
  let resized = 0;
  for (let round = 0; round < RESIZE_ROUNDS; round++) {
    const { virtualSize: before } = await victim.status();
    const virtualSize = (32 + victim.random.below(64)) * MIB;
    let resizing: Promise<unknown> | undefined;
    await victim.killDuring({}, async () => {
      await victim.someTime(LOAD_MS);
      resizing = askedMeanwhile(
        victim.ask("resize", { volume: "", virtualSize, force: true }),
      );
      await victim.someTime(RESIZE_MS);
    });
    const wasDone = await resizing !== undefined;
    const { virtualSize: after } = await victim.verify();
    assert(after === virtualSize || (!wasDone && after === before), `${after}`);
    if (after !== before) resized++;
    await victim.pool.restart();
    assertEquals((await victim.status()).virtualSize, after);
  }
  await victim.stop();
  say(`${RESIZE_ROUNDS} kills, ${resized} resized`);
});
