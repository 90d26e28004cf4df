/**
 * What worlds need of the real one.
 *
 * @module
 */

import { simulateTime } from "./simulated_time.ts";

/**
 * Files of a world: two components at first, and two more. Empty ones stand
 * for the simulated ones, because pools tell files apart by what the system
 * says of them.
 */
export const FILES = ["a", "b", "c", "d"] as const;

/**
 * The id of a boot of a simulated machine.
 *
 * @param boot Its number.
 * @returns A UUID.
 */
export function bootIdOf(boot: number): string {
  return `00000000-0000-4000-8000-${String(boot).padStart(12, "0")}`;
}

/**
 * Does something with worlds, without waiting for timers.
 *
 * @param act What to do; given a directory with the files of worlds.
 * @returns What it gives.
 */
export async function inWorlds<T>(
  act: (directory: string) => Promise<T>,
): Promise<T> {
  using _time = simulateTime();
  const directory = await Deno.makeTempDir({ prefix: "virstor-simulation-" });
  try {
    for (const name of FILES) {
      await Deno.writeFile(`${directory}/${name}`, new Uint8Array());
    }
    return await act(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
