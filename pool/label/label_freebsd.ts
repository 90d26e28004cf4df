/**
 * Making a pool of format 1, as `gvirstor label` does.
 *
 * @module
 */

import { counted, inBytes, VirstorError } from "../../errors.ts";
import {
  COMPONENT_ALLOCATED,
  COMPONENT_CURRENT,
  FREEBSD_MAP_GRAIN,
  FREEBSD_NAME_LENGTH_MAX,
  type FreebsdLabel,
  freebsdMapSize,
  freebsdReservedChunks,
} from "../../metadata/freebsd/mod.ts";
import {
  type Candidate,
  freebsdLayout,
  type FutureComponent,
  prepareNewComponent,
  writeDeviceLabel,
} from "../member/mod.ts";
import {
  checkChunkSize,
  checkVirtualSize,
  type LabelPlan,
  type LabelRequest,
} from "./label_plan.ts";

const DEFAULT_CHUNK_SIZE = 4 * 2 ** 20;
/** Chunk sizes are multiples of this, which was FreeBSD's MAXPHYS: 128 KiB. */
const CHUNK_GRAIN = 128 * 1024;
/** The maximum chunk size, since it is a u32. */
const CHUNK_SIZE_MAX = 2 ** 32 - CHUNK_GRAIN;
/** The maximum number of reserved chunks, since it is a u16. */
const RESERVED_MAX = 65_535;

/**
 * Plans a pool of format 1: fits its sizes, and checks its name.
 *
 * @param request The properties that the caller wants.
 * @returns The plan.
 * @throws {VirstorError} `invalid`.
 */
export function planFreebsdLabel(request: LabelRequest): LabelPlan {
  checkPoolName(request.name);
  const notices: string[] = [];
  const chunkSize = fitChunkSize(
    request.chunkSize ?? DEFAULT_CHUNK_SIZE,
    notices,
  );
  const virtualSize = fitVirtualSize(request.virtualSize, chunkSize, notices);
  const reserved = freebsdReservedChunks(virtualSize, chunkSize);
  return {
    virtualSize,
    layout: freebsdLayout(chunkSize),
    reserved,
    notices,
    check: (first) => checkMapFits(first, virtualSize, chunkSize, reserved),
    write: async (candidates) => {
      const [id = 0] = crypto.getRandomValues(new Uint32Array(1));
      const { name } = request;
      const identity = { name, id, virtualSize, chunkSize, reserved };
      await write(candidates, labelsFor(candidates, identity));
      return String(id);
    },
  };
}

/** The fields that all labels of the pool share, and the reserved chunks. */
interface PoolIdentity {
  readonly name: string;
  readonly id: number;
  readonly virtualSize: number;
  readonly chunkSize: number;
  readonly reserved: number;
}

function labelsFor(
  candidates: readonly Candidate[],
  { reserved, ...identity }: PoolIdentity,
): FreebsdLabel[] {
  return candidates.map((one, index) => ({
    ...identity,
    count: candidates.length,
    index,
    hardcodedName: one.hardcodedName,
    componentSize: one.size,
    chunkCount: one.chunkCount,
    chunkNext: index === 0 ? reserved : 0,
    chunkReserved: index === 0 ? reserved : 0,
    flags: index === 0 ? COMPONENT_ALLOCATED | COMPONENT_CURRENT : 0,
  }));
}

async function write(
  candidates: readonly Candidate[],
  labels: readonly FreebsdLabel[],
): Promise<void> {
  for (const [i, { device }] of candidates.entries()) {
    const { virtualSize = 0, chunkSize = 1 } = labels[0] ?? {};
    const length = i === 0 ? freebsdMapSize(virtualSize, chunkSize) : 0;
    await prepareNewComponent(device, { offset: 0, length }, false);
  }
  // The label of component 0 decides the membership, so it is written last.
  for (let i = candidates.length - 1; i >= 0; i--) {
    const device = candidates[i]?.device;
    const label = labels[i];
    if (device === undefined || label === undefined) continue;
    writeDeviceLabel(device, label);
    await device.flush();
  }
}

function checkPoolName(name: string): void {
  if (/^[\w.:+@-]+$/.test(name) && name.length <= FREEBSD_NAME_LENGTH_MAX) {
    if (name !== "." && name !== "..") return;
  }
  throw new VirstorError(
    "invalid",
    `Cannot name a pool "${name}": a name has 1 to ` +
      `${FREEBSD_NAME_LENGTH_MAX} letters, digits and . _ - : + @`,
  );
}

function fitChunkSize(size: number, notices: string[]): number {
  const fitted = Math.ceil(size / CHUNK_GRAIN) * CHUNK_GRAIN;
  checkChunkSize(size, fitted, CHUNK_SIZE_MAX);
  if (fitted !== size) {
    notices.push(
      "The chunk size is rounded up to a multiple of 128 KiB: " +
        inBytes(fitted),
    );
  }
  return fitted;
}

function fitVirtualSize(
  size: number,
  chunkSize: number,
  notices: string[],
): number {
  // As gvirstor does: down to whole chunks, then up to whole map sectors.
  const chunks = Math.floor(size / chunkSize);
  const fittedChunks = Math.ceil(chunks / FREEBSD_MAP_GRAIN) *
    FREEBSD_MAP_GRAIN;
  const fitted = fittedChunks * chunkSize;
  checkVirtualSize(size, chunkSize, fitted);
  if (fitted !== size) {
    notices.push(
      `The virtual size is fitted to whole chunks and whole map sectors: ` +
        `${inBytes(fitted)}`,
    );
  }
  return fitted;
}

function checkMapFits(
  first: FutureComponent,
  virtualSize: number,
  chunkSize: number,
  reserved: number,
): void {
  if (reserved <= first.chunkCount && reserved <= RESERVED_MAX) return;
  throw new VirstorError(
    "invalid",
    `Cannot put the map of a ${virtualSize}-byte disk on ` +
      `"${first.path}": it takes ${counted(reserved, "chunk")} of ` +
      `${inBytes(chunkSize)}, there is room for ` +
      `${Math.min(first.chunkCount, RESERVED_MAX)}; ` +
      "use larger chunks, a smaller disk, or a larger first component",
  );
}
