/**
 * The journal of a remote component, in a real file: what is found again, what
 * is refused, and that damage of any kind shows no record that was never
 * written.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createSparseFile, FileDevice } from "../../../device/file/mod.ts";
import { VirstorError } from "../../../errors.ts";
import {
  ForeignJournalError,
  Journal,
  JOURNAL_SIZE_MIN,
  type JournalRecord,
  recoverJournal,
} from "../../../pool/remote/mod.ts";
import { makeScratch, pattern, type Scratch } from "../../helpers/scratch.ts";
import { Random } from "../../simulation/random.ts";

const OWNER = {
  componentUuid: "c0c1c2c3-c4c5-46c7-88c9-cacbcccdcecf",
  generation: 7,
  componentSize: 2 ** 40,
};

function fileIn(scratch: Scratch, size = JOURNAL_SIZE_MIN): FileDevice {
  const path = scratch.file("journal");
  createSparseFile(path, size);
  return new FileDevice(path, { lock: "exclusive" });
}

async function reopen(scratch: Scratch, owner = OWNER): Promise<Journal> {
  const device = new FileDevice(scratch.file("journal"));
  try {
    return await Journal.open(device, owner);
  } catch (error) {
    await device.close();
    throw error;
  }
}

/** The payload of a record, for any kind. */
function contentOf(journal: Journal, record: JournalRecord): Uint8Array {
  const bytes = new Uint8Array(record.kind === 1 ? record.length : 0);
  if (bytes.length > 0) journal.read(record, record.offset, bytes);
  return bytes;
}

Deno.test("a journal has what was appended to it, after it was left open", async () => {
  await using scratch = await makeScratch();
  const journal = await Journal.create(fileIn(scratch), OWNER);
  journal.write(pattern(100, 1), 2 ** 39);
  journal.zero(5, 2 ** 35, true);
  journal.write(pattern(4096, 2), 0);
  // As after SIGKILL: nothing was made durable or closed.
  const later = await reopen(scratch);
  assertEquals(later.uuid, journal.uuid);
  assertEquals(
    later.recovered.map(({ kind, offset, length, noHole, sequence }) => [
      ...[kind, offset, length, noHole, sequence],
    ]),
    [
      [1, 2 ** 39, 100, false, 1],
      [2, 5, 2 ** 35, true, 2],
      [1, 0, 4096, false, 3],
    ],
  );
  const [first, , third] = later.recovered;
  assert(first !== undefined && third !== undefined);
  assertEquals(contentOf(later, first), pattern(100, 1));
  assertEquals(contentOf(later, third), pattern(4096, 2));
  assertEquals(later.write(pattern(10, 3), 7)?.sequence, 4);
  await later.close();
  await journal.close();
});

Deno.test("a full journal takes no more, and goes round when its tail moves", async () => {
  await using scratch = await makeScratch();
  const journal = await Journal.create(fileIn(scratch), OWNER);
  const payload = pattern(3000, 1);
  let count = 0;
  while (journal.write(payload, 0) !== undefined) count += 1;
  // 18 records of 3584 bytes, and no room for another one.
  assertEquals(count, 18);
  journal.release(journal.last);
  assertEquals(journal.write(payload, 0), undefined);
  await journal.sync();
  assertEquals(journal.used, 0);
  for (let lap = 0; lap < 50; lap++) {
    const offset = lap * 10_000;
    for (let i = 0; i < 10; i++) {
      const record = journal.write(pattern(3000, lap), offset);
      assert(record !== undefined);
      assertEquals(contentOf(journal, record), pattern(3000, lap));
    }
    if (lap < 49) journal.release(journal.last);
    await journal.sync();
  }
  await journal.close();
  const later = await reopen(scratch);
  assertEquals(
    later.recovered.map(({ offset }) => offset),
    new Array<number>(10).fill(490_000),
  );
  await later.close();
});

