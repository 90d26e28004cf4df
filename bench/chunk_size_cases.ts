/**
 * The cases that argue for a size of chunks: each is measured for several.
 *
 * @module
 */

import type { Case, Scale } from "./case.ts";
import {
  keptSpace,
  mapMemory,
  rateAfterSnapshot,
} from "./chunk_size_measures.ts";
import { KIB, MIB, type ServerName, TIB } from "./servers.ts";

/** The sizes that are compared, bytes. */
export const CHUNK_SIZES: readonly number[] = [64 * KIB, 256 * KIB, MIB];
/** After so many seconds most chunks were written to. */
const AFTER_SNAPSHOT_SECONDS = 2;
/** Servers that know snapshots. */
const WITH_SNAPSHOTS: readonly ServerName[] = [
  "virstor",
  "before",
  "qcow2",
  "qcow2-backing",
];

/**
 * The cases for all sizes of chunks.
 *
 * @param scale How much each does.
 * @returns The cases.
 */
export function chunkSizeCases(scale: Scale): Case[] {
  return [
    ...CHUNK_SIZES.map((chunkSize) => afterSnapshot(scale, chunkSize)),
    ...CHUNK_SIZES.map(mapMemoryCase),
    ...CHUNK_SIZES.map((chunkSize) => keptCase(scale, chunkSize)),
  ];
}

function afterSnapshot(
  { seconds, workingSet }: Scale,
  chunkSize: number,
): Case {
  // So much that most writes of the run are the first to their chunk.
  const size = 2 * workingSet;
  const kib = chunkSize / KIB;
  return {
    name: `after-snapshot-${kib}k`,
    title: `random write 4 KiB, depth 32, right after a snapshot, ` +
      `chunks of ${kib} KiB`,
    ...{ unit: "IOPS", better: "higher", work: "request", fresh: true },
    servers: WITH_SNAPSHOTS,
    disk: { virtualSize: size, chunkSize, space: 2 * size, filled: size },
    measure: rateAfterSnapshot({
      ...{ pattern: "randwrite", blockSize: 4 * KIB, depth: 32 },
      ...{ connections: 1, size, once: false },
      seconds: Math.min(seconds, AFTER_SNAPSHOT_SECONDS),
    }),
  };
}

function mapMemoryCase(chunkSize: number): Case {
  const kib = chunkSize / KIB;
  return {
    name: `map-memory-${kib}k`,
    title: `memory for a map of 1 TiB, all mapped, chunks of ${kib} KiB`,
    ...{ unit: "MiB", better: "lower", work: "open", fresh: true },
    servers: ["virstor"],
    disk: { virtualSize: TIB, chunkSize, space: MIB, filled: 0 },
    measure: mapMemory(),
    roundsMax: 1,
  };
}

function keptCase({ workingSet: size }: Scale, chunkSize: number): Case {
  const kib = chunkSize / KIB;
  return {
    name: `discards-${kib}k`,
    title: `space kept of ${size / MIB} MiB after half was discarded, 16 KiB ` +
      `at random, chunks of ${kib} KiB`,
    ...{ unit: "MiB", better: "lower", work: "request", fresh: true },
    servers: ["virstor", "before", "qcow2"],
    disk: { virtualSize: size, chunkSize, space: size, filled: size },
    measure: keptSpace(size),
    roundsMax: 1,
  };
}
