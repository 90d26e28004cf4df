/**
 * Goal: damage to a pool of format 2 is corrected or reported, and never
 * silently used.
 *
 * Method: everything that can happen to a stopped pool, made in its bytes; and
 * every single bit of the metadata, turned.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { FlushObserver } from "../../../device/file/mod.ts";
import { MemoryDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import {
  newerSuperblock,
  type Superblock,
  superblockPosition,
} from "../../../metadata/mod.ts";
import { checkComponents, openPool } from "../../../pool/mod.ts";
import type { ComponentDevice } from "../../../pool/core/mod.ts";
import { tableOf } from "../../../pool/format/native/native_member.ts";
import { scanTable } from "../../../pool/format/native/native_scan.ts";
import {
  flipBit,
  pageSlots,
  type Slot,
  superblockSlots,
  tablePagesOf,
} from "../../helpers/damage.ts";
import { DAMAGE_KINDS, type DamageKind } from "../../helpers/damage_kinds.ts";
import {
  assertOpens,
  CHUNK,
  type DamageSample,
  holds,
  kindsOf,
  makeDamageSample,
} from "../../helpers/damage_sample.ts";
import { SLOT_BYTES } from "../../helpers/native_raw.ts";
import {
  assertRefused,
  makeQuickScratch,
  randomOf,
} from "../../helpers/small_pools.ts";
import { Snapshot } from "../../helpers/stopping_device.ts";

/** Bits of each slot that are turned in a whole pool. */
const BITS_A_SLOT = 12;
/** One in so many is then opened for writing, too. */
const WRITTEN_EVERY = 4;

async function testKind(kind: DamageKind): Promise<void> {
  await using scratch = await makeQuickScratch();
  const sample = await makeDamageSample(scratch);
  const made = await kind.make(sample) ?? {};
  const { paths = sample.paths, disk = sample.disk } = made;
  const before = new Snapshot(paths);
  const { findings } = await checkComponents(paths);
  assertEquals(kindsOf(findings), kind.findings);
  for (const { what, effect } of findings) {
    assert(/^[A-Z\d][^\n]*[^.\n]$/.test(what), what);
    assert(/^[^\n]+[^.\n]$/.test(effect), effect);
  }
  assertEquals(before.changed(), []);
  if (kind.refusal !== undefined) {
    const [code, part] = kind.refusal;
    await assertRefused(() => openPool(paths), code, "demo", part);
    const read = () => openPool(paths, { readOnly: true });
    if (kind.opensForReading !== true) await assertRefused(read, code, part);
    else await assertReads(paths, disk);
    assertEquals(before.changed(), []);
    return;
  }
  await assertReads(paths, disk);
  assertEquals(before.changed(), []);
  await assertOpens(paths, disk);
  const after = await checkComponents(paths);
  assertEquals(kindsOf(after.findings), kind.remains ?? []);
}

async function assertReads(
  paths: readonly string[],
  disk: Uint8Array,
): Promise<void> {
  const pool = await openPool(paths, { readOnly: true });
  try {
    assert(await holds(pool, disk), "the disk holds what was written");
  } finally {
    await pool.close();
  }
}

for (const kind of DAMAGE_KINDS) {
  Deno.test(`A pool with ${kind.name} is mended or refused, and a check tells`, () =>
    testKind(kind));
}

/** What a component has in memory is all that there is. */
class MemoryComponent extends MemoryDevice implements ComponentDevice {
  readonly path: string;
  readonly identity: string;
  observer: FlushObserver | undefined;

  constructor(path: string, bytes: Uint8Array) {
    super(bytes);
    this.path = path;
    this.identity = path;
  }
}

/** Both slots of some bytes. */
function slotsIn(slots: Uint8Array): Uint8Array[] {
  return [slots.subarray(0, SLOT_BYTES), slots.subarray(SLOT_BYTES)];
}

