/**
 * Changes of a pool beside a component that does not answer: each ends within
 * the patience of the pool, with one line that names the component, and holds up
 * nothing else. What was refused has not happened; what goes on is done later.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import type { Pool, PoolEvent } from "../../../pool/mod.ts";
import { LATE_CHUNK as C, LatePool } from "../../helpers/late_pool.ts";
import { eventually } from "../../helpers/patience.ts";
import { pattern, readBytes } from "../../helpers/scratch.ts";
import { assertSound, makeQuickScratch } from "../../helpers/small_pools.ts";

/** Seconds without an answer after which changes are refused. */
const SECONDS = 0.3;

/** Lets the far side fall silent, or answer; only a silent one is not awaited. */
function hold({ far, pool }: LatePool, isSilent: boolean): void {
  if (isSilent) far.hold();
  else far.release();
  // All parts of the pool share the object.
  Object.assign(pool.settings, { stopSeconds: isSilent ? SECONDS : 600 });
}

/** Asserts that a change is refused in one line that names the component. */
async function assertRefused(
  change: Promise<unknown>,
  { remotePath }: LatePool,
  what: string,
): Promise<void> {
  const { code, message } = await assertRejects(() => change, VirstorError);
  assertEquals(code, "io");
  assert(message.includes(`"${remotePath}"`), message);
  assert(message.includes("not answered for 0.3 seconds"), message);
  assert(message.includes(what), message);
}

/** A change of each kind. */
function changes(pool: Pool, paths: readonly string[]): Promise<unknown>[] {
  const { snapshotChanges, volumeChanges } = pool;
  return [
    snapshotChanges.take([{ volume: "late", snapshot: "t" }]),
    snapshotChanges.remove("late", "s"),
    snapshotChanges.rollback("late", "s"),
    volumeChanges.create("v", C),
    volumeChanges.clone("late", "s", "c"),
    volumeChanges.rename("w", "x"),
    volumeChanges.set("w", { quota: 4 * C }),
    volumeChanges.remove("w"),
    volumeChanges.renamePool("other"),
    pool.resize(128 * C),
    pool.remove([paths[0] ?? ""]),
    pool.add([`${paths[0]}.new`], { createSize: 16 * C }),
  ];
}

async function closeSound(late: LatePool): Promise<void> {
  assertEquals(await late.pool.check(), []);
  await late.pool.close();
  await Deno.writeFile(late.remotePath, late.far.content);
  await assertSound("native", late.paths);
}

Deno.test("changes beside a component that is silent are refused, and nothing has changed", async () => {
  await using scratch = await makeQuickScratch();
  const late = await LatePool.make(scratch);
  const { pool, paths } = late;
  await pool.volumeChanges.create("w", C);
  await pool.snapshotChanges.take([{ volume: "late", snapshot: "s" }]);
  hold(late, true);
  const asked = changes(pool, paths);
  const refused = asked.map((one) => assertRefused(one, late, "has changed"));
  // What needs no superblock waits for none of them.
  assertEquals(await pool.check(), []);
  await pool.set({ onFull: "error" });
  await pool.volume().write(pattern(C, 1), 0);
  await Promise.all(refused);
  // The far side is known to be silent by now.
  await assertRefused(pool.resize(99 * C), late, "nothing has changed");
  const status = pool.status();
  const names = status.volumes.map((
    { name, snapshots },
  ) => [name, ...snapshots.map((one) => one.name)]);
  assertEquals(names, [["late", "s"], ["w"]]);
  assertEquals(status.volumes[0]?.size, 64 * C);
  assertEquals(status.components.length, 2);
  assertEquals(status.evacuation, null);
  hold(late, false);
  await pool.snapshotChanges.take([{ volume: "late", snapshot: "t" }]);
  await pool.resize(128 * C);
  assertEquals(await readBytes(pool.volume(), 0, C), pattern(C, 1));
  await closeSound(late);
  late.reconnect();
  await late.open();
  const [volume] = late.pool.status().volumes;
  assertEquals(volume?.snapshots.map(({ name }) => name), ["s", "t"]);
  assertEquals(volume?.size, 128 * C);
  await late.pool.close();
});

/** Takes a snapshot during which the far side falls silent. */
async function stallSnapshot(late: LatePool): Promise<void> {
  const { far, pool } = late;
  // The first flush is that of the wait for an answer.
  let flushes = 0;
  far.onRequest = (what) => {
    if (what === "flush" && ++flushes === 3) hold(late, true);
  };
  await pool.volume().write(pattern(C, 1), 0);
  await assertRefused(
    pool.snapshotChanges.take([{ volume: "late", snapshot: "t" }]),
    late,
    "the change goes on when it answers",
  );
  far.onRequest = undefined;
}

Deno.test("a change during which a component falls silent goes on later, and holds up no other command", async () => {
  await using scratch = await makeQuickScratch();
  const events: PoolEvent[] = [];
  const late = await LatePool.make(scratch, {}, {
    onEvent: (event) => events.push(event),
  });
  const { pool } = late;
  await stallSnapshot(late);
  await pool.set({ onFull: "error" });
  await assertRefused(pool.check(), late, "Cannot check pool");
  await assertRefused(pool.resize(99 * C), late, "nothing has changed");
  await pool.volume().write(pattern(C, 2), C);
  hold(late, false);
  await eventually(
    "it is done",
    () => events.some(({ kind }) => kind === "late-change"),
  );
  const [volume] = pool.status().volumes;
  assertEquals(volume?.snapshots.map(({ name }) => name), ["t"]);
  assertEquals(volume?.size, 64 * C);
  await pool.snapshotChanges.take([{ volume: "late", snapshot: "u" }]);
  await closeSound(late);
});

Deno.test("a pool that dies in a change that hangs opens as before it, or after", async () => {
  await using scratch = await makeQuickScratch();
  const late = await LatePool.make(scratch);
  await stallSnapshot(late);
  // The stop gives the component up; its journal stays as after a kill.
  await assertRejects(() => late.pool.close(), VirstorError);
  late.reconnect();
  await late.open();
  assertEquals(await readBytes(late.pool.volume(), 0, C), pattern(C, 1));
  const [volume] = late.pool.status().volumes;
  assert((volume?.snapshots.length ?? 2) <= 1);
  await closeSound(late);
});
