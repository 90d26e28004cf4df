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

import {
  encodeSuperblock,
  encodeUuid,
  entryDigest,
  nativeGeometry,
  overflowPosition,
  sealPage,
  setEntry,
  superblockPosition,
  superblockWriteSize,
  TABLE_PAGE_ENTRIES,
  tableSlotPosition,
} from "../metadata/mod.ts";
import { labelPool, openPool, readLabel } from "../pool/mod.ts";

const GIB = 2 ** 30;
const TIB = 1024 * GIB;
const OWNER = { volume: 0, birth: 0, isProvisional: false };

/** Memory of this process when what it no longer uses is freed, bytes. */
async function memory(): Promise<number> {
  const { gc } = globalThis as { gc?: () => void };
  for (let i = 0; i < 3; i++) {
    gc?.();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return Deno.memoryUsage().rss;
}

/** Maps the first chunks of a component, each to the same virtual chunk. */
function mapAll(path: string, chunkSize: number, mapped: number): void {
  const label = readLabel(path);
  if (label.format !== "native") throw new Error("the pool is of format 2");
  const { componentSize, overflowSize = 0, componentUuid } = label;
  const geometry = nativeGeometry(componentSize, chunkSize, overflowSize);
  const uuid = new Uint8Array(16);
  encodeUuid(componentUuid, uuid, 0);
  using file = Deno.openSync(path, { write: true });
  const put = (bytes: Uint8Array, at: number) => {
    file.seekSync(at, Deno.SeekMode.Start);
    file.writeSync(bytes);
  };
  const chunks = mapped / chunkSize;
  let tableDigest = 0;
  const page = new Uint8Array(4096);
  const view = new DataView(page.buffer);
  for (let index = 0; index * TABLE_PAGE_ENTRIES < chunks; index++) {
    page.fill(0);
    for (let i = 0; i < TABLE_PAGE_ENTRIES; i++) {
      const chunk = index * TABLE_PAGE_ENTRIES + i;
      if (chunk >= chunks) break;
      setEntry(view, i, chunk, chunk + 1, OWNER);
      tableDigest ^= entryDigest(chunk, chunk, chunk + 1, OWNER);
    }
    const at = tableSlotPosition(geometry, index, 0);
    sealPage(view, at, index, uuid, 1);
    put(page, at);
  }
  const superblock = { ...label, tableDigest: tableDigest >>> 0 };
  for (const slot of [0, 1]) {
    const at = superblockPosition(componentSize, slot);
    const bytes = new Uint8Array(superblockWriteSize(superblock));
    encodeSuperblock(superblock, at, bytes);
    put(bytes.subarray(0, 65_536), at);
    const more = overflowPosition(componentSize, slot, overflowSize);
    put(bytes.subarray(65_536), more);
  }
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
