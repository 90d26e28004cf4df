/**
 * The table of cases: measurement, disk, servers.
 *
 * @module
 */

import type { Case, Scale } from "./case.ts";
import { CHUNK_SIZES, chunkSizeCases } from "./chunk_size_cases.ts";
import { farCases } from "./far_cases.ts";
import { snapshotReadCases } from "./snapshot_cases.ts";
import type { FioJob } from "./fio.ts";
import {
  coldRate,
  copy,
  discard,
  fairness,
  memory,
  openTime,
  requestRate,
  resumeTime,
  throughput,
} from "./measures.ts";
import {
  type Disk,
  GIB,
  KIB,
  MIB,
  PIB,
  type ServerName,
  TIB,
} from "./servers.ts";

/** What a full run does. */
export const FULL: Scale = {
  seconds: 4,
  workingSet: 256 * MIB,
  coldSet: 2 * GIB,
  image: GIB,
  firstWrites: 64 * KIB,
};
/** What a quick run does. */
export const QUICK: Scale = {
  seconds: 0.3,
  workingSet: 32 * MIB,
  coldSet: 256 * MIB,
  image: 128 * MIB,
  firstWrites: 8 * KIB,
};

/** The servers that a user could choose, and the yardstick. */
const RIVALS: readonly ServerName[] = [
  "virstor",
  "before",
  "nbdkit",
  "qcow2",
  "raw",
  "yardstick",
];
/** And what a large disk costs. */
const WITH_LARGE: readonly ServerName[] = [...RIVALS, "virstor-1P"];

/** All of fio, for one connection at depth 32, warm; the usual. */
const USUAL = {
  blockSize: 4 * KIB,
  depth: 32,
  connections: 1,
  once: false,
} as const;

/**
 * All cases.
 *
 * @param scale How much each does.
 * @param image A file to be copied, of as many bytes as the scale says.
 * @returns The cases, those of one disk together.
 */
export function allCases(scale: Scale, image: string): Case[] {
  return [
    ...warmCases(scale),
    ...poolCases(scale),
    ...specialCases(scale),
    coldCase(scale),
    ...firstWriteCases(scale),
    ...copyCases(scale, image),
    discardCase(scale),
    ...chunkSizeCases(scale),
    ...snapshotReadCases(scale),
    ...farCases(scale),
    ...openCases(scale),
    resumeCase(),
  ];
}

/** A case on mapped chunks in the page cache: of fio, other than usual. */
function warmRate(
  scale: Scale,
  name: string,
  title: string,
  job: Partial<FioJob> & { pattern: string },
  servers = RIVALS,
): Case {
  const { seconds, workingSet: size } = scale;
  return {
    ...inIops(name, title, warmDisk(scale), servers),
    measure: requestRate({ ...USUAL, size, seconds, ...job }),
  };
}

/** Cases on mapped chunks in the page cache. */
function warmCases(scale: Scale): Case[] {
  const { seconds, workingSet: size } = scale;
  const rate = warmRate.bind(undefined, scale);
  const megabytes = (name: string, title: string, pattern: string): Case => {
    const job = { ...USUAL, size, seconds, pattern, blockSize: MIB, depth: 8 };
    const disk = warmDisk(scale);
    const measure = throughput(job);
    return { ...inIops(name, title, disk, RIVALS), unit: "MiB/s", measure };
  };
  const [read, write] = [{ pattern: "randread" }, { pattern: "randwrite" }];
  const mixed = { pattern: "randrw", options: ["--rwmixread=70"] };
  const [one, four] = [{ depth: 1 }, { connections: 4 }];
  return [
    rate("read-4k-d1", "random read 4 KiB, depth 1", { ...read, ...one }),
    rate("write-4k-d1", "random write 4 KiB, depth 1", { ...write, ...one }),
    rate("read-4k-d32", "random read 4 KiB, depth 32", read, WITH_LARGE),
    rate("write-4k-d32", "random write 4 KiB, depth 32", write, WITH_LARGE),
    rate("mixed-4k-d32", "mixed 70/30 4 KiB, depth 32", mixed, WITH_LARGE),
    rate("seqread-4k-d32", "sequential read 4 KiB, depth 32", {
      pattern: "read",
    }),
    rate("seqwrite-4k-d32", "sequential write 4 KiB, depth 32", {
      pattern: "write",
    }),
    megabytes("seqread-1m-d8", "sequential read 1 MiB, depth 8", "read"),
    megabytes("seqwrite-1m-d8", "sequential write 1 MiB, depth 8", "write"),
    rate("read-4k-c4", "random read 4 KiB, 4 connections of depth 32", {
      ...read,
      ...four,
    }),
    rate("write-4k-c4", "random write 4 KiB, 4 connections of depth 32", {
      ...write,
      ...four,
    }),
    rate("mixed-4k-c4", "mixed 70/30 4 KiB, 4 connections of depth 32", {
      ...mixed,
      ...four,
    }),
    rate("flush-1", "random write 4 KiB and a flush in turns, depth 1", {
      ...write,
      ...one,
      options: ["--fsync=1"],
    }),
    rate("flush-16", "random write 4 KiB, depth 16, a flush after every 16", {
      ...write,
      depth: 16,
      options: ["--fsync=16"],
    }),
  ];
}

