/**
 * The memory that the map of a TiB takes, all of it mapped. A quarter of a TiB
 * is mapped on a sparse component, by way of its chunk table.
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
/** What is mapped, bytes. */
const MAPPED = 256 * GIB;
const TIB = 1024 * GIB;
const OWNER = { volume: 0, birth: 0, isProvisional: false };

function memory(): number {
  const { gc } = globalThis as { gc?: () => void };
  gc?.();
  return Deno.memoryUsage().rss;
}

/** Maps the first chunks of a component, each to the same virtual chunk. */
function mapAll(path: string, chunkSize: number): void {
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
  const chunks = MAPPED / chunkSize;
  let tableDigest = 0;
  for (let page = 0; page * TABLE_PAGE_ENTRIES < chunks; page++) {
    const bytes = new Uint8Array(4096);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < TABLE_PAGE_ENTRIES; i++) {
      const chunk = page * TABLE_PAGE_ENTRIES + i;
      if (chunk >= chunks) break;
      setEntry(view, i, chunk, chunk + 1, OWNER);
      tableDigest ^= entryDigest(chunk, chunk, chunk + 1, OWNER);
    }
    const at = tableSlotPosition(geometry, page, 0);
    sealPage(view, at, page, uuid, 1);
    put(bytes, at);
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

async function main(chunkSize: number, directory: string): Promise<void> {
  const path = `${directory}/mapped`;
  await Deno.remove(path).catch(() => {});
  try {
    await labelPool({
      ...{ name: "mapped", paths: [path], createSize: MAPPED + 4 * GIB },
      ...{ virtualSize: TIB, chunkSize, format: "native" },
    });
    mapAll(path, chunkSize);
    const before = memory();
    const pool = await openPool([path], { readOnly: true });
    const bytes = memory() - before;
    if (pool.status().mappedChunks !== MAPPED / chunkSize) {
      throw new Error("not all chunks are mapped");
    }
    await pool.close();
    // deno-lint-ignore no-console -- this is what it is for
    console.log((bytes * (TIB / MAPPED) / 2 ** 20).toFixed(1));
  } finally {
    await Deno.remove(path).catch(() => {});
  }
}

const [chunkSize, directory = "."] = Deno.args;
await main(Number(chunkSize), directory);
