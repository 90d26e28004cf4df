/**
 * Changes of the volumes and snapshots of a pool in a simulated world, noted in
 * its model. Any number of them may be in flight.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
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
import { BLOCK, ModelPool, type ModelRead } from "./model_pool.ts";
import type { Random } from "./random.ts";
import type { ChangeEffect, VolumesChange } from "./views_model.ts";
import type { World } from "./world.ts";
import { isKnown, readSnapshot } from "./world_volumes.ts";

/** The most volumes, and the most snapshots of each. */
const VOLUMES_MAX = 6;
const SNAPSHOTS_MAX = 4;
/** No volume has as many blocks. */
const BLOCKS_MAX = 256;
/** Chunks of a new volume. */
const CREATED_CHUNKS = 4;

const REFUSED: ChangeEffect = { after: [], mayRefuse: true };

function certain(...after: readonly ModelVolumes[]): ChangeEffect {
  return { after, mayRefuse: false };
}

/**
 * Makes a change, and notes what becomes of it.
 *
 * @param act Makes it; may call what it is given once it is done, and go on.
 */
async function change(
  world: World,
  act: (onDone: () => void) => Promise<unknown>,
  begun: VolumesChange,
  isSo?: (volumes: ModelVolumes) => boolean,
): Promise<boolean> {
  const { views } = world;
  let isDone: boolean | undefined;
  const done = () => isDone ??= views.done(begun, isSo);
  views.begin(begun);
  try {
    await act(done);
  } catch (error) {
    // What has failed may have been done, or may be by the next open.
    if (!(error instanceof VirstorError)) throw error;
    // The pool was closed before all was freed; the next open frees the rest.
    if (isDone !== undefined && error.code === "shutdown") return isDone;
    if (world.refusals.includes(error.code)) views.dropped(begun);
    else if (["exists", "not-found", "invalid"].includes(error.code)) {
      views.refused(begun, error);
    } else throw error;
    return false;
  }
  return done();
}

/** A volume of which a snapshot is being taken. */
interface Taking {
  readonly volume: ModelVolume;
  readonly name: string;
  /** What each disk that it may have may have held meanwhile. */
  readonly reads: ReadonlyMap<ModelPool, ModelRead>;
}

function beginTaking(world: World, volume: ModelVolume): Taking {
  const disks = world.views.disksOf(volume);
  const reads = disks.map((disk) =>
    [disk, disk.beginRead(0, BLOCKS_MAX)] as const
  );
  return { volume, name: world.newName("s"), reads: new Map(reads) };
}

/** What the volumes are with a snapshot more; its size may be one of several. */
function withTaken(before: ModelVolumes, taking: Taking): ModelVolumes[] {
  const { volume, name, reads } = taking;
  const one = before.find(({ id }) => id === volume.id);
  if (one === undefined) return [];
  const held = reads.get(one.disk)?.contents ?? [];
  return [...one.disk.sizes].map((blocks) => {
    // Blocks that a larger disk has got read as zeroes.
    const contents = held.slice(0, blocks).map((allowed) =>
      new Set(allowed.size === 0 ? [0] : allowed)
    );
    const snapshots = [...one.snapshots, { name, contents }];
    return withVolume(before, { ...one, snapshots });
  });
}

/**
 * Takes snapshots, of one volume or of several at one instant.
 *
 * @param world The world.
 * @param random Decides of which.
 */
export async function takeSnapshots(
  world: World,
  random: Random,
): Promise<void> {
  const some = world.views.volumes.filter(({ snapshots }) =>
    snapshots.length < SNAPSHOTS_MAX
  );
  if (some.length === 0) return;
  const chosen = random.chance(30) ? some : [random.pick(some)];
  await takeSnapshotsOf(world, chosen);
}

/**
 * Takes snapshots at one instant.
 *
 * @param world The world.
 * @param volumes Of which volumes.
 */
