/**
 * Random steps of the life of a pool with volumes and snapshots.
 *
 * @module
 */

import { type ErrorCode, VirstorError } from "../../errors.ts";
import {
  clonesOf,
  diskOf,
  knownContents,
  type ModelSnapshot,
  type ModelVolume,
  modelVolume,
  type ModelVolumes,
  withVolume,
} from "../helpers/volumes_model.ts";
import { inWorlds } from "./in_worlds.ts";
import { ModelPool } from "./model_pool.ts";
import { simulatedTime } from "./simulated_time.ts";
import { turn } from "./turns.ts";
import { CHUNK, CHUNK_BLOCKS, POOL, VolumesLife } from "./volumes_life.ts";
import { watchForFaults } from "./watch.ts";

const VOLUMES_MAX = 5;
const SNAPSHOTS_MAX = 4;
const CHUNKS_MAX = 20;

/** Steps, and how often each is taken. */
const STEPS: readonly [
  weight: number,
  step: (life: VolumesLife) => void | Promise<void>,
][] = [
  [30, (life) => changeBlocks(life, "write")],
  [6, (life) => changeBlocks(life, "fua")],
  [8, (life) => changeBlocks(life, "discard")],
  [7, (life) => changeBlocks(life, "zero")],
  [3, (life) => changeBlocks(life, "allocate")],
  [8, readBlocks],
  [8, (life) => life.flush()],
  [14, take],
  [8, removeSnapshot],
  [6, rollBack],
  [7, clone],
  [5, flatten],
  [2, create],
  [4, removeVolume],
  [1, rename],
  [2, grow],
  [3, add],
  [3, evacuate],
  [2, cancel],
  [3, (life) => life.rest()],
  [4, (life) => void life.readAll()],
  [2, (life) => life.reopen()],
  [5, planCut],
  [3, (life) => life.cut()],
  [3, zeroBeside],
  [3, removeBeside],
  [3, moveBeside],
  [3, crowd],
];
const WEIGHTS = STEPS.reduce((sum, [weight]) => sum + weight, 0);

/**
 * Runs lives.
 *
 * @param seeds The seed of each.
 * @param steps How many steps each one has.
 * @param onProgress Called before each life.
 * @throws {Error} If a promise was broken; it names the seed and the steps.
 */
export async function runLives(
  seeds: Iterable<number>,
  steps: number,
  onProgress: (seed: number) => void = () => {},
): Promise<void> {
  await inWorlds(async (directory) => {
    using watch = watchForFaults();
    for (const seed of seeds) {
      onProgress(seed);
      const life = new VolumesLife(directory, seed);
      try {
        await runLife(life, steps, () => {
          const [fault] = watch.take();
          if (fault !== undefined && !life.disk.isDown) throw new Error(fault);
        });
      } catch (error) {
        const text = error instanceof Error ? error.stack : String(error);
        throw new Error(
          `Life ${seed}: ${text}\nIts steps:\n${life.log.join("\n")}`,
        );
      }
    }
  });
}

async function runLife(
  life: VolumesLife,
  steps: number,
  checkFaults: () => void,
): Promise<void> {
  const { random, disk } = life;
  const time = simulatedTime();
  time.lookMs = random.pick([0, 0, 1, 3]);
  life.onFull = random.pick(["delay", "delay", "error"]);
  await life.open(false);
  if (random.chance(25)) await firstSnapshot(life);
  for (let i = 0; i < steps; i++) {
    await oneStep(life);
    if (disk.isDown) await life.cut();
    life.assertSound();
    checkFaults();
  }
  time.lookMs = 0;
  await life.changed();
  if (disk.isDown) await life.cut();
  await life.rest();
  if (disk.isDown) await life.cut();
  await life.reopen();
  await life.rest();
  await life.pool.close();
  life.assertSound();
  checkFaults();
}

