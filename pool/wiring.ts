/**
 * How the parts of an open pool are connected: what happens when chunks become
 * free, and what follows when something fails.
 *
 * @module
 */

import type { LeaseTable } from "../device/leases/mod.ts";
import { abandon } from "../device/block/mod.ts";
import { type ControlHooks, PoolControl } from "./change/mod.ts";
import {
  ChunkMapper,
  FullPool,
  OpenVolume,
  type PoolBase,
  Reserves,
  Settling,
  shareSyncs,
} from "./io/mod.ts";
import {
  Health,
  HostSpaces,
  type PoolSettings,
  type VolumeState,
} from "./core/mod.ts";
import type { PoolFormat } from "./format/mod.ts";
import { Freeing, Space } from "./space/mod.ts";

/** The parts, connected. */
export interface PoolWiring {
  /** What works on the pool. */
  readonly base: PoolBase;
  /** The volumes of `base`; the list may be changed. */
  readonly volumes: OpenVolume[];
  /** Whether it takes requests. */
  readonly health: Health;
  /** What changes it as a whole. */
  readonly control: PoolControl;
  /**
   * Opens a volume.
   *
   * @param state Its record and its map.
   * @returns Its parts, which are in `volumes`.
   */
  open(state: VolumeState): OpenVolume;
}

/**
 * Makes the parts of a pool and connects them.
 *
 * @param settings What does not change.
 * @param format The format, with the components.
 * @returns The parts, without volumes.
 */
export function wirePool(
  settings: PoolSettings,
  format: PoolFormat,
): PoolWiring {
  const { chunkSize, onEvent } = settings;
  const volumes: OpenVolume[] = [];
  const health = new Health(settings, (failure) => {
    const { message } = failure;
    onEvent({ kind: "failed", message, reason: message });
    for (const { map, firstWrites } of volumes) {
      map.leases?.forbidWrites();
      firstWrites.failed(failure);
    }
    control.waits.end(failure);
    abandon(control.evacuation.end()); // moves would be in unknown tables
  });
  const fail = (cause: unknown) => health.fail(cause);
  // Writes that wait come before chunks that are to be moved.
  const spaceChanged = () => {
    mapper.watch();
    for (const { firstWrites } of volumes) firstWrites.resume();
    control.evacuation.wake();
  };
  const space = new Space(format, chunkSize, {
    ready: spaceChanged,
    unready: (error) => {
      if (error.code === "failed") fail(error);
      for (const { firstWrites } of volumes) firstWrites.unready(error);
    },
  });
  const freeing = new Freeing(chunkSize, {
    freed: (component, chunk) => space.giveBack(component, chunk),
    done: spaceChanged,
    failed: (error, { device: { path } }, chunks) => {
      const { code, message } = error;
      if (code === "failed") fail(error);
      else onEvent({ kind: "space", message, path, chunks, reason: message });
    },
  });
  const hosts = new HostSpaces(settings);
  const settling = new Settling(format);
  const full = new FullPool(
    settings,
    space,
    () =>
      volumes.some(({ firstWrites: { delayed, limits } }) =>
        delayed.size > 0 && !limits.isAtQuota
      ),
  );
  const reserves = new Reserves(space);
  const parts = { settings, format, space, hosts, freeing, settling, fail };
  const mapper = new ChunkMapper(parts);
  const maps = { volumes, removed: new Map(), readers: new Set<LeaseTable>() };
  const base = { ...parts, ...maps, mapper, full, reserves };
  const control = new PoolControl(base, hooksOf(base, health, spaceChanged));
  mapper.watch();
  shareSyncs(base);
  return {
    ...{ base, volumes, health, control },
    open: ({ record, map }) => {
      const volume = new OpenVolume(base, record, map);
      volume.firstWrites.onNoneWaiting = () => control.evacuation.wake();
      insertInOrder(volumes, volume);
      return volume;
    },
  };
}

/** Most volumes are opened in the order of their numbers. */
function insertInOrder(volumes: OpenVolume[], volume: OpenVolume): void {
  const { volume: number } = volume.map;
  const at = volumes.findLastIndex((one) => one.map.volume < number);
  volumes.splice(at + 1, 0, volume);
}

function hooksOf(
  { volumes, format, space, settling }: PoolBase,
  health: Health,
  spaceChanged: () => void,
): ControlHooks {
  return {
    admit: (reading) => reading ? health.assertOpen() : health.assertWritable(),
    membersChanged: () => {
      for (const { map } of volumes) map.setComponents(format.members);
      shareSyncs({ format, settling });
      space.recount();
      spaceChanged();
    },
  };
}