/** The sound superblocks of a component, the newer first. */
function superblockOf(slots: Uint8Array, size: number): Superblock {
  return newerSuperblock(slotsIn(slots), size, "it").superblock;
}

/** What all superblocks of a pool say, however old. */
function stableFieldsOf(superblock: Superblock): unknown {
  const { generation: _, clean: __, tableDigest: ___, ...fields } = superblock;
  return fields;
}

/** Calls back with each bit turned. */
async function forEachBit(
  bytes: Uint8Array,
  start: number,
  length: number,
  act: (bit: number) => void | Promise<void>,
): Promise<void> {
  for (let bit = 0; bit < length * 8; bit++) {
    const at = start + (bit >> 3);
    const sound = bytes[at] ?? 0;
    bytes[at] = sound ^ (1 << (bit & 7));
    await act(bit);
    bytes[at] = sound;
  }
}

for (const killed of [false, true]) {
  const how = killed ? "killed" : "stopped";

  Deno.test(`Every flipped bit of a superblock is known, and the other one says the same (${how})`, async () => {
    await using scratch = await makeQuickScratch();
    const { paths } = await makeDamageSample(scratch, { killed });
    const [, , path] = paths;
    const bytes = Deno.readFileSync(path);
    const start = superblockPosition(bytes.length, 0);
    const slots = bytes.subarray(start);
    const fields = stableFieldsOf(superblockOf(slots, bytes.length));
    for (const slot of superblockSlots(path)) {
      const at = slot.position - start;
      const index = at / SLOT_BYTES;
      await forEachBit(slots, at, slot.length, (bit) => {
        const found = newerSuperblock(slotsIn(slots), bytes.length, path);
        const code = found.otherFault?.code;
        const isKnown = found.slot !== index &&
          (code === "corrupt" || code === "not-found");
        assert(isKnown, `bit ${bit} of slot ${index}`);
        assertEquals(stableFieldsOf(found.superblock), fields);
      });
    }
  });
}

/** A table in memory: its bytes, and what is found in them. */
class MemoryTable {
  readonly bytes: Uint8Array;
  readonly #path: string;
  readonly #device: MemoryComponent;
  readonly #superblock: Superblock;

  constructor(path: string) {
    this.#path = path;
    this.bytes = Deno.readFileSync(path);
    this.#device = new MemoryComponent(path, this.bytes);
    const slots = this.bytes.subarray(-2 * SLOT_BYTES);
    this.#superblock = superblockOf(slots, this.bytes.length);
  }

  /** The entries, and how many slots are not sound. */
  async scan(): Promise<{ entries: string; unsound: number }> {
    const table = tableOf(this.#device, this.#superblock);
    let entries = "";
    let unsound = 0;
    await scanTable(table, {
      page() {},
      unsound: () => unsound++,
      owned: ({ chunk, virtualChunk, sequence }) =>
        entries += `${chunk}:${virtualChunk}@${sequence} `,
    });
    return { entries, unsound };
  }

  /** Turns every bit of a page's slots; calls back with what is found then. */
  async forEachBit(
    act: (where: string, entries: string, unsound: number) => void,
  ): Promise<void> {
    for (const [age, slot] of pageSlots(this.#path, 0).entries()) {
      await forEachBit(this.bytes, slot.position, slot.length, async (bit) => {
        const { entries, unsound } = await this.scan();
        act(`bit ${bit} of slot ${age}, newest first`, entries, unsound);
      });
    }
  }
}

Deno.test("Every flipped bit of a page in a pool that was stopped is known, and changes no entry", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeDamageSample(scratch);
  const table = new MemoryTable(paths[1]);
  const sound = await table.scan();
  assertEquals(sound.unsound, 0);
  assert(sound.entries.length > 0);
  await table.forEachBit((where, entries, unsound) => {
    assert(unsound === 1 && entries === sound.entries, where);
  });
});

Deno.test("Every flipped bit of a page in a pool that was killed is known", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeDamageSample(scratch, {
    full: true,
    killed: true,
  });
  const table = new MemoryTable(paths[1]);
  const sound = await table.scan();
  let changed = 0;
  await table.forEachBit((where, entries, unsound) => {
    assert(unsound === 1, where);
    if (entries !== sound.entries) changed++;
  });
  // What was written last has one copy only: then it is no more than known.
  assertEquals(changed, 4096 * 8);
});

