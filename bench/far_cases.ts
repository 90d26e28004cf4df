/**
 * The cases of a pool on another machine: one component, an export of nbdkit on
 * a Unix socket, beside that nbdkit used directly, and beside what else stands
 * between a client and an NBD server: how much three programs on the machine's
 * cores cost.
 *
 * @module
 */

import type { Case, Scale } from "./case.ts";
import type { FioJob } from "./fio.ts";
import { requestRate, throughput } from "./measures.ts";
import { GIB, KIB, MIB, type ServerName } from "./servers.ts";

/** The pool, its far server alone, and others between a client and that. */
const SERVERS: readonly ServerName[] = [
  ...["virstor-far", "nbdkit", "relay", "nbdkit-far", "raw-far"] as const,
];

/**
 * The cases of a remote component.
 *
 * @param scale How much each does.
 * @returns The cases.
 */
export function farCases({ seconds, workingSet: size }: Scale): Case[] {
  const usual = {
    ...{ blockSize: 4 * KIB, depth: 32, connections: 1, once: false },
    ...{ size, seconds },
  };
  const far = (
    name: string,
    title: string,
    job: Partial<FioJob> & { pattern: string },
  ): Case => {
    const whole = { ...usual, ...job };
    const isLarge = whole.blockSize >= MIB;
    return {
      name: `far-${name}`,
      title: `a remote component: ${title}`,
      ...{ unit: isLarge ? "MiB/s" : "IOPS", better: "higher" },
      ...{ work: "request", fresh: false, servers: SERVERS },
      disk: {
        ...{ virtualSize: GIB, chunkSize: MIB },
        ...{ space: size, filled: size },
      },
      measure: isLarge ? throughput(whole) : requestRate(whole),
    };
  };
  const large = { blockSize: MIB, depth: 8 };
  return [
    far("read-4k-d1", "random read 4 KiB, depth 1", {
      ...{ pattern: "randread", depth: 1 },
    }),
    far("read-4k-d32", "random read 4 KiB, depth 32", { pattern: "randread" }),
    far("write-4k-d32", "random write 4 KiB, depth 32", {
      pattern: "randwrite",
    }),
    far("flush-1", "random write 4 KiB and a flush in turns, depth 1", {
      ...{ pattern: "randwrite", depth: 1, options: ["--fsync=1"] },
    }),
    far("seqread-1m-d8", "sequential read 1 MiB, depth 8", {
      ...{ pattern: "read", ...large },
    }),
    far("seqwrite-1m-d8", "sequential write 1 MiB, depth 8", {
      ...{ pattern: "write", ...large },
    }),
  ];
}