/** What the pool costs, and nothing else. */
function poolCases(scale: Scale): Case[] {
  return [1, 32].flatMap((depth) =>
    ["read", "write"].map((kind) =>
      warmRate(
        scale,
        `pool-${kind}-4k-d${depth}`,
        `what the pool costs: random ${kind} 4 KiB, depth ${depth}`,
        { pattern: `rand${kind}`, depth },
        ["virstor-loop", "flat"],
      )
    )
  );
}

/** Cases on the same disk that are about more than one client. */
function specialCases(scale: Scale): Case[] {
  const { seconds, workingSet: size } = scale;
  const disk = warmDisk(scale);
  const reader = {
    ...USUAL,
    ...{ pattern: "randread", depth: 1, size, seconds },
  };
  const stream = {
    ...USUAL,
    ...{ pattern: "write", blockSize: MIB, depth: 8, size, seconds },
  };
  return [{
    ...inIops(
      "fairness",
      "p99 of reads at depth 1 beside a stream of 1 MiB writes, over alone",
      disk,
      RIVALS,
    ),
    unit: "x",
    better: "lower",
    measure: fairness(reader, stream),
  }, {
    ...inIops(
      "memory-64x32m",
      "peak RSS under 64 connections, each with a write of 32 MiB in flight",
      disk,
      RIVALS,
    ),
    unit: "MiB",
    better: "lower",
    measure: memory({
      ...stream,
      ...{ blockSize: 32 * MIB, depth: 1, connections: 64 },
    }),
  }];
}

function coldCase({ seconds, coldSet: size }: Scale): Case {
  const disk = {
    virtualSize: size,
    chunkSize: MIB,
    space: size,
    filled: size,
  };
  const title = "random read 4 KiB, depth 32, nothing in the page cache";
  const job = { ...USUAL, pattern: "randread", size, seconds, once: true };
  return {
    ...inIops("cold-read-4k-d32", title, disk, RIVALS),
    measure: coldRate(job),
  };
}

/** Every request maps a chunk. Only pools and qcow2 have chunks in between. */
function firstWriteCases({ seconds, firstWrites }: Scale): Case[] {
  return CHUNK_SIZES.map((chunkSize) => {
    const size = firstWrites * chunkSize;
    const disk = { virtualSize: size, chunkSize, space: size, filled: 0 };
    const kib = chunkSize / KIB;
    const title = `first writes: 4 KiB into each ${kib} KiB, depth 32`;
    return {
      ...inIops(
        `first-write-${kib}k`,
        title,
        disk,
        chunkSize === 256 * KIB
          ? ["virstor", "before", "qcow2"]
          : [...RIVALS, "virstor-loop"],
      ),
      fresh: true,
      measure: requestRate({
        ...USUAL,
        ...{ size, seconds, once: true },
        // After each request fio passes over the rest of the chunk.
        pattern: `write:${kib - 4}k`,
        options: [`--number_ios=${firstWrites}`],
      }),
    };
  });
}

function copyCases({ image: size }: Scale, image: string): Case[] {
  const disk = { virtualSize: size, chunkSize: MIB, space: size, filled: 0 };
  const usual = { unit: "MiB/s", work: "MiB" };
  const title = `nbdcopy of ${size / MIB} MiB`;
  return [{
    ...inIops("copy-in", `${title} into an empty disk`, disk, RIVALS),
    ...usual,
    fresh: true,
    measure: copy(size, (uri) => [image, uri]),
  }, {
    ...inIops("copy-out", `${title} out of a full disk`, {
      ...disk,
      filled: size,
    }, RIVALS),
    ...usual,
    measure: copy(size, (uri) => [uri, "null:"]),
  }];
}

function discardCase({ image }: Scale): Case {
  const disk = {
    virtualSize: TIB,
    chunkSize: MIB,
    space: image,
    filled: image,
  };
  const title = `discard of 1 TiB, 1 GiB at a time, ${image / MIB} MiB mapped`;
  return {
    ...inIops("discard-1t", title, disk, RIVALS),
    ...{ unit: "ms", better: "lower", fresh: true },
    measure: discard(TIB),
  };
}

function openCases(scale: Scale): Case[] {
  const sizes = [["1g", "GiB", GIB], ["1t", "TiB", TIB], ["1p", "PiB", PIB]];
  return (sizes as [string, string, number][]).map(
    ([name, unit, virtualSize]) => {
      const disk = { ...warmDisk(scale), virtualSize };
      const title = `from the start of a server to its greeting, 1 ${unit}`;
      return {
        ...inIops(`open-${name}`, title, disk, RIVALS),
        ...{ unit: "ms", better: "lower", work: "start" },
        measure: openTime(),
      };
    },
  );
}

function resumeCase(): Case {
  const disk = {
    virtualSize: GIB,
    chunkSize: MIB,
    space: 64 * MIB,
    filled: 0,
  };
  const title =
    "full pool: from the return of add to the delayed write's reply";
  return {
    ...inIops("resume", title, disk, ["virstor"]),
    ...{ unit: "ms", better: "lower", fresh: true },
    measure: resumeTime(),
  };
}

/** A disk of 1 GiB whose beginning, which is used, is mapped. */
function warmDisk({ workingSet }: Scale): Disk {
  return {
    virtualSize: GIB,
    chunkSize: MIB,
    space: workingSet,
    filled: workingSet,
  };
}

/** What most cases have in common. */
function inIops(
  name: string,
  title: string,
  disk: Disk,
  servers: readonly ServerName[],
): Omit<Case, "measure"> {
  return {
    ...{ name, title, disk, servers },
    ...{ unit: "IOPS", better: "higher", work: "request", fresh: false },
  };
}