/** All slots of the metadata of a pool. */
function allSlots(paths: readonly string[]): Slot[] {
  return paths.flatMap((path) => [
    ...superblockSlots(path),
    ...Array.from(
      { length: tablePagesOf(path) },
      (_, page) => pageSlots(path, page),
    ).flat(),
  ]);
}

/** Turns some bits of each slot, one at a time. */
async function withSomeBits(
  { paths, sound }: DamageSample,
  seed: number,
  test: (where: string, turn: number) => Promise<void>,
): Promise<void> {
  const random = randomOf(seed);
  let turn = 0;
  for (const slot of allSlots(paths)) {
    for (let i = 0; i < BITS_A_SLOT; i++) {
      const bit = Math.floor(random() * slot.length * 8);
      flipBit(slot, bit);
      const { kind, path, position } = slot;
      await test(`bit ${bit} of the ${kind} at ${position} of ${path}`, turn);
      if (turn++ % WRITTEN_EVERY === 0) sound.restore();
      else flipBit(slot, bit);
    }
  }
  assertEquals(sound.changed(), []);
}

Deno.test("A pool with any bit flipped opens with what it held, a check tells, and the next open puts it right", async () => {
  await using scratch = await makeQuickScratch();
  const sample = await makeDamageSample(scratch);
  const { paths, disk } = sample;
  await withSomeBits(sample, 1, async (where, turn) => {
    const { findings } = await checkComponents(paths);
    assert(findings.length > 0, where);
    assert(findings.every(({ severity }) => severity === "notice"), where);
    await assertReads(paths, disk);
    if (turn % WRITTEN_EVERY > 0) return;
    await assertOpens(paths, disk);
    assertEquals((await checkComponents(paths)).findings, [], where);
  });
});

Deno.test("A pool that was killed with any bit flipped says so, and is sound once it was opened and stopped", async () => {
  await using scratch = await makeQuickScratch();
  const sample = await makeDamageSample(scratch, { full: true, killed: true });
  const { paths } = sample;
  await withSomeBits(sample, 2, async (where, turn) => {
    const { findings } = await checkComponents(paths);
    assert(findings.length > 0, where);
    if (turn % WRITTEN_EVERY > 0) return;
    const said: string[] = [];
    const pool = await openPool(paths, {
      onEvent: ({ message }) => said.push(message),
    });
    await pool.close();
    assertEquals((await checkComponents(paths)).findings, [], where);
    const isPage = findings.some(({ what }) => what.includes("chunk table"));
    assert(!isPage || said.some((line) => line.includes("chunk table")), where);
  });
});

Deno.test("A pool of one component that lost a superblock goes on with the other", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, disk } = await makeDamageSample(scratch);
  const [a, b, c, d] = paths;
  const pool = await openPool(paths);
  await pool.volume().discard(0, disk.length);
  await pool.remove([b, c, d]);
  await pool.volume().write(disk.subarray(0, 20 * CHUNK), 0);
  await pool.close();
  const left = new Uint8Array(disk.length);
  left.set(disk.subarray(0, 20 * CHUNK));
  for (const slot of superblockSlots(a)) {
    const sound = new Snapshot([a]);
    flipBit(slot, 1000);
    const { findings } = await checkComponents([a]);
    assertEquals(kindsOf(findings), ["unsound notice"]);
    await assertOpens([a], left);
    assertEquals((await checkComponents([a])).findings, []);
    sound.restore();
  }
  for (const slot of superblockSlots(a)) flipBit(slot, 1000);
  const error = await assertRefused(() => openPool([a]), "corrupt");
  assert(error instanceof VirstorError);
});
