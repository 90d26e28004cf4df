/**
 * Components join and leave while everything stops, after each single write:
 * as after SIGKILL, and as after a power cut that keeps only what was made
 * durable, or that and some of the rest. The pool opens again, holds its data,
 * and is the pool before or the pool after; so it is when that opening is
 * stopped, too.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import { labelPool, openPool, type Pool } from "../../../pool/mod.ts";
import type { OpenDevice } from "../../../pool/core/mod.ts";
import { assertFreebsd } from "../../helpers/freebsd_checker.ts";
import { readSector, writeEntry } from "../../helpers/freebsd_raw.ts";
import {
  KIB,
  pattern,
  type Scratch,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  assertContent,
  type Content,
  makeQuickScratch,
  makeSparse,
  randomOf,
  writeChunk,
} from "../../helpers/small_pools.ts";
import { Snapshot, StoppingFiles } from "../../helpers/stopping_device.ts";

/** Room for four chunks; the first component has two of them for data. */
const COMPONENT_SIZE = 4 * SMALL_CHUNK + KIB;
const VIRTUAL_SIZE = 64 * SMALL_CHUNK;

/** A change of membership, on a pool of its own. */
interface Change {
  readonly title: string;
  /** The components before, by name. */
  readonly before: string;
  /** The components after, by name. */
  readonly after: string;
  /** How many chunks are in use. */
  readonly used: number;
  /** Write without a flush just before. */
  readonly unflushed?: boolean;
  /** An entry that is not allocated names a chunk of the last component. */
  readonly leftover?: boolean;
}

/** Everything that a test needs to try a change again and again. */
interface Trial {
  readonly change: Change;
  readonly before: string[];
  readonly after: string[];
  readonly all: string[];
  readonly start: Snapshot;
  /** What was made durable before the change. */
  readonly durable: Content;
  /** What was acknowledged before the change. */
  readonly acknowledged: Content;
}

async function prepare(scratch: Scratch, change: Change): Promise<Trial> {
  const paths = (names: string) => [...names].map(scratch.file);
  const before = paths(change.before);
  const after = paths(change.after);
  const all = [...new Set([...before, ...after])];
  for (const path of all) makeSparse(path, COMPONENT_SIZE);
  await labelPool({
    name: "small",
    format: "freebsd",
    paths: before,
    chunkSize: SMALL_CHUNK,
    virtualSize: VIRTUAL_SIZE,
  });
  const durable: Content = new Map();
  const pool = await openPool(before);
  for (let i = 0; i < change.used; i++) {
    await writeChunk(pool, durable, (i * 37 + 5) % 64);
  }
  await pool.close();
  if (change.leftover === true) {
    const component = before.length - 1;
    writeEntry(before[0] ?? "", 9, { flags: 0, component, chunk: 3 });
  }
  const start = new Snapshot(all);
  const acknowledged = new Map(durable);
  return { change, before, after, all, start, durable, acknowledged };
}

/** Opens the pool and begins the change, which stops after some writes. */
async function runStopped(
  trial: Trial,
  writes: number,
): Promise<{ files: StoppingFiles; isDone: boolean }> {
  const { change, before, after } = trial;
  trial.start.restore();
  const files = new StoppingFiles();
  const pool = await openPool(before, { openDevice: files.open });
  if (change.unflushed === true) {
    await writeChunk(pool, trial.acknowledged, 63);
  }
  const joins = after.filter((path) => !before.includes(path));
  const leaves = before.filter((path) => !after.includes(path));
  files.stopAfter(writes);
  try {
    if (joins.length > 0) await pool.add(joins, { openDevice: files.open });
    else await pool.remove(leaves);
  } catch (error) {
    assert(files.isStopped && error instanceof VirstorError);
  }
  const isDone = !files.isStopped;
  // The process ends here, also if the change was done.
  files.stop();
  await pool.close().catch(() => {});
  await files.closeAll();
  return { files, isDone };
}

