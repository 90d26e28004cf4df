/**
 * The memory that the map of a TiB takes, all of it mapped: on a sparse
 * component, by way of its chunk table.
 *
 * ```sh
 * deno run -A --v8-flags=--expose-gc bench/map_memory.ts 65536 DIRECTORY
 * ```
 *
 * @module
 */

import { labelPool, openPool } from "../pool/mod.ts";
import { mapAll } from "./mapped_component.ts";

const GIB = 2 ** 30;
const TIB = 1024 * GIB;

/** Memory of this process when what it no longer uses is freed, bytes. */
async function memory(): Promise<number> {
  const { gc } = globalThis as { gc?: () => void };
  for (let i = 0; i < 3; i++) {
    gc?.();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return Deno.memoryUsage().rss;
}

/** What an open adds to the memory of this process, bytes. */
async function openCost(
  chunkSize: number,
  directory: string,
  mapped: number,
): Promise<number> {
  const path = `${directory}/mapped`;
  await Deno.remove(path).catch(() => {});
  try {
    await labelPool({
      ...{ name: "mapped", paths: [path], createSize: mapped + 4 * GIB },
      ...{ virtualSize: TIB, chunkSize, format: "native" },
    });
    mapAll(path, chunkSize, mapped);
    const before = await memory();
    const pool = await openPool([path], { readOnly: true });
    const bytes = await memory() - before;
    if (pool.status().mappedChunks !== mapped / chunkSize) {
      throw new Error("not all chunks are mapped");
    }
    await pool.close();
    return bytes;
  } finally {
    await Deno.remove(path).catch(() => {});
  }
}

const [size, directory = "."] = Deno.args;
const chunkSize = Number(size);
// The first open of a process also loads the program.
await openCost(chunkSize, directory, GIB);
const bytes = await openCost(chunkSize, directory, TIB);
// deno-lint-ignore no-console -- this is what it is for
console.log((bytes / 2 ** 20).toFixed(1));
