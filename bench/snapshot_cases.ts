/**
 * The cases that read what a snapshot shares: on a thread of the client, under
 * leases for reads, and on the event loop.
 *
 * @module
 */

import type { Case, Scale } from "./case.ts";
import { rateAfterSnapshot } from "./chunk_size_measures.ts";
import { KIB, MIB, type ServerName } from "./servers.ts";

/** With threads, and without. */
const SERVERS: readonly ServerName[] = ["virstor", "before", "virstor-loop"];

/**
 * The cases for reads of what is shared.
 *
 * @param scale How much each does.
 * @returns The cases.
 */
export function snapshotReadCases(
  { seconds, workingSet: size }: Scale,
): Case[] {
  return [1, 32].flatMap((depth) =>
    [true, false].map((isSnapshot) => ({
      name: `${isSnapshot ? "snapshot" : "shared"}-read-4k-d${depth}`,
      title: `random read 4 KiB, depth ${depth}, of ` +
        (isSnapshot ? "a snapshot" : "a volume right after a snapshot"),
      ...{ unit: "IOPS", better: "higher" as const, work: "request" },
      ...{ fresh: true, servers: SERVERS },
      disk: {
        ...{ virtualSize: size, chunkSize: MIB },
        ...{ space: 2 * size, filled: size },
      },
      measure: rateAfterSnapshot({
        ...{ pattern: "randread", blockSize: 4 * KIB, depth },
        ...{ connections: 1, size, seconds, once: false },
      }, isSnapshot),
    }))
  );
}