export async function takeSnapshotsOf(
  world: World,
  volumes: ModelVolumes,
): Promise<void> {
  const { pool, views } = world;
  const group = volumes.map((volume) => beginTaking(world, volume));
  const flushes = views.disks
    .map((disk) => ({ disk, flush: disk.beginFlush() }));
  const wanted = group.map(({ volume, name }) => ({
    volume: volume.name,
    snapshot: name,
  }));
  const isDone = await change(
    world,
    () => pool.snapshotChanges.take(wanted),
    {
      what: `take ${wanted.map((w) => `${w.volume}@${w.snapshot}`).join(" ")}`,
      effect: (before) =>
        certain(...group.reduce<ModelVolumes[]>(
          (all, taking) => all.flatMap((one) => withTaken(one, taking)),
          [before],
        )),
    },
    (volumes) => group.every((taking) => isAsLarge(world, taking, volumes)),
  );
  for (const { reads } of group) {
    for (const [disk, read] of reads) disk.endRead(read);
  }
  for (const { disk, flush } of flushes) disk.endFlush(flush, isDone);
  if (isDone) group.forEach((taking) => look(world, taking));
}

function snapshotOf(
  volumes: ModelVolumes,
  { volume: { id }, name }: Taking,
): ModelSnapshot | undefined {
  return volumes.find((one) => one.id === id)?.snapshots
    .find((one) => one.name === name);
}

/** Whether a snapshot has the size that the model says. */
function isAsLarge(
  { pool }: World,
  taking: Taking,
  volumes: ModelVolumes,
): boolean {
  const { snapshots = [] } = pool.status().volumes
    .find(({ name }) => name === taking.volume.name) ?? {};
  const one = snapshots.find(({ name }) => name === taking.name);
  // The next change may have removed it, or closed its volume.
  const blocks = snapshotOf(volumes, taking)?.contents.length ?? 0;
  return one === undefined || one.size === blocks * BLOCK;
}

/** Reads what was taken, unless it is gone already. */
function look(world: World, taking: Taking): void {
  const one = snapshotOf(world.views.volumes, taking);
  if (one === undefined) return;
  try {
    readSnapshot(world, taking.volume, one);
  } catch (error) {
    const isGone = error instanceof VirstorError &&
      ["not-found", "shutdown"].includes(error.code);
    if (!isGone && !world.disk.isFaulty) throw error;
  }
}

/** A snapshot, and the volume that it is of. */
interface Picked {
  readonly volume: ModelVolume;
  readonly snapshot: ModelSnapshot;
}

/**
 * Picks a snapshot of which it is known what it holds.
 *
 * @param world The world.
 * @param random Decides which.
 * @returns The snapshot; undefined if there is none.
 */
export function pickSnapshot(
  { views }: World,
  random: Random,
): Picked | undefined {
  const all = views.volumes.flatMap((volume) =>
    volume.snapshots.filter(isKnown).map((snapshot) => ({ volume, snapshot }))
  );
  return all.length === 0 ? undefined : random.pick(all);
}

/** The volume as it is when the turn of a change comes, with the snapshot. */
function found(
  before: ModelVolumes,
  { volume, snapshot }: Picked,
): ModelVolume | undefined {
  return before.find(({ id, snapshots }) =>
    id === volume.id && snapshots.some(({ name }) => name === snapshot.name)
  );
}

/**
 * Removes a snapshot.
 *
 * @param world The world.
 * @param random Decides which.
 */
export async function removeSnapshot(
  world: World,
  random: Random,
): Promise<void> {
  const picked = pickSnapshot(world, random);
  if (picked === undefined) return;
  const { volume, snapshot: { name } } = picked;
  await change(
    world,
    (onDone) =>
      world.pool.snapshotChanges.removeSome(
        [{ volume: volume.name, snapshot: name }],
        onDone,
      ),
    {
      what: `remove ${volume.name}@${name}`,
      effect: (before) => {
        const one = found(before, picked);
        if (one === undefined) return REFUSED;
        const clones = clonesOf(before, one, name);
        if (clones.some(({ mayBeFlat }) => !mayBeFlat)) return REFUSED;
        const snapshots = one.snapshots.filter((each) => each.name !== name);
        const after = [withVolume(before, { ...one, snapshots })];
        return { after, mayRefuse: clones.length > 0 };
      },
    },
  );
}

/**
 * Rolls a volume back.
 *
 * @param world The world.
 * @param random Decides which, and how far.
 */
