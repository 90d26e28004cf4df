/**
 * Changes of volumes, snapshots and components in the life of a pool, noted in
 * its model. One is under way at a time.
 *
 * @module
 */

import { type ErrorCode, VirstorError } from "../../errors.ts";
import {
  clonesOf,
  diskOf,
  isOneInstant,
  knownContents,
  type ModelSnapshot,
  type ModelVolume,
  modelVolume,
  type ModelVolumes,
  withVolume,
} from "../helpers/volumes_model.ts";
import { ModelPool } from "./model_pool.ts";
import { CHUNK, CHUNK_BLOCKS, POOL } from "./volumes_files.ts";
import type { VolumesLife } from "./volumes_life.ts";

const VOLUMES_MAX = 5;
/** The most snapshots of a volume. */
export const SNAPSHOTS_MAX = 4;
/** The most chunks of a volume. */
export const CHUNKS_MAX = 20;

/**
 * The volume as it is now.
 *
 * @param life The life.
 * @param volume The volume as it was.
 * @returns The volume.
 */
export function now(life: VolumesLife, volume: ModelVolume): ModelVolume {
  const found = life.volumes.find((one) => one.id === volume.id);
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

/**
 * Begins to take snapshots.
 *
 * @param life The life.
 * @param some The volumes.
 */
export async function takeOf(
  life: VolumesLife,
  some: ModelVolumes,
): Promise<void> {
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
    if (isOneInstant(life.writes, contents)) return;
    throw new Error("The snapshots are of different instants");
  });
}

/**
 * Begins to remove a snapshot.
 *
 * @param life The life.
 */
export async function removeSnapshot(life: VolumesLife): Promise<void> {
  await life.changed();
  const picked = life.disk.isDown ? undefined : pickSnapshot(life);
  if (picked !== undefined) {
    await removeSnapshotOf(life, picked.volume, picked.snapshot);
  }
}

/**
 * Begins to remove a snapshot.
 *
 * @param life The life.
 * @param volume The volume.
 * @param snapshot The snapshot.
 */
export async function removeSnapshotOf(
  life: VolumesLife,
  volume: ModelVolume,
  snapshot: ModelSnapshot,
): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const { name } = snapshot;
  const what = `remove ${volume.name}@${name}`;
  const { snapshotChanges } = life.pool;
  const act = () =>
    removed((onRemoved) =>
      snapshotChanges.removeSome(
        [{ volume: volume.name, snapshot: name }],
        onRemoved,
      )
    );
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

/** Removes something. Its chunks are freed beside what follows. */
function removed(
  remove: (onRemoved: () => void) => Promise<unknown>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    remove(resolve).catch(reject);
  });
}

/**
 * Begins to roll a volume back.
 *
 * @param life The life.
 */
export async function rollBack(life: VolumesLife): Promise<void> {
  await life.changed();
  const picked = life.disk.isDown ? undefined : pickSnapshot(life);
  if (picked !== undefined) {
    await rollBackTo(life, picked.volume, picked.snapshot);
  }
}

/**
 * Begins to roll a volume back.
 *
 * @param life The life.
 * @param volume The volume.
 * @param snapshot The snapshot.
 */
export async function rollBackTo(
  life: VolumesLife,
  volume: ModelVolume,
  snapshot: ModelSnapshot,
): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const { random, pool } = life;
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

/**
 * Begins to clone a snapshot.
 *
 * @param life The life.
 */
export async function clone(life: VolumesLife): Promise<void> {
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

/**
 * Flattens a volume, beside all other changes.
 *
 * @param life The life.
 */
export async function flatten(life: VolumesLife): Promise<void> {
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

/**
 * Begins to create a volume.
 *
 * @param life The life.
 */
export async function create(life: VolumesLife): Promise<void> {
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

/**
 * Removes a volume.
 *
 * @param life The life.
 */
export async function removeVolume(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const volume = life.random.pick(life.volumes);
  if (volume.name === POOL) return;
  const what = `remove ${volume.name}`;
  const { volumeChanges } = life.pool;
  const act = () =>
    removed((onRemoved) => volumeChanges.remove(volume.name, onRemoved));
  if (volume.snapshots.length > 0) {
    return beginRefused(life, what, "exists", act);
  }
  life.log.push(what);
  life.begin(act, () => life.volumes.filter(({ id }) => id !== volume.id));
  // Nothing is begun on it that the model would miss.
  await life.changed();
}

/**
 * Renames a volume.
 *
 * @param life The life.
 */
export async function rename(life: VolumesLife): Promise<void> {
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

/**
 * Makes a volume larger.
 *
 * @param life The life.
 */
export async function grow(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  await growBy(life, life.random.pick(life.volumes), 1 + life.random.below(3));
}

/**
 * Makes a volume larger.
 *
 * @param life The life.
 * @param volume The volume.
 * @param more How many chunks it gets.
 */
export async function growBy(
  life: VolumesLife,
  volume: ModelVolume,
  more: number,
): Promise<void> {
  const { disk, name } = volume;
  const chunks = disk.blocks / CHUNK_BLOCKS + more;
  if (chunks > CHUNKS_MAX) return;
  life.log.push(`grow ${name} to ${chunks} chunks`);
  const resize = disk.beginResize(chunks * CHUNK_BLOCKS);
  life.begin(async () => {
    await life.pool.resize(chunks * CHUNK, { volume: name });
    disk.endResize(resize, "done");
  });
  await life.changed();
}

/**
 * Begins to add a component.
 *
 * @param life The life.
 */
export async function add(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const { pool, disk } = life;
  const members = pool.status().components.map(({ path }) => path);
  const path = life.paths.find((one) => !members.includes(one));
  if (path === undefined) return;
  life.log.push(`add ${path.slice(-1)}`);
  const act = () => pool.add([path], { force: true, openDevice: disk.open });
  // A new component of this size has no room for a long superblock.
  if (life.isLong) beginTolerant(life, act);
  else life.begin(act);
}

/**
 * Begins to remove a component.
 *
 * @param life The life.
 */
export async function evacuate(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const { pool } = life;
  const path = life.random.pick(pool.status().components).path;
  life.log.push(`evacuate ${path.slice(-1)}`);
  beginTolerant(life, () => pool.remove([path]));
}

/**
 * Begins to keep a component that is being removed.
 *
 * @param life The life.
 */
export async function cancel(life: VolumesLife): Promise<void> {
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