/** The pool opens, is one of the two, and holds its data. */
async function assertSound(
  trial: Trial,
  contents: readonly Content[],
  openDevice?: OpenDevice,
): Promise<"before" | "after"> {
  const { before, after, all } = trial;
  const options = openDevice === undefined ? {} : { openDevice };
  const pool = await openPool(all, options);
  const members = pool.status().components.map((one) => one.path);
  const isAfter = String(members.toSorted()) === String(after.toSorted());
  if (!isAfter) assertEquals(members.toSorted(), before.toSorted());
  const content = await holdsOne(pool, contents);
  assertEquals(await pool.check(), []);
  const free = pool.status().freeChunks;
  // What a new chunk is not written to reads as zeroes.
  if (free > 0) await writeChunk(pool, content, 40, pattern(100, 40));
  await pool.close();
  assertFreebsd(members);
  const labels = all.map((path) => readSector(path));
  const again = await openPool(members, options);
  await assertContent(again, content);
  await again.close();
  assertEquals(all.map((path) => readSector(path)), labels);
  assertFreebsd(members);
  return isAfter ? "after" : "before";
}

async function holdsOne(
  pool: Pool,
  contents: readonly Content[],
): Promise<Content> {
  let failure: unknown;
  for (const content of contents) {
    try {
      await assertContent(pool, content);
      return new Map(content);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** Only those components are given that one of the two pools consists of. */
async function assertOpensWithOnly(
  trial: Trial,
  paths: readonly string[],
  isThisOne: boolean,
): Promise<void> {
  try {
    const pool = await openPool(paths);
    const { components } = pool.status();
    assertEquals(components.length, paths.length);
    await assertContent(pool, trial.acknowledged);
    await pool.close();
    assertFreebsd(paths);
    assert(isThisOne);
  } catch (error) {
    if (!(error instanceof VirstorError) || isThisOne) throw error;
    assertEquals(error.code, "not-found");
  }
}

/** SIGKILL: everything that was written is there. */
async function checkKill(trial: Trial): Promise<"before" | "after"> {
  const contents = [trial.acknowledged];
  const state = new Snapshot(trial.all);
  const result = await assertSound(trial, contents);
  // Of a pool that was not extended the new ones are not needed, nor are of
  // one that was reduced those that left.
  const fewer = trial.before.length < trial.after.length ? "before" : "after";
  state.restore();
  await assertOpensWithOnly(trial, trial[fewer], result === fewer);
  for (let writes = 0;; writes++) {
    state.restore();
    const files = new StoppingFiles();
    files.stopAfter(writes);
    const opening = openPool(trial.all, { openDevice: files.open });
    const pool = await opening.catch((error) => {
      assert(files.isStopped, error);
    });
    files.stop();
    await pool?.close().catch(() => {});
    await files.closeAll();
    assertEquals(await assertSound(trial, contents), result);
    if (pool !== undefined) return result;
  }
}

async function checkEveryStop(change: Change): Promise<void> {
  await using scratch = await makeQuickScratch();
  const trial = await prepare(scratch, change);
  const results = new Set<string>();
  const cutContents = [trial.acknowledged, trial.durable];
  for (let writes = 0;; writes++) {
    const { isDone } = await runStopped(trial, writes);
    const result = await checkKill(trial);
    if (isDone) assertEquals(result, "after");
    results.add(result);
    for (const share of [0, 0.3, 0.7]) {
      const { files } = await runStopped(trial, writes);
      const random = randomOf(writes * 10 + share);
      files.powerCut(() => random() < share);
      const cut = await assertSound(trial, cutContents);
      // What was reported as done is durable.
      if (isDone) assertEquals(cut, "after");
    }
    if (isDone) break;
    assert(writes < 100, "the change comes to an end");
  }
  assertEquals(results, new Set(["before", "after"]));
}

const CHANGES: readonly Change[] = [
  { title: "one to an empty pool of one", before: "a", after: "ab", used: 0 },
  { title: "one to a full pool of one", before: "a", after: "ab", used: 2 },
  {
    title: "three to a pool of one",
    before: "a",
    after: "abcd",
    used: 1,
    unflushed: true,
  },
  {
    title: "one to a pool of two",
    before: "ab",
    after: "abc",
    used: 2,
    unflushed: true,
  },
  {
    title: "three to a full pool of two",
    before: "ab",
    after: "abcde",
    used: 6,
  },
  { title: "one to a pool of four", before: "abcd", after: "abcde", used: 7 },
  {
    title: "three to a pool of four",
    before: "abcd",
    after: "abcdefg",
    used: 12,
    unflushed: true,
  },
];

for (const change of CHANGES) {
  Deno.test(`Pool.add() of ${change.title} can be stopped at any write`, async () => {
    await checkEveryStop(change);
  });
}

const REMOVALS: readonly Change[] = [
  {
    title: "the only other one",
    before: "ab",
    after: "a",
    used: 1,
    unflushed: true,
  },
  {
    title: "the first empty one of four",
    before: "abcd",
    after: "acd",
    used: 2,
  },
  {
    title: "the first empty one behind one in use",
    before: "abcd",
    after: "abd",
    used: 4,
    unflushed: true,
  },
  { title: "a middle one of four", before: "abcd", after: "abd", used: 1 },
  { title: "the last one of four", before: "abcd", after: "abc", used: 6 },
  {
    title: "the last one of four, which an unallocated entry names",
    before: "abcd",
    after: "abc",
    used: 6,
    leftover: true,
  },
  {
    title: "a middle one, when an unallocated entry names the last one",
    before: "abcd",
    after: "abd",
    used: 2,
    leftover: true,
  },
  { title: "all empty ones", before: "abcd", after: "a", used: 1 },
  {
    title: "two with one between that stays",
    before: "abcde",
    after: "abd",
    used: 5,
    unflushed: true,
  },
];

for (const change of REMOVALS) {
  Deno.test(`Pool.remove() of ${change.title} can be stopped at any write`, async () => {
    await checkEveryStop(change);
  });
}

/** One write fails, all later ones do not, and the pool is stopped properly. */
async function checkEveryFailure(change: Change): Promise<void> {
  await using scratch = await makeQuickScratch();
  const trial = await prepare(scratch, change);
  const { before, after, all } = trial;
  const joins = after.filter((path) => !before.includes(path));
  const leaves = before.filter((path) => !after.includes(path));
  const states = new Set<string>();
  /** After which failures something was still open after the stop. */
  const kept: number[] = [];
  let isDone = false;
  for (let writes = 0; !isDone; writes++) {
    trial.start.restore();
    const files = new StoppingFiles();
    const pool = await openPool(before, { openDevice: files.open });
    files.failOnceAfter(writes);
    try {
      if (joins.length > 0) await pool.add(joins, { openDevice: files.open });
      else await pool.remove(leaves);
      isDone = true;
    } catch (error) {
      assert(error instanceof VirstorError);
      assert(error.message.includes("Failed by the test"), error.message);
    }
    files.stopAfter(Infinity);
    const { state } = pool.status();
    states.add(state);
    if (state === "open" && !isDone) {
      // Nothing has changed: the new ones carry no label and are given back.
      assertEquals(files.openCount, before.length);
      for (const path of joins) {
        assert(readSector(path).every((byte) => byte === 0));
      }
    }
    await pool.close();
    if (files.openCount > 0) kept.push(writes);
    await files.closeAll();
    if (state === "open") assertFreebsd(isDone ? after : before);
    const result = await assertSound(trial, [trial.acknowledged]);
    if (isDone) assertEquals(result, "after");
    assert(all.length > 1 && writes < 100);
  }
  assertEquals(states, new Set(["open", "failed"]));
  assertEquals(kept, []);
}

Deno.test("Pool.add() that fails at any write leaves the pool as it was, or failed and sound", async () => {
  for (const change of CHANGES) await checkEveryFailure(change);
});

Deno.test("Pool.remove() that fails at any write leaves the pool failed and sound", async () => {
  for (const change of REMOVALS) await checkEveryFailure(change);
});
