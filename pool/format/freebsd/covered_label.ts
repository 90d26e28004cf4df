/**
 * Components of format 1 whose last chunk covers their label: FreeBSD's `add`
 * does not keep the last sector free. While such a chunk is free it is not
 * counted. If it is in use, its end is the label, and what was written there is
 * lost; every write to it, and every change of the label, would destroy the one
 * or the other.
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

/** A component whose last chunk covers its label. */
export interface CoveredLabel {
  /** Its place among the components. */
  readonly index: number;
  /** Where it is. */
  readonly path: string;
  /** Bytes of the sector of the label. */
  readonly sectorSize: number;
  /** The virtual chunk that the chunk holds; undefined if it is free. */
  readonly virtualChunk: number | undefined;
}

/** What the chunks of a pool's components are. */
export interface CountedChunks {
  /** What each component has room for: chunks that may be used. */
  readonly geometries: readonly ComponentGeometry[];
  /** Components whose last chunk covers their label. */
  readonly covered: readonly CoveredLabel[];
}

/**
 * Counts the chunks of components as far as they may be used.
 *
 * @param members The components in order.
 * @returns What they have room for. A chunk that covers a label counts only if
 *   it is in use.
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

/** The virtual chunk that the last chunk of each component holds. */
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
    // The scan that counts comes later.
    damaged() {},
  });
  return owners;
}

/**
 * Why a pool may only be read.
 *
 * @param covered Components whose last chunk covers their label.
 * @returns The reason; "" if none of these chunks is in use.
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
 * What a check says of components whose last chunk covers their label.
 *
 * @param covered Such components.
 * @returns Notices of free chunks, damage of those in use.
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
