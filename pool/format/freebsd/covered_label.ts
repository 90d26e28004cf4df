/**
 * Covered labels: components of format 1 whose last chunk overlaps the label.
 * FreeBSD's `add` makes them, because it does not keep the last sector free.
 * While such a chunk is free, virstor does not count it. If it is mapped, its
 * last sector is the label, and the data written there are lost. Then the pool
 * is opened read-only: a write to the chunk would destroy the label, and a
 * write of the label would destroy data.
 *
 * @module
 */

import { inBytes } from "../../../errors.ts";
import {
  freebsdChunkCount,
  type FreebsdLabel,
} from "../../../metadata/freebsd/mod.ts";
import { labelSectorSize, type OpenComponent } from "../../member/mod.ts";
import type { ComponentGeometry, Finding } from "../../core/mod.ts";
import { scanFreebsdMap } from "./freebsd_map_scan.ts";
import { notice } from "../mod.ts";

/** A component whose last chunk overlaps its label. */
export interface CoveredLabel {
  /** The component's index. */
  readonly index: number;
  /** The component's path. */
  readonly path: string;
  /** Bytes of the sector that holds the label. */
  readonly sectorSize: number;
  /** The virtual chunk mapped to the last chunk; undefined if it is free. */
  readonly virtualChunk: number | undefined;
}

/** The usable chunks of a pool's components. */
export interface CountedChunks {
  /** Each component's geometry, with the chunks that may be used. */
  readonly geometries: readonly ComponentGeometry[];
  /** Components whose last chunk overlaps their label. */
  readonly covered: readonly CoveredLabel[];
}

/**
 * Counts the usable chunks of components.
 *
 * @param members The components, in order.
 * @returns Their geometries. A chunk that covers a label counts only if it is
 *   mapped.
 */
export async function countChunks(
  members: readonly OpenComponent<FreebsdLabel>[],
): Promise<CountedChunks> {
  const geometries = members.map(({ device, label }) => ({
    size: label.componentSize,
    chunkCount: label.chunkCount,
    chunkReserved: label.chunkReserved,
    hardcodedName: label.hardcodedName,
    sectorSize: labelSectorSize(device) ?? 0,
  }));
  const covered = geometries.flatMap((geometry, index) => {
    const { chunkSize = 0 } = members[index]?.label ?? {};
    const { size, chunkCount, sectorSize } = geometry;
    const room = freebsdChunkCount(size, chunkSize, sectorSize);
    return chunkCount > room ? [{ index, room }] : [];
  });
  if (covered.length === 0) return { geometries, covered: [] };
  const owners = await ownersOf(members, geometries);
  const result: CoveredLabel[] = [];
  for (const { index, room } of covered) {
    const geometry = geometries[index];
    const { path = "" } = members[index] ?? {};
    if (geometry === undefined) continue;
    const { sectorSize } = geometry;
    const virtualChunk = owners.get(`${index} ${geometry.chunkCount - 1}`);
    result.push({ index, path, sectorSize, virtualChunk });
    if (virtualChunk !== undefined) continue;
    geometries[index] = { ...geometry, chunkCount: room };
  }
  return { geometries, covered: result };
}

/** The virtual chunk mapped to each component's last chunk. */
async function ownersOf(
  members: readonly OpenComponent<FreebsdLabel>[],
  geometries: readonly ComponentGeometry[],
): Promise<Map<string, number>> {
  const owners = new Map<string, number>();
  const [first] = members;
  if (first === undefined) return owners;
  await scanFreebsdMap(first.device, first.label, geometries, {
    mapped(virtualChunk, index, chunk) {
      if (chunk + 1 !== geometries[index]?.chunkCount) return;
      owners.set(`${index} ${chunk}`, virtualChunk);
    },
    // load() scans again with the counted chunks, and reports damage.
    damaged() {},
  });
  return owners;
}

/**
 * Why a pool with covered labels must be opened read-only.
 *
 * @param covered Components whose last chunk overlaps their label.
 * @returns The reason; "" if none of these chunks is mapped.
 */
export function coveredReason(covered: readonly CoveredLabel[]): string {
  const one = covered.find(({ virtualChunk }) => virtualChunk !== undefined);
  if (one === undefined) return "";
  return `The pool can only be read: ${inUseText(one)}; copy the disk to ` +
    "another pool";
}

function inUseText({ path, sectorSize, virtualChunk }: CoveredLabel): string {
  return `the last chunk of "${path}" covers its label, as FreeBSD's add makes ` +
    `it, and is in use: the last ${inBytes(sectorSize)} of virtual chunk ` +
    `${virtualChunk} are the label, what was written there is lost`;
}

/**
 * The findings of a check about covered labels.
 *
 * @param covered Components whose last chunk overlaps their label.
 * @returns A notice for each free chunk, damage for each mapped one.
 */
export function coveredFindings(covered: readonly CoveredLabel[]): Finding[] {
  return covered.map((one) => {
    if (one.virtualChunk === undefined) {
      const what = "The last chunk covers the label, as FreeBSD's add makes " +
        "it; it is free, and never used";
      return notice("covered", what, one.path);
    }
    const text = inUseText(one);
    return {
      kind: "covered",
      severity: "damage",
      what: text.charAt(0).toUpperCase() + text.slice(1),
      where: one.path,
      effect: "the pool can only be read; copy the disk to another pool",
    };
  });
}
