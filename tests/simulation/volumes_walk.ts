/**
 * A slow walk over all that the volumes and snapshots of a pool see: each chunk
 * in use is seen, and the pool counts them rightly.
 *
 * @module
 */

import type { Pool } from "../../pool/mod.ts";
import type { VolumeStatus } from "../../pool/change/volume_status.ts";
import {
  type ChunkView,
  type Component,
  SnapshotView,
} from "../../pool/core/mod.ts";
import type { VolumeParts } from "../../pool/io/mod.ts";

/** What each view sees: for each chunk the views of its own volume. */
interface Seen {
  readonly volume: number;
  /** The current view, and the epochs of snapshots. */
  readonly views: Set<number | "now">;
}

/**
 * Walks over a pool that is at rest.
 *
 * @param pool The pool.
 * @throws {Error} If a chunk in use is seen by nothing, or two hold the same,
 *   or a count is wrong.
 */
export async function checkWalk(pool: Pool): Promise<void> {
  const { volumes } = pool.volume().parts.base;
  const { chunkSize } = pool.settings;
  const places = new Map<Component, Map<number, Seen>>();
  for (const volume of volumes) walkVolume(volume, chunkSize, places);
  for (const component of pool.volume().parts.base.format.members) {
    const { used, free, freeing, geometry, device, unrecorded } = component;
    const seen = places.get(component)?.size ?? 0;
    if (used + free + freeing !== geometry.chunkCount || freeing !== 0) {
      throw new Error(
        `${device.path} has ${geometry.chunkCount} chunks, ${used} used, ` +
          `${free} free, ${freeing} being freed`,
      );
    }
    if (seen !== used || unrecorded !== 0) {
      throw new Error(
        `${device.path} has ${used} chunks in use (${unrecorded} without an ` +
          `entry), and ${seen} are seen`,
      );
    }
  }
  const described = await pool.describeVolumes();
  for (const volume of volumes) {
    const one = described.find(({ number }) => number === volume.map.volume);
    if (one === undefined) throw new Error("A volume is not described");
    checkCounts(volume, chunkSize, places, one);
    await checkPlans(pool, volume, places);
  }
}

/** What the removal of several snapshots is said to free is what they see. */
async function checkPlans(
  pool: Pool,
  { map, record: { name, snapshots } }: VolumeParts,
  places: Map<Component, Map<number, Seen>>,
): Promise<void> {
  const all = [...places.values()].flatMap((one) => [...one.values()])
    .filter(({ volume }) => volume === map.volume);
  for (const step of [1, 2]) {
    const chosen = snapshots.filter((_, index) => index % step === 0);
    if (chosen.length === 0) return;
    const epochs = new Set<number | "now">(chosen.map(({ epoch }) => epoch));
    const wanted = pool.settings.chunkSize *
      all.filter(({ views }) => views.isSubsetOf(epochs)).length;
    const { freedBytes } = await pool.snapshotChanges.planRemoval(
      chosen.map((one) => ({ volume: name, snapshot: one.name })),
    );
    if (freedBytes === wanted) continue;
    throw new Error(
      `The removal of ${chosen.map((one) => one.name)} of ${name} is said to ` +
        `free ${freedBytes} bytes, not ${wanted}`,
    );
  }
}

function viewsOf(
  { map, record }: VolumeParts,
  chunkSize: number,
): [number | "now", ChunkView][] {
  const snapshots = record.snapshots.map(({ epoch, size }) => {
    const view = new SnapshotView(map, epoch, size / chunkSize);
    return [epoch, view] as [number, ChunkView];
  });
  return [["now", map.view], ...snapshots];
}

/** Where a view has a volume's own chunk; undefined for its parent's. */
function ownPlace(
  { map }: VolumeParts,
  view: ChunkView,
  v: number,
): { component: Component; chunk: number } | undefined {
  const component = view.component(v);
  if (component === undefined) return undefined;
  const chunk = view.chunk(v);
  return map.holds(v, component, chunk) ? { component, chunk } : undefined;
}

function walkVolume(
  volume: VolumeParts,
  chunkSize: number,
  places: Map<Component, Map<number, Seen>>,
): void {
  const { map } = volume;
  for (const [name, view] of viewsOf(volume, chunkSize)) {
    let mapped = 0;
    for (let v = 0; v < view.virtualChunks; v++) {
      if (view.component(v) !== undefined) mapped++;
      const place = ownPlace(volume, view, v);
      if (place === undefined) continue;
      const its = places.get(place.component) ?? new Map<number, Seen>();
      places.set(place.component, its);
      const seen = its.get(place.chunk) ??
        { volume: map.volume, views: new Set() };
      its.set(place.chunk, seen);
      if (seen.volume !== map.volume) {
        throw new Error(
          `Chunk ${place.chunk} is of volumes ${seen.volume}, ${map.volume}`,
        );
      }
      seen.views.add(name);
    }
    let found = 0;
    const { virtualChunks: end } = view;
    for (let v = view.nextMapped(0, end); v < end;) {
      found++;
      v = view.nextMapped(v + 1, end);
    }
    if (found === mapped) continue;
    throw new Error(`A search finds ${found} chunks of ${mapped}`);
  }
}

function checkCounts(
  volume: VolumeParts,
  chunkSize: number,
  places: Map<Component, Map<number, Seen>>,
  described: VolumeStatus,
): void {
  const statuses = new Map<number | "now", VolumeStatus["snapshots"][number]>();
  for (const [index, { epoch }] of volume.record.snapshots.entries()) {
    const one = described.snapshots[index];
    if (one !== undefined) statuses.set(epoch, one);
  }
  for (const [name, view] of viewsOf(volume, chunkSize)) {
    let [referenced, unique] = [0, 0];
    for (let v = 0; v < view.virtualChunks; v++) {
      if (view.component(v) === undefined) continue;
      referenced++;
      const place = ownPlace(volume, view, v);
      if (place === undefined) continue;
      const seen = places.get(place.component)?.get(place.chunk);
      if (seen?.views.size === 1) unique++;
    }
    const status = name === "now" ? described : statuses.get(name);
    const counts = [status?.referencedBytes, status?.uniqueBytes].join();
    const wanted = [referenced * chunkSize, unique * chunkSize].join();
    if (counts === wanted) continue;
    throw new Error(
      `${described.name} at ${name} references, and has for itself, ` +
        `${counts} bytes, not ${wanted}`,
    );
  }
}
