/**
 * Simulated pools of format 1.
 *
 * @module
 */

import { encodeFreebsdLabel } from "../../metadata/mod.ts";
import { assertFreebsd } from "../helpers/freebsd_checker.ts";
import { FREEBSD_STEPS } from "./steps.ts";
import {
  POOL,
  type RawComponent,
  type StoppedPool,
  type WorldFormat,
} from "./world_format.ts";

/** Small enough that thousands of worlds can end in a minute. */
const CHUNK = 2048;
const VIRTUAL_CHUNKS = 64;
const COMPONENT = 6 * CHUNK + 512;

/** Format 1. */
export const FREEBSD_WORLD: WorldFormat = {
  name: "freebsd",
  steps: FREEBSD_STEPS,
  chunkSize: CHUNK,
  virtualChunks: VIRTUAL_CHUNKS,
  content,
  isComponent: (bytes) => bytes[COMPONENT - 512] !== 0,
  checkStopped,
  essence: ({ bytes }) => bytes.toHex(),
};

function content(index: number): Uint8Array {
  const bytes = new Uint8Array(COMPONENT).fill(0xee);
  bytes.fill(0, COMPONENT - 512);
  if (index === 0) bytes.fill(0, 0, VIRTUAL_CHUNKS * 8);
  if (index > 1) return bytes;
  encodeFreebsdLabel({
    name: POOL,
    id: 1,
    virtualSize: VIRTUAL_CHUNKS * CHUNK,
    chunkSize: CHUNK,
    count: 2,
    hardcodedName: "",
    index,
    componentSize: COMPONENT,
    chunkCount: 6,
    chunkNext: index === 0 ? 2 : 0,
    chunkReserved: index === 0 ? 2 : 0,
    flags: index === 0 ? 3 : 0,
  }, bytes.subarray(COMPONENT - 512));
  return bytes;
}

async function checkStopped(
  { members }: StoppedPool,
  directory: string | undefined,
): Promise<void> {
  if (directory === undefined) return;
  const paths = members.map(({ path }) => copyOf(path, directory));
  for (const [i, { bytes }] of members.entries()) {
    await Deno.writeFile(paths[i] ?? "", bytes);
  }
  assertFreebsd(paths);
}

function copyOf(path: RawComponent["path"], directory: string): string {
  return `${directory}/raw-${path.slice(path.lastIndexOf("/") + 1)}`;
}
