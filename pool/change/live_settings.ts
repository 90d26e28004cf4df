/**
 * Settings of an open pool that a change replaces. They hold at once, also for
 * writes that wait, until the pool is closed: the pool does not store them.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  checkedFullTimeout,
  type PoolSettings,
  type SpaceSettings,
} from "../core/mod.ts";
import type { PoolBase } from "../io/mod.ts";
import type { Evacuation } from "./evacuation.ts";

/** Settings to replace; what is absent stays as it is. */
export interface LiveSettings extends SpaceSettings {
  /** The most that the evacuation moves, bytes a second; 0 for no limit. */
  readonly evacuationBytesPerSecond?: number;
}

/**
 * Replaces settings of an open pool, at once: nothing is awaited, and parts of
 * the pool read the settings each time, so it may run beside a change.
 *
 * @param base The open pool.
 * @param evacuation The evacuation of the pool.
 * @param live The settings to replace.
 * @throws {VirstorError} `invalid`: nothing has changed.
 */
export function applySettings(
  { settings, volumes, mapper }: PoolBase,
  evacuation: Evacuation,
  live: LiveSettings,
): void {
  const changed = withLive(settings, live);
  // All parts share the object, and read it each time.
  Object.assign(settings, changed);
  const { evacuationBytesPerSecond: rate } = live;
  if (rate !== undefined) evacuation.setRate(rate);
  for (const { firstWrites } of volumes) firstWrites.settingsChanged();
  mapper.watch();
}

function withLive(
  { name, watermarks, ...before }: PoolSettings,
  live: LiveSettings,
): Partial<PoolSettings> {
  const {
    onFull = before.onFull,
    fullTimeoutSeconds = before.fullTimeoutSeconds,
    maxDelayedBytes = before.maxDelayedBytes,
    chunkWatermark: chunks = watermarks.chunks,
    componentWatermark: components = watermarks.components,
    spaceWatermark: space = watermarks.space,
    usedWatermark: used = watermarks.usedPercent ?? 0,
    hostWatermark: host = watermarks.host,
    evacuationBytesPerSecond = 0,
  } = live;
  const amounts = [
    maxDelayedBytes,
    chunks,
    components,
    evacuationBytesPerSecond,
    space?.bytes ?? 0,
    host?.bytes ?? 0,
  ];
  const percents = [space?.percent ?? 0, host?.percent ?? 0, used];
  const isAmount = (value: number) => Number.isSafeInteger(value) && value >= 0;
  const isPercent = (value: number) => value >= 0 && value <= 100;
  const areNumbers = amounts.every(isAmount) && percents.every(isPercent);
  if (!areNumbers || !["delay", "error"].includes(onFull)) {
    throw new VirstorError(
      "invalid",
      `Cannot set "${JSON.stringify(live)}" of pool "${name}": amounts are ` +
        "whole numbers from 0, percentages up to 100, and writes to a full " +
        'pool "delay" or "error"',
    );
  }
  return {
    onFull,
    fullTimeoutSeconds: checkedFullTimeout(fullTimeoutSeconds),
    maxDelayedBytes,
    watermarks: {
      chunks,
      components,
      ...space && { space },
      ...used > 0 && { usedPercent: used },
      ...host && { host },
    },
  };
}