Deno.test("a journal never overwrites the header that was durable last", async () => {
  await using scratch = await makeScratch();
  const journal = await Journal.create(fileIn(scratch), OWNER);
  const slots = () => {
    const bytes = Deno.readFileSync(scratch.file("journal"));
    return [0, 4096].map((at) => bytes.subarray(at, at + 512).toHex());
  };
  let durable = 0;
  for (let i = 0; i < 5; i++) {
    assert(journal.write(pattern(10, i), 0) !== undefined);
    journal.release(journal.last);
    const before = slots();
    await journal.sync(true);
    assertEquals(slots()[durable], before[durable]);
    durable = 1 - durable;
    assert(slots()[durable] !== before[durable]);
  }
  await journal.close();
});

Deno.test("a journal notes where its tail is when that has moved far, or on demand", async () => {
  await using scratch = await makeScratch();
  const journal = await Journal.create(fileIn(scratch), OWNER);
  const recovered = async () => {
    const copy = scratch.file("copy");
    await Deno.copyFile(scratch.file("journal"), copy);
    const device = new FileDevice(copy);
    const { records } = await recoverJournal(device, OWNER);
    await device.close();
    return records.length;
  };
  // 512 bytes of 72 KiB are little, five times as many are not.
  const found: number[] = [];
  for (let i = 0; i < 5; i++) {
    journal.write(pattern(10, i), 0);
    journal.release(journal.last);
    await journal.sync();
    found.push(await recovered());
  }
  assertEquals(found, [1, 2, 3, 4, 0]);
  journal.write(pattern(10, 6), 0);
  journal.release(journal.last);
  const first = journal.sync();
  const [second, third] = [journal.sync(true), journal.sync()];
  await first;
  await second;
  await third;
  assertEquals(await recovered(), 0);
  assertEquals(journal.used, 0);
  await journal.close();
});

Deno.test("a journal of another component or generation is refused", async () => {
  await using scratch = await makeScratch();
  await (await Journal.create(fileIn(scratch), OWNER)).close();
  const other = "d0d1d2d3-c4c5-46c7-88c9-cacbcccdcecf";
  await assertRejects(
    () => reopen(scratch, { ...OWNER, componentUuid: other }),
    ForeignJournalError,
    `it is of component ${OWNER.componentUuid}, this is ${other}`,
  );
  for (const generation of [6, 8]) {
    await assertRejects(
      () => reopen(scratch, { ...OWNER, generation }),
      ForeignJournalError,
      `it is journal 7 of its component, which says ${generation}: what was ` +
        "written to the component since would be undone",
    );
  }
  const error = await assertRejects(
    () => reopen(scratch, { ...OWNER, componentSize: 2 ** 30 }),
    VirstorError,
    "its component had 1099511627776 bytes, and has 1073741824",
  );
  assertEquals(error.code, "corrupt");
  await (await reopen(scratch)).close();
});

Deno.test("a file that is no journal is refused, and says why", async () => {
  await using scratch = await makeScratch();
  await fileIn(scratch).close();
  const blank = await assertRejects(() => reopen(scratch), VirstorError);
  assertEquals(blank.code, "not-found");
  const path = scratch.file("journal");
  for (
    const [bytes, reason] of [
      [pattern(JOURNAL_SIZE_MIN, 1), "it holds no header of a journal"],
      [pattern(512, 1), "the file has only 512 bytes"],
    ] as const
  ) {
    await Deno.writeFile(path, bytes);
    const error = await assertRejects(
      () => reopen(scratch),
      VirstorError,
      reason,
    );
    assertEquals(error.code, "corrupt");
  }
  await Deno.remove(path);
  const small = fileIn(scratch, JOURNAL_SIZE_MIN - 512);
  await assertRejects(
    () => Journal.create(small, OWNER),
    VirstorError,
    "are not whole sectors, at least 73728",
  );
  await small.close();
});