async function oneStep(life: VolumesLife): Promise<void> {
  const { random } = life;
  let at = random.below(WEIGHTS);
  const found = STEPS.find(([weight]) => (at -= weight) < 0);
  await found?.[1](life);
  if (life.disk.isDown || random.chance(30)) return;
  if (random.chance(40)) return await life.drain();
  if (random.chance(40)) {
    for (let steps = random.below(40); steps > 0; steps--) {
      await Promise.resolve();
    }
    return;
  }
  for (let turns = random.below(6); turns > 0; turns--) await turn();
}

/** A cut in the middle of what comes next. */
function planCut({ disk, random }: VolumesLife): void {
  disk.crashAt(disk.changes + random.below(30));
}

async function gaps({ random }: VolumesLife): Promise<void> {
  if (random.chance(30)) await turn();
  for (let i = random.below(30); i > 0; i--) await Promise.resolve();
}

/** Writes to the first chunks, a part of each or all. */
function writeFirst(life: VolumesLife, volume: ModelVolume, chunks = 4): void {
  const all = Math.min(chunks, volume.disk.blocks / CHUNK_BLOCKS);
  for (let chunk = 0; chunk < all; chunk++) {
    const within = life.random.below(CHUNK_BLOCKS);
    const first = chunk * CHUNK_BLOCKS + within;
    life.change(volume, { first, count: 1 }, "write");
  }
}

/** Writes while the very first snapshot is taken, and a cut. */
async function firstSnapshot(life: VolumesLife): Promise<void> {
  const [volume] = life.volumes;
  if (volume === undefined) return;
  writeFirst(life, volume);
  await life.drain();
  await takeOf(life, [volume]);
  await gaps(life);
  writeFirst(life, volume);
  planCut(life);
  await gaps(life);
  writeFirst(life, volume);
  await life.changed();
  await life.cut();
}

/** Zeroes a volume without snapshots in many turns while one is taken. */
async function zeroBeside(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const flat = life.volumes.filter(({ parent, snapshots }) =>
    parent === undefined && snapshots.length === 0
  );
  if (flat.length === 0) return create(life);
  const volume = life.random.pick(flat);
  writeFirst(life, volume, CHUNKS_MAX);
  await life.drain();
  if (life.disk.isDown) return;
  const time = simulatedTime();
  const { lookMs } = time;
  time.lookMs = 3;
  const how = life.random.pick(["zero", "discard", "allocate"] as const);
  life.change(volume, { first: 1, count: volume.disk.blocks - 2 }, how);
  await takeOf(life, [volume]);
  await life.changed();
  await life.drain();
  time.lookMs = lookMs;
}

/** Removes a snapshot as soon as something was written, and cuts. */
async function removeBeside(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const volume = life.random.pick(life.volumes);
  writeFirst(life, volume);
  if (volume.snapshots.length < SNAPSHOTS_MAX) await takeOf(life, [volume]);
  await life.changed();
  await life.drain();
  if (life.disk.isDown) return;
  writeFirst(life, volume);
  await life.drain();
  if (life.disk.isDown) return;
  const { disk, random } = life;
  disk.crashAt(disk.changes + random.below(12));
  const newest = now(life, volume).snapshots.at(-1);
  if (newest === undefined) return;
  await removeSnapshotOf(life, now(life, volume), newest);
  await life.changed();
  await life.cut();
}

/** Evacuates a component while chunks on it are copied. */
async function moveBeside(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const volume = life.random.pick(life.volumes);
  await evacuate(life);
  if (volume.snapshots.length < SNAPSHOTS_MAX) await takeOf(life, [volume]);
  for (let i = life.random.below(4); i >= 0; i--) await gaps(life);
  writeFirst(life, volume, CHUNKS_MAX);
}

/** Writes and zeroes meet in chunks that there may be no room for. */
async function crowd(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const volume = life.random.pick(life.volumes);
  if (volume.snapshots.length < SNAPSHOTS_MAX) await takeOf(life, [volume]);
  await life.changed();
  if (life.disk.isDown) return;
  for (let i = 0; i < 6; i++) {
    const chunk = life.random.below(3) * CHUNK_BLOCKS;
    const count = Math.min(CHUNK_BLOCKS, volume.disk.blocks - chunk);
    if (count <= 0) continue;
    const part = { first: chunk + life.random.below(count), count: 1 };
    if (life.random.chance(50)) life.change(volume, part, "write");
    else life.change(volume, { first: chunk, count }, "zero");
  }
  await gaps(life);
  if (life.random.chance(50)) await add(life);
}

