/**
 * The programs in C that show what the machine allows.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { run } from "./processes.ts";

/** Each of one file beside this one. */
const PROGRAMS = ["yardstick", "relay"] as const;

/**
 * Builds the programs in C.
 *
 * @param directory Where they go.
 */
export async function buildPrograms(directory: string): Promise<void> {
  for (const name of PROGRAMS) {
    const source = fileURLToPath(new URL(`${name}.c`, import.meta.url));
    const program = `${directory}/${name}`;
    await run("cc", ["-O2", "-pthread", "-o", program, source]);
  }
}
