/**
 * How the parts of an open pool are connected: who is told when space comes,
 * and what follows when something fails.
 *
 * @module
 */

import { abandon } from "../device/block/mod.ts";
import { PoolControl } from "./change/mod.ts";
import { FirstWrites, type PoolParts } from "./io/mod.ts";
import {
  type ForwardMap,
  Health,
  HostSpaces,
  type PoolSettings,
} from "./core/mod.ts";
import type { PoolFormat } from "./format/mod.ts";
import { Freeing, Space } from "./space/mod.ts";

/** The parts, connected. */
export interface PoolWiring {
  /** What works on the pool. */
  readonly parts: PoolParts;
  /** Whether it takes requests. */
  readonly health: Health;
  /** What changes it as a whole. */
  readonly control: PoolControl;
}

/**
 * Makes the parts of a pool and connects them.
 *
 * @param settings What does not change.
 * @param format The format, with the components.
 * @param map Where each virtual chunk is.
 * @returns The parts.
 */
export function wirePool(
  settings: PoolSettings,
  format: PoolFormat,
  map: ForwardMap,
): PoolWiring {
  const { chunkSize, onEvent } = settings;
  const health = new Health(settings, (failure) => {
    const { message } = failure;
    onEvent({ kind: "failed", message, reason: message });
    map.leases?.forbidWrites();
    firstWrites.delayed.failAll(failure);
    control.waits.end(failure);
    // Nothing is moved either: it would be written down in unknown tables.
    abandon(control.evacuation.end());
  });
  const fail = (cause: unknown) => health.fail(cause);
  // Writes that wait come before chunks that are to be moved.
  const spaceChanged = () => {
    firstWrites.spaceChanged();
    control.evacuation.wake();
  };
  const space = new Space(format, chunkSize, {
    ready: spaceChanged,
    unready: (error) => firstWrites.unready(error),
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
  const firstWrites = new FirstWrites(
    settings,
    format,
    map,
    { space, hosts },
    fail,
  );
  firstWrites.onNoneWaiting = () => control.evacuation.wake();
  const parts = {
    settings,
    format,
    map,
    space,
    hosts,
    freeing,
    firstWrites,
    fail,
  };
  const control = new PoolControl(parts, {
    admit: (reading) => reading ? health.assertOpen() : health.assertWritable(),
    membersChanged: () => {
      map.setComponents(format.members);
      space.recount();
      spaceChanged();
    },
  });
  return { parts, health, control };
}