export async function rollBack(world: World, random: Random): Promise<void> {
  const picked = pickSnapshot(world, random);
  if (picked === undefined) return;
  const { pool, views } = world;
  const { volume, snapshot } = picked;
  const { name } = snapshot;
  const removesNewer = random.chance(75);
  const disk = diskOf(knownContents(snapshot));
  // From here on a device that is seen first is one that was opened anew.
  const device = pool.volumes.find((one) => one.name === volume.name);
  views.diskOf(volume, device);
  await change(
    world,
    () => pool.snapshotChanges.rollback(volume.name, name, { removesNewer }),
    {
      what: `roll back to ${volume.name}@${name}${removesNewer ? " -r" : ""}`,
      rolled: { id: volume.id, disk },
      effect: (before) => {
        const one = found(before, picked);
        if (one === undefined) return REFUSED;
        const at = one.snapshots.findIndex((each) => each.name === name);
        const newer = one.snapshots.slice(at + 1);
        if (newer.length > 0 && !removesNewer) return REFUSED;
        const clones = newer.flatMap((each) =>
          clonesOf(before, one, each.name)
        );
        if (clones.some(({ mayBeFlat }) => !mayBeFlat)) return REFUSED;
        const snapshots = one.snapshots.slice(0, at + 1);
        const after = [withVolume(before, { ...one, snapshots, disk })];
        return { after, mayRefuse: clones.length > 0 };
      },
    },
  );
}

/**
 * Clones a snapshot.
 *
 * @param world The world.
 * @param random Decides which.
 */
export async function cloneSnapshot(
  world: World,
  random: Random,
): Promise<void> {
  const picked = pickSnapshot(world, random);
  const { pool, views } = world;
  if (picked === undefined || views.volumes.length >= VOLUMES_MAX) return;
  const { volume, snapshot } = picked;
  const name = world.newName("c");
  const parent = { volume: volume.id, snapshot: snapshot.name };
  const made = modelVolume(name, diskOf(knownContents(snapshot)), parent);
  await change(
    world,
    () => pool.volumeChanges.clone(volume.name, snapshot.name, name),
    {
      what: `clone ${volume.name}@${snapshot.name} as ${name}`,
      effect: (before) =>
        found(before, picked) === undefined
          ? REFUSED
          : certain([...before, made]),
    },
  );
}

/**
 * Creates a volume.
 *
 * @param world The world.
 */
export async function createVolume(world: World): Promise<void> {
  const { pool, views, format: { chunkSize } } = world;
  if (views.volumes.length >= VOLUMES_MAX) return;
  const name = world.newName("v");
  const size = CREATED_CHUNKS * chunkSize;
  const made = modelVolume(name, new ModelPool(size / BLOCK));
  await change(world, () => pool.volumeChanges.create(name, size), {
    what: `create ${name}`,
    effect: (before) => certain([...before, made]),
  });
}

/**
 * Removes a volume, not the first one.
 *
 * @param world The world.
 * @param random Decides which.
 */
export async function removeVolume(
  world: World,
  random: Random,
): Promise<void> {
  const { pool, views: { volumes: [, ...more] } } = world;
  if (more.length === 0) return;
  const { id, name } = random.pick(more);
  await change(world, (onDone) => pool.volumeChanges.remove(name, onDone), {
    what: `remove ${name}`,
    effect: (before) => {
      const one = before.find((volume) => volume.id === id);
      if (one === undefined || one.snapshots.length > 0) return REFUSED;
      return certain(before.filter((volume) => volume !== one));
    },
  });
}

/**
 * Flattens a clone. The others go on meanwhile.
 *
 * @param world The world.
 * @param random Decides which.
 */
export async function flatten(world: World, random: Random): Promise<void> {
  const { pool, views, disk } = world;
  const clones = views.volumes.filter(({ parent, mayBeFlat }) =>
    parent !== undefined && !mayBeFlat
  );
  if (clones.length === 0) return;
  const { id, name } = random.pick(clones);
  const { epoch } = disk;
  views.note(id, { mayBeFlat: true });
  try {
    await pool.volumeChanges.flatten(name);
  } catch (error) {
    // Meanwhile it may be removed, rolled back, or have a snapshot.
    const codes = ["no-space", "exists", "not-found", "shutdown"];
    const isRefused = error instanceof VirstorError &&
      codes.includes(error.code);
    if (!isRefused) throw error;
    if (disk.epoch === epoch) views.note(id, { mayBeFlat: false });
    return;
  }
  if (disk.epoch !== epoch) return;
  views.note(id, { mayBeFlat: false, parent: undefined });
}