function pickRange(
  { random }: VolumesLife,
  { disk }: ModelVolume,
): { first: number; count: number } {
  const { blocks } = disk;
  // The first chunks meet each other most.
  const chunks = random.chance(60) ? 4 : blocks / CHUNK_BLOCKS;
  const chunk = random.below(Math.min(chunks, blocks / CHUNK_BLOCKS));
  const first = chunk * CHUNK_BLOCKS;
  const whole = [1, 1, 2, 3, 6, CHUNKS_MAX];
  const [from, count] = random.chance(50)
    ? [first, random.pick(whole) * CHUNK_BLOCKS]
    : [first + random.below(CHUNK_BLOCKS), 1 + random.below(12)];
  return { first: from, count: Math.min(count, blocks - from) };
}

function changeBlocks(
  life: VolumesLife,
  how: Parameters<VolumesLife["change"]>[2],
): void {
  const volume = life.random.pick(life.volumes);
  const range = pickRange(life, volume);
  const most = how === "write" || how === "fua" ? 3 * CHUNK_BLOCKS : Infinity;
  life.change(volume, { ...range, count: Math.min(range.count, most) }, how);
}

function readBlocks(life: VolumesLife): void {
  const volume = life.random.pick(life.volumes);
  life.read(volume, pickRange(life, volume));
}

function now(life: VolumesLife, { id }: ModelVolume): ModelVolume {
  const found = life.volumes.find((one) => one.id === id);
  if (found === undefined) throw new Error("The volume is gone");
  return found;
}

/** A new name among others. */
function newName(
  { random }: VolumesLife,
  letter: string,
  taken: readonly { readonly name: string }[],
): string {
  for (;;) {
    const name = `${letter}${random.below(100)}`;
    if (taken.every((one) => one.name !== name)) return name;
  }
}

/** Begins a change that must be refused. */
function beginRefused(
  life: VolumesLife,
  what: string,
  code: ErrorCode,
  act: () => Promise<unknown>,
): void {
  life.log.push(`${what}, refused`);
  life.begin(async () => {
    try {
      await act();
    } catch (error) {
      if (error instanceof VirstorError && error.code === code) return;
      throw error;
    }
    throw new Error(`Not refused: ${what}`);
  });
}

function pickSnapshot(
  { volumes, random }: VolumesLife,
): { volume: ModelVolume; snapshot: ModelSnapshot } | undefined {
  const all = volumes.flatMap((volume) =>
    volume.snapshots.map((snapshot) => ({ volume, snapshot }))
  );
  return all.length === 0 ? undefined : random.pick(all);
}

async function take(life: VolumesLife): Promise<void> {
  const { random } = life;
  const one = random.pick(life.volumes);
  await takeOf(life, random.chance(30) ? life.volumes : [one]);
}

async function takeOf(life: VolumesLife, some: ModelVolumes): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const { pool } = life;
  const group = life.volumes.filter((volume) =>
    some.some(({ id }) => id === volume.id) &&
    volume.snapshots.length < SNAPSHOTS_MAX
  ).map((volume) => ({
    volume,
    name: newName(life, "s", volume.snapshots),
    read: volume.disk.beginRead(0, volume.disk.blocks),
    flush: volume.disk.beginFlush(),
  }));
  if (group.length === 0) return;
  const wanted = group.map(({ volume, name }) => ({
    volume: volume.name,
    snapshot: name,
  }));
  life.log.push(
    `take ${wanted.map((w) => `${w.volume}@${w.snapshot}`).join(" ")}`,
  );
  let isDone = false;
  life.begin(async () => {
    await pool.snapshotChanges.take(wanted);
    isDone = true;
  }, () =>
    group.reduce((volumes: ModelVolumes, { volume, name, read }) => {
      const before = now(life, volume);
      if (isDone) {
        before.disk.endRead(read);
      }
      const snapshot = { name, contents: read.contents };
      const snapshots = [...before.snapshots, snapshot];
      return withVolume(volumes, { ...before, snapshots });
    }, life.volumes), () => {
    const contents = group.map(({ volume, name, flush }) => {
      const { disk } = volume;
      disk.endFlush(flush, true);
      const snapshot = now(life, volume).snapshots.find((s) => s.name === name);
      if (snapshot === undefined) throw new Error("The snapshot is gone");
      return { disk, contents: life.readSnapshot(volume, snapshot) };
    });
    life.checkInstant(contents);
  });
}

