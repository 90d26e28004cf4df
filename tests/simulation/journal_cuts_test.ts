/**
 * Remote components on simulated machines that crash: scenes that chance finds
 * seldom, and random lives.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Journal } from "../../pool/remote/mod.ts";
import { liveJournal } from "./journal_life.ts";
import { SimulatedDisk } from "./simulated_disk.ts";
import { Random } from "./random.ts";

const OWNER = {
  componentUuid: "c0c1c2c3-c4c5-46c7-88c9-cacbcccdcecf",
  generation: 7,
  componentSize: 2 ** 30,
};
const RING = 8192;

async function journalOn(disk: SimulatedDisk): Promise<Journal> {
  disk.create("journal", new Uint8Array(RING + 64 * 1024));
  return await Journal.create(disk.open("journal", {}), OWNER);
}

/** Opens it after a power cut. */
function open(disk: SimulatedDisk): Promise<Journal> {
  const owner = { ...OWNER, bootId: crypto.randomUUID() };
  return Journal.open(disk.open("journal", {}), owner);
}

/** The offsets of the records that are found, which the tests tell apart by. */
function offsetsOf(journal: Journal): number[] {
  return journal.recovered.map(({ offset }) => offset);
}

Deno.test("no record behind a lost one joins those that are written in its place", async () => {
  const disk = new SimulatedDisk({ punches: true });
  const first = await journalOn(disk);
  const payload = new Uint8Array(100);
  for (const offset of [1, 2, 3]) first.write(payload, offset);
  // The power is cut, and of the three sectors the second one is lost.
  const file = disk.file("journal");
  let sector = 0;
  disk.restart("all", new Random(1));
  file.lose(() => ++sector !== 2);
  const second = await open(disk);
  assertEquals(offsetsOf(second), [1]);
  // The new record takes exactly the place of the lost one.
  second.write(payload, 4);
  disk.restart("all", new Random(1));
  const third = await open(disk);
  assertEquals(offsetsOf(third), [1, 4]);
  // Nor after the new record was lost in turn.
  third.write(payload, 5);
  disk.restart("all", new Random(1));
  file.lose(() => false);
  const fourth = await open(disk);
  assertEquals(offsetsOf(fourth), [1, 4]);
  await fourth.close();
});

Deno.test("a newer header that is damaged is noticed, not replaced by the older one", async () => {
  const disk = new SimulatedDisk({ punches: true });
  const first = await journalOn(disk);
  first.write(new Uint8Array(100), 1);
  disk.restart("all", new Random(1));
  const second = await open(disk);
  second.write(new Uint8Array(100), 2);
  disk.restart("all", new Random(1));
  // The second opening has written its header to slot 1.
  const { bytes } = disk.file("journal");
  bytes[4096 + 100] = (bytes[4096 + 100] ?? 0) ^ 1;
  disk.create("journal", bytes);
  const refusal = await open(disk).catch((error) => String(error));
  assert(typeof refusal === "string");
  assert(/its newer header is damaged: record 2/.test(refusal), refusal);
});

Deno.test("a skip that no record follows does not count", async () => {
  const disk = new SimulatedDisk({ punches: true });
  const first = await journalOn(disk);
  // 17 records of 3584 bytes leave 4608 bytes.
  const payload = new Uint8Array(3000);
  for (let i = 0; i < 17; i++) first.write(payload, i);
  first.release({ sequence: 8, end: 8 * 3584 });
  await first.sync();
  disk.crashAt(disk.changes + 1);
  let error: unknown;
  try {
    first.write(new Uint8Array(5000), 100);
  } catch (reason) {
    error = reason;
  }
  assert(error !== undefined, "the skip was written, and the record was not");
  disk.restart("all", new Random(1));
  const second = await open(disk);
  assertEquals(second.recovered.length, 9);
  assertEquals(second.last.sequence, 17);
  assert(second.write(payload, 200) !== undefined);
  disk.restart("all", new Random(1));
  const third = await open(disk);
  assertEquals(offsetsOf(third), [8, 9, 10, 11, 12, 13, 14, 15, 16, 200]);
  await third.close();
});

Deno.test("a remote component loses nothing in lives with crashes anywhere", async () => {
  const total = { changes: 0, crashes: 0, recovered: 0, waits: 0, lost: 0 };
  for (let seed = 1; seed <= 60; seed++) {
    const hasOwner = seed % 2 === 0;
    const result = await liveJournal({ seed, steps: 60, crashes: 8, hasOwner });
    total.changes += result.changes;
    total.crashes += result.crashes;
    total.recovered += result.recovered;
    total.waits += result.waits;
    total.lost += result.lost;
  }
  // Otherwise the lives show nothing.
  assert(total.changes > 5000 && total.recovered > 2000 && total.waits > 200);
  assert(total.lost > 5, `${total.lost} journals were lost`);
});