Deno.test("a journal that was cut or extended is refused", async () => {
  await using scratch = await makeScratch();
  await (await Journal.create(fileIn(scratch), OWNER)).close();
  for (const change of [-512, 512]) {
    await Deno.truncate(scratch.file("journal"), JOURNAL_SIZE_MIN + change);
    await assertRejects(
      () => reopen(scratch),
      VirstorError,
      `its header says ${JOURNAL_SIZE_MIN} bytes, the file has`,
    );
  }
});

/** A journal that went round, with records that are needed. */
async function usedJournal(
  scratch: Scratch,
): Promise<{ contents: Map<number, string>; newest: number }> {
  const random = new Random(5);
  const journal = await Journal.create(fileIn(scratch), OWNER);
  const contents = new Map<number, string>();
  for (let i = 0; i < 60; i++) {
    const offset = random.below(2 ** 30);
    const record = random.chance(20)
      ? journal.zero(offset, 1 + random.below(10_000), random.chance(50))
      : journal.write(pattern(1 + random.below(5000), i), offset);
    assert(record !== undefined);
    const { kind, noHole, length, sequence } = record;
    const payload = contentOf(journal, record).toHex();
    const key = JSON.stringify([kind, noHole, offset, length, payload]);
    contents.set(sequence, key);
    if (i % 8 === 0) {
      journal.release(record);
      await journal.sync();
    }
  }
  const newest = journal.last.sequence;
  await journal.close();
  return { contents, newest };
}

/** Damages bytes in one of the ways that disks and people have. */
function damage(bytes: Uint8Array, random: Random): void {
  const sectors = bytes.length / 512;
  const sector = () => {
    // Half of the time a header.
    const index = random.chance(50)
      ? random.pick([0, 8])
      : 16 + random.below(sectors - 16);
    return bytes.subarray(index * 512, index * 512 + 512);
  };
  switch (random.below(5)) {
    case 0: {
      const at = sector();
      const byte = random.below(random.pick([120, 512]));
      at[byte] = (at[byte] ?? 0) ^ (1 << random.below(8));
      break;
    }
    case 1:
      sector().fill(random.pick([0, 0xff]));
      break;
    case 2:
      sector().set(sector().slice());
      break;
    case 3: {
      const at = random.below(112);
      sector().fill(random.below(256), at, at + random.pick([1, 4, 8]));
      break;
    }
    default:
      bytes.fill(0, bytes.length - 512 * random.below(sectors));
  }
}

Deno.test("a damaged journal shows no record but those that were written, in order", async () => {
  await using scratch = await makeScratch();
  const { contents, newest } = await usedJournal(scratch);
  const path = scratch.file("journal");
  const original = await Deno.readFile(path);
  let [refused, whole, shorter] = [0, 0, 0];
  for (let seed = 1; seed <= 500; seed++) {
    const random = new Random(seed);
    const bytes = original.slice();
    for (let i = 1 + random.below(3); i > 0; i--) damage(bytes, random);
    await Deno.writeFile(path, bytes);
    let journal: Journal;
    try {
      journal = await reopen(scratch);
    } catch (error) {
      assert(error instanceof VirstorError, `seed ${seed}: ${error}`);
      assert(["corrupt", "not-found", "exists"].includes(error.code));
      refused += 1;
      continue;
    }
    let next = journal.recovered[0]?.sequence ?? 0;
    for (const record of journal.recovered) {
      assert(record.sequence >= next, `seed ${seed}: records in order`);
      next = record.sequence + 1;
      const { kind, noHole, offset, length, sequence } = record;
      const payload = contentOf(journal, record).toHex();
      const key = JSON.stringify([kind, noHole, offset, length, payload]);
      assertEquals(key, contents.get(sequence), `seed ${seed}`);
    }
    if (journal.last.sequence === newest) whole += 1;
    else shorter += 1;
    assert(journal.write(pattern(600, 1), 0) !== undefined);
    await journal.close();
  }
  // Otherwise the test shows nothing.
  assert(refused > 20 && whole > 20 && shorter > 20, `${refused} ${whole}`);
});