async function removeSnapshot(life: VolumesLife): Promise<void> {
  await life.changed();
  const picked = life.disk.isDown ? undefined : pickSnapshot(life);
  if (picked !== undefined) {
    await removeSnapshotOf(life, picked.volume, picked.snapshot);
  }
}

async function removeSnapshotOf(
  life: VolumesLife,
  volume: ModelVolume,
  { name }: ModelSnapshot,
): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const what = `remove ${volume.name}@${name}`;
  const act = () => life.pool.snapshotChanges.remove(volume.name, name);
  const clones = clonesOf(life.volumes, volume, name);
  if (clones.some(({ mayBeFlat }) => mayBeFlat)) return;
  if (clones.length > 0) return beginRefused(life, what, "exists", act);
  life.log.push(what);
  life.begin(act, () => {
    const before = now(life, volume);
    const snapshots = before.snapshots.filter((one) => one.name !== name);
    return withVolume(life.volumes, { ...before, snapshots });
  });
}

async function rollBack(life: VolumesLife): Promise<void> {
  await life.changed();
  const picked = life.disk.isDown ? undefined : pickSnapshot(life);
  if (picked === undefined) return;
  const { random, pool } = life;
  const { volume, snapshot } = picked;
  const { name } = snapshot;
  const at = volume.snapshots.indexOf(snapshot);
  const newer = volume.snapshots.slice(at + 1);
  const removesNewer = random.chance(70);
  const what = `roll back to ${volume.name}@${name}` +
    (removesNewer ? " -r" : "");
  const act = () =>
    pool.snapshotChanges.rollback(volume.name, name, { removesNewer });
  const clones = newer.flatMap((one) =>
    clonesOf(life.volumes, volume, one.name)
  );
  if (clones.some(({ mayBeFlat }) => mayBeFlat)) return;
  if (clones.length > 0 || (newer.length > 0 && !removesNewer)) {
    return beginRefused(life, what, "exists", act);
  }
  life.log.push(what);
  const disk = diskOf(knownContents(snapshot));
  const old = pool.volume(volume.name);
  life.begin(act, () => {
    const before = now(life, volume);
    const snapshots = before.snapshots.slice(0, at + 1);
    return withVolume(life.volumes, { ...before, snapshots, disk });
  });
  life.rolling = { old, id: volume.id, disk };
}

async function clone(life: VolumesLife): Promise<void> {
  await life.changed();
  const picked = life.disk.isDown ? undefined : pickSnapshot(life);
  if (picked === undefined || life.volumes.length >= VOLUMES_MAX) return;
  const { volume, snapshot } = picked;
  const name = newName(life, "v", life.volumes);
  life.log.push(`clone ${volume.name}@${snapshot.name} as ${name}`);
  const made = modelVolume(name, diskOf(knownContents(snapshot)), {
    volume: volume.id,
    snapshot: snapshot.name,
  });
  const { volumeChanges } = life.pool;
  life.begin(
    () => volumeChanges.clone(volume.name, snapshot.name, name),
    () => [...life.volumes, made],
  );
}

