/**
 * Kills and restarts far servers under a load that is verified all the time.
 *
 * @module
 */

import type { BlockDevice } from "../../device/mod.ts";
import { NbdDisk, type NbdDiskOptions } from "../../nbd/client/mod.ts";
import { PATIENCE_MS, pause } from "../helpers/patience.ts";
import type { Killable } from "./peers.ts";
import { BLOCK, type LoadedDisk, VerifiedLoad } from "./verified_load.ts";

/** How a far server is killed again and again. */
export interface KillOptions {
  /** The server. */
  readonly far: Killable;
  /** The file that holds what the server has not only in memory. */
  readonly image: string;
  /** Seed of the choices. */
  readonly seed: number;
  /** Blocks that are written. */
  readonly blocks: number;
  /**
   * Tells whether to kill the server once more.
   *
   * @param kills How many times it was killed.
   * @returns False at the end.
   */
  readonly isEnough: (kills: number) => boolean;
  /** Writes between two kills. */
  readonly writes: number;
  /** Milliseconds between two kills, in addition. Default: 0. */
  readonly pauseMs?: number;
  /** Further options of the disk. */
  readonly disk?: NbdDiskOptions;
  /**
   * Puts something between the load and the disk. Default: nothing.
   *
   * @param disk The disk.
   * @returns What the load uses; it is closed in the end.
   */
  readonly over?: (
    disk: NbdDisk,
  ) => Promise<LoadedDisk & Pick<BlockDevice, "close">>;
}

/** What became of it. */
export interface KillResult {
  /** How many times the server was killed. */
  readonly kills: number;
  /** Writes that were acknowledged. */
  readonly writes: number;
  /** Good flushes. */
  readonly flushes: number;
  /** Blocks that the server had acknowledged and lost. */
  readonly forgotten: number;
  /** How many times the disk connected again. */
  readonly reconnects: number;
}

/**
 * Loads a disk, and kills its server. Fails if anything flushed is missing
 * after a kill, or anything acknowledged after the next connection.
 *
 * @param options The server, and how often.
 * @returns Counts.
 */
export async function killAgainAndAgain(
  options: KillOptions,
): Promise<KillResult> {
  const { far, image, seed, blocks, writes } = options;
  const disk = await NbdDisk.connect(far.uri, {
    openTimeoutMs: PATIENCE_MS,
    backOff: { firstMs: 5, mostMs: 50 },
    ...options.disk,
  });
  const loaded = await options.over?.(disk) ?? disk;
  try {
    const load = new VerifiedLoad(loaded, blocks, seed);
    const running = load.run();
    // It fails the test where the test waits for it.
    running.catch(() => {});
    let [kills, forgotten] = [0, 0];
    while (!options.isEnough(kills)) {
      await Promise.race([running, load.progress(writes)]);
      if (options.pauseMs !== undefined) await pause(options.pauseMs);
      await far.kill();
      kills += 1;
      const content = await Deno.readFile(image);
      forgotten += load.checkDurable(content.subarray(0, blocks * BLOCK));
      await far.start();
      await load.checkDisk();
    }
    await Promise.race([running, load.progress(writes)]);
    load.stop();
    await running;
    await load.checkDisk();
    const { reconnects } = disk.status();
    const { count, flushes } = load;
    return { kills, writes: count, flushes, forgotten, reconnects };
  } finally {
    await loaded.close();
    await disk.close();
  }
}
