/**
 * What canaries need: pools that leave out flushes, and what is found then.
 *
 * @module
 */

import { assert } from "@std/assert";
import type { SkipsFlush } from "./simulated_disk.ts";

/**
 * Finds out what is thrown.
 *
 * @param act What may throw.
 * @returns The message; "" if nothing is thrown.
 */
export async function complaintOf(
  act: () => Promise<unknown>,
): Promise<string> {
  try {
    await act();
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Leaves out flushes that only a file asks for.
 *
 * @param file The file, from the root.
 * @returns Which flushes are left out.
 */
export function askedIn(file: string): SkipsFlush {
  // A canary whose file was renamed sees no flush.
  assert(Deno.statSync(new URL(`../../${file}`, import.meta.url)).isFile);
  return (_, askers) => askers.every((asker) => asker.includes(`/${file}`));
}
