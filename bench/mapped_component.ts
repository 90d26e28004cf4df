/**
 * A component that is all mapped, by way of its chunk table: it is sparse, and
 * as large as a benchmark wants.
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
import { readLabel } from "../pool/mod.ts";

const OWNER = { volume: 0, birth: 0, isProvisional: false };

/**
 * Maps the first chunks of a component, one virtual chunk after the other.
 *
 * @param path A component of a stopped pool that was just labelled.
 * @param chunkSize Bytes of a chunk.
 * @param mapped Bytes to map.
 * @param first The first virtual chunk.
 */
export function mapAll(
  path: string,
  chunkSize: number,
  mapped: number,
  first = 0,
): void {
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
      const virtual = first + chunk;
      setEntry(view, i, virtual, virtual + 1, OWNER);
      tableDigest ^= entryDigest(chunk, virtual, virtual + 1, OWNER);
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
