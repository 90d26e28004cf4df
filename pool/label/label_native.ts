/**
 * Making a pool of format 2.
 *
 * @module
 */

import { inBytes, VirstorError } from "../../errors.ts";
import {
  isNativeName,
  NATIVE_CHUNK_SIZE,
  NATIVE_CHUNK_SIZE_MAX,
  NATIVE_CHUNK_SIZE_MIN,
  NATIVE_NAME_SIZE_MAX,
  newOverflowSize,
  type Superblock,
  SUPERBLOCK_SLOTS,
} from "../../metadata/native/mod.ts";
import {
  type Candidate,
  nativeLayout,
  prepareNewComponent,
  writeSuperblock,
} from "../member/mod.ts";
import {
  checkChunkSize,
  checkVirtualSize,
  type LabelPlan,
  type LabelRequest,
} from "./label_plan.ts";

/**
 * Plans a pool of format 2: fits its sizes, and checks its name.
 *
 * @param request The properties that the caller wants.
 * @returns The plan.
 * @throws {VirstorError} `invalid`.
 */
export function planNativeLabel(request: LabelRequest): LabelPlan {
  const { name } = request;
  if (!isNativeName(name)) {
    throw new VirstorError(
      "invalid",
      `Cannot name a pool "${name}": a name has 1 to ` +
        `${NATIVE_NAME_SIZE_MAX} bytes of UTF-8 and no control characters`,
    );
  }
  const notices: string[] = [];
  const chunkSize = fitChunkSize(
    request.chunkSize ?? NATIVE_CHUNK_SIZE,
    notices,
  );
  const asked = request.virtualSize;
  const virtualSize = Math.ceil(asked / chunkSize) * chunkSize;
  checkVirtualSize(asked, chunkSize, virtualSize);
  if (virtualSize !== asked) {
    notices.push(
      `The virtual size is rounded up to whole chunks: ${inBytes(virtualSize)}`,
    );
  }
  const layout = nativeLayout(chunkSize);
  return {
    virtualSize,
    layout,
    reserved: 0,
    notices,
    check() {},
    write: async (candidates) => {
      const poolUuid = crypto.randomUUID();
      for (const { device } of candidates) {
        const metadata = layout.metadataOf(device.size);
        await prepareNewComponent(device, metadata, true);
      }
      const identity = { name, poolUuid, virtualSize, chunkSize };
      const superblocks = superblocksFor(candidates, identity);
      for (const [i, { device }] of candidates.entries()) {
        const superblock = superblocks[i];
        // Into both slots: a slot that is blank later is known to be damaged.
        for (let slot = 0; slot < SUPERBLOCK_SLOTS; slot++) {
          if (superblock) writeSuperblock(device, superblock, slot);
        }
        await device.flush();
      }
      return poolUuid;
    },
  };
}

function superblocksFor(
  candidates: readonly Candidate[],
  identity: Pick<Superblock, "name" | "poolUuid" | "virtualSize" | "chunkSize">,
): Superblock[] {
  const members = candidates.map(({ chunkCount }) => ({
    uuid: crypto.randomUUID(),
    state: "active" as const,
    chunkCount,
  }));
  return candidates.map(({ size }, i) => ({
    ...identity,
    componentUuid: members[i]?.uuid ?? "",
    generation: 1,
    compat: 0,
    readOnlyCompat: 0,
    clean: true,
    tableDigest: 0,
    componentSize: size,
    overflowSize: newOverflowSize(size),
    members,
  }));
}

function fitChunkSize(size: number, notices: string[]): number {
  const fitted = Math.max(
    NATIVE_CHUNK_SIZE_MIN,
    2 ** Math.ceil(Math.log2(size)),
  );
  checkChunkSize(size, fitted, NATIVE_CHUNK_SIZE_MAX);
  if (fitted !== size) {
    notices.push(
      `The chunk size is rounded up to a power of two, 64 KiB or more: ` +
        `${inBytes(fitted)}`,
    );
  }
  return fitted;
}