/** Flattens, beside all other changes. */
async function flatten(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const { random, pool } = life;
  const volume = random.pick(life.volumes);
  if (volume.mayBeFlat) return;
  const act = () => pool.volumeChanges.flatten(volume.name);
  const what = `flatten ${volume.name}`;
  if (volume.parent === undefined) {
    return beginRefused(life, what, "invalid", act);
  }
  if (volume.snapshots.length > 0) {
    return beginRefused(life, what, "exists", act);
  }
  life.log.push(what);
  life.volumes = withVolume(life.volumes, { ...volume, mayBeFlat: true });
  let isFlat = false;
  life.start(async () => {
    try {
      await act();
      isFlat = true;
    } catch (error) {
      // It may be removed, or have a snapshot by now; or the pool is full.
      const codes = ["no-space", "exists", "not-found", "shutdown"];
      const isRefused = error instanceof VirstorError &&
        codes.includes(error.code);
      if (!isRefused) throw error;
    }
  }, (isDone) => {
    if (!isDone) return;
    const before = life.volumes.find(({ id }) => id === volume.id);
    if (before === undefined) return;
    const parent = isFlat ? undefined : before.parent;
    const after = { ...before, parent, mayBeFlat: false };
    life.volumes = withVolume(life.volumes, after);
  });
}

async function create(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown || life.volumes.length >= VOLUMES_MAX) return;
  const name = newName(life, "v", life.volumes);
  const chunks = 1 + life.random.below(10);
  life.log.push(`create ${name} of ${chunks} chunks`);
  const made = modelVolume(name, new ModelPool(chunks * CHUNK_BLOCKS));
  life.begin(
    () => life.pool.volumeChanges.create(name, chunks * CHUNK),
    () => [...life.volumes, made],
  );
}

async function removeVolume(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const volume = life.random.pick(life.volumes);
  if (volume.name === POOL) return;
  const what = `remove ${volume.name}`;
  const act = () => life.pool.volumeChanges.remove(volume.name);
  if (volume.snapshots.length > 0) {
    return beginRefused(life, what, "exists", act);
  }
  life.log.push(what);
  life.begin(act, () => life.volumes.filter(({ id }) => id !== volume.id));
  // Nothing is begun on it that the model would miss.
  await life.changed();
}

async function rename(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const volume = life.random.pick(life.volumes);
  if (volume.name === POOL) return;
  const name = newName(life, "v", life.volumes);
  life.log.push(`rename ${volume.name} to ${name}`);
  life.begin(
    () => life.pool.volumeChanges.rename(volume.name, name),
    () => withVolume(life.volumes, { ...now(life, volume), name }),
  );
  await life.changed();
}

async function grow(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const volume = life.random.pick(life.volumes);
  const { disk, name } = volume;
  const chunks = disk.blocks / CHUNK_BLOCKS + 1 + life.random.below(3);
  if (chunks > CHUNKS_MAX) return;
  life.log.push(`grow ${name} to ${chunks} chunks`);
  const resize = disk.beginResize(chunks * CHUNK_BLOCKS);
  life.begin(async () => {
    await life.pool.resize(chunks * CHUNK, { volume: name });
    disk.endResize(resize, "done");
  });
  await life.changed();
}

async function add(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const { pool, disk } = life;
  const members = pool.status().components.map(({ path }) => path);
  const path = life.paths.find((one) => !members.includes(one));
  if (path === undefined) return;
  life.log.push(`add ${path.slice(-1)}`);
  life.begin(() => pool.add([path], { force: true, openDevice: disk.open }));
}

async function evacuate(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const { pool } = life;
  const path = life.random.pick(pool.status().components).path;
  life.log.push(`evacuate ${path.slice(-1)}`);
  beginTolerant(life, () => pool.remove([path]));
}

async function cancel(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const { pool } = life;
  const leaving = pool.status().components.find((one) => one.evacuating);
  if (leaving === undefined) return;
  life.log.push(`keep ${leaving.path.slice(-1)}`);
  beginTolerant(life, () => pool.cancelRemove([leaving.path]));
}

/** Begins a change of components that may be refused. */
function beginTolerant(life: VolumesLife, act: () => Promise<unknown>): void {
  life.begin(async () => {
    try {
      await act();
    } catch (error) {
      const codes = ["no-space", "invalid"];
      const isRefused = error instanceof VirstorError &&
        codes.includes(error.code);
      if (!isRefused) throw error;
    }
  });
}
