/**
 * What can happen to the components of a stopped pool of format 2, and what is
 * to be said and done about it. Pools are those of `damage_sample.ts`.
 *
 * @module
 */

import type { ErrorCode } from "../../errors.ts";
import { openPool } from "../../pool/mod.ts";
import {
  claimChunk,
  claimOf,
  flipBit,
  generationOf,
  markInUse,
  misdirect,
  pageSlots,
  readSlot,
  resizeComponent,
  rewriteSuperblock,
  type Slot,
  spoilSlots,
  superblockSlots,
  tearSlot,
  writeSlot,
  zeroSlots,
} from "./damage.ts";
import { CHUNK, type DamageSample, VIRTUAL_CHUNKS } from "./damage_sample.ts";
import { Snapshot } from "./stopping_device.ts";

/** What was made of a pool. */
export interface Damaged {
  /** What is looked at, if not its components. */
  readonly paths?: readonly string[];
  /** What the disk holds then, if not what was written. */
  readonly disk?: Uint8Array;
}

/** One thing that can happen. */
export interface DamageKind {
  /** What has happened, to follow "a pool with ". */
  readonly name: string;
  /** What a check says: kind and severity, sorted. */
  readonly findings: readonly string[];
  /** How the pool refuses to be opened for writing; absent if it opens. */
  readonly refusal?: readonly [code: ErrorCode, part: string];
  /** It can still be opened for reading, although not for writing. */
  readonly opensForReading?: boolean;
  /** What a check says still after it was opened and stopped. */
  readonly remains?: readonly string[];
  /** What becomes of it in a repair; `nothing` if there is nothing to do. */
  readonly repair: "nothing" | "done" | "refused";
  /** What a repair says that it has put right, if not what a check found. */
  readonly repaired?: readonly string[];
  /** Makes it happen. */
  readonly make: (sample: DamageSample) => Damaged | void | Promise<Damaged>;
}

/** A bit in the middle of what is used of any slot. */
const ANY_BIT = 900;
const NEWER = { version: 3 };
const NOTICE = ["unsound notice"];
const LOST_PAGE = ["lost-page damage"];
const BEHIND = ["behind notice", "unsound notice"];
const MISSING = ["missing damage"];
const UNREADABLE = ["unreadable damage"];
const BAD_ENTRY = ["bad-entry damage"];

/** Slots of which another one tells the same. */
const ONE_SLOT: readonly DamageKind[] = [
  mended("a flipped bit in a newest superblock", BEHIND, ({ paths: [a] }) => {
    flipBit(superblockSlots(a)[0], ANY_BIT);
  }),
  mended("a flipped bit in an older superblock", NOTICE, ({ paths: [a] }) => {
    flipBit(superblockSlots(a)[1], ANY_BIT);
  }),
  mended("a flipped bit in the magic", BEHIND, ({ paths: [a] }) => {
    flipBit(superblockSlots(a)[0], 3);
  }),
  mended("a superblock that is zeroed", BEHIND, ({ paths: [, b] }) => {
    zeroSlots([superblockSlots(b)[0]]);
  }),
  mended("a superblock that is torn", BEHIND, ({ paths: [a] }) => {
    const [newest, older] = superblockSlots(a);
    tearSlot(newest, readSlot(older), 0);
  }),
  mended("a flipped bit in a newest page", NOTICE, ({ paths: [, b] }) => {
    flipBit(pageSlots(b, 0)[0], ANY_BIT);
  }),
  mended("a flipped bit in the second copy", NOTICE, ({ paths: [, b] }) => {
    flipBit(pageSlots(b, 0)[1], ANY_BIT);
  }),
  mended("a flipped bit in an older page", NOTICE, ({ paths: [a] }) => {
    flipBit(pageSlots(a, 0)[2], ANY_BIT);
  }),
  mended("a flipped bit in a blank slot", NOTICE, ({ paths: [a] }) => {
    flipBit(pageSlots(a, 1)[2], ANY_BIT);
  }),
  mended("a flipped bit in a blank page", NOTICE, ({ paths }) => {
    flipBit(pageSlots(paths[3], 0)[2], ANY_BIT);
  }),
  mended("a newest page that is zeroed", NOTICE, ({ paths: [a] }) => {
    zeroSlots([pageSlots(a, 0)[0]]);
  }),
  mended("a second copy that is zeroed", NOTICE, ({ paths: [, b] }) => {
    zeroSlots([pageSlots(b, 0)[1]]);
  }),
  mended("a page torn over an older one", NOTICE, ({ paths: [a] }) => {
    const [newest, , oldest] = pageSlots(a, 0);
    tearSlot(newest, readSlot(oldest), 0);
  }),
  mended("a page torn over nothing", NOTICE, ({ paths: [a] }) => {
    tearSlot(pageSlots(a, 0)[0], new Uint8Array(), 1);
  }),
  mended("a page whose write was lost", NOTICE, (sample) => {
    const [newest] = pageSlots(sample.paths[0], 0);
    writeSlot(newest, before(sample, newest));
  }),
];

/** Slots and components of which nothing tells the same. */
const LOST: readonly DamageKind[] = [
  refused("all slots of a page damaged", LOST_PAGE, [
    "corrupt",
    "page 0 of the chunk table",
  ], ({ paths: [a] }) => spoilSlots(pageSlots(a, 0))),
  refused("both copies of a page damaged", LOST_PAGE, [
    "corrupt",
    "chunks 168 to 335",
  ], ({ paths: [a] }) => spoilSlots(pageSlots(a, 1).slice(0, 2))),
  {
    ...refused("both superblocks damaged", MISSING, [
      "not-found",
      "component 0",
    ], ({ paths: [a] }) => spoilSlots(superblockSlots(a))),
    repair: "done",
    repaired: ["unreadable notice"],
  },
  {
    ...refused("a flipped bit in both superblocks", UNREADABLE, [
      "corrupt",
      "checksum",
    ], ({ paths: [a] }) => {
      for (const slot of superblockSlots(a)) flipBit(slot, ANY_BIT);
    }),
    repair: "done",
    repaired: ["unreadable notice"],
  },
  refused("two copies of a component without superblocks", MISSING, [
    "not-found",
    "component 1",
  ], (sample) => {
    spoilSlots(superblockSlots(sample.paths[1]));
    return withCopy(sample);
  }),
  refused("a component that is not there", MISSING, [
    "not-found",
    "component 2",
  ], ({ paths: [a, b, , d] }) => ({ paths: [a, b, d] })),
];

/** Writes that went to the wrong place. */
const MISDIRECTED: readonly DamageKind[] = [
  ...[0, 1].map((index): DamageKind => ({
    ...refused(
      `slot ${index} of a superblock of another component`,
      UNREADABLE,
      ["corrupt", "two components"],
      ({ paths: [, b, c] }) => {
        const at = (slot: Slot) => slot.position;
        const slots = (path: string) =>
          superblockSlots(path).toSorted((x, y) => at(x) - at(y));
        const [from, to] = [slots(b)[index], slots(c)[index]];
        if (from && to) misdirect(from, to);
      },
    ),
    repair: "done",
    repaired: ["unreadable notice"],
  })),
  mended("a superblock in its other slot", NOTICE, ({ paths: [a] }) => {
    const [newest, older] = superblockSlots(a);
    misdirect(newest, older);
  }),
  mended("a page of another component", NOTICE, ({ paths: [, b, c] }) => {
    misdirect(pageSlots(b, 0)[0], pageSlots(c, 0)[0]);
  }),
  mended("another page of its component", NOTICE, ({ paths: [a] }) => {
    misdirect(pageSlots(a, 1)[0], pageSlots(a, 0)[1]);
  }),
  mended("a page in another slot of it", NOTICE, ({ paths: [a] }) => {
    misdirect(pageSlots(a, 0)[0], pageSlots(a, 0)[1]);
  }),
  refused("a page of another component in all its slots", LOST_PAGE, [
    "corrupt",
    "belongs to another component",
  ], ({ paths: [, b, c] }) => {
    const [from] = pageSlots(b, 0);
    for (const to of pageSlots(c, 0)) misdirect(from, to);
  }),
];

/** Components of another size, of another time, and too many of them. */
const COMPONENTS: readonly DamageKind[] = [
  ...[-300_000, -65_536, -8192, -4096, -100, 4096, 8192, 65_536, 300_000]
    .map((bytes): DamageKind => {
      const isSeen = Math.abs(bytes) === 65_536;
      const name = bytes < 0 ? "cut short" : "extended";
      return refused(
        `a component that is ${name} by ${Math.abs(bytes)} bytes`,
        isSeen ? UNREADABLE : MISSING,
        isSeen ? ["corrupt", "of a component of"] : ["not-found", "missing"],
        ({ paths: [a] }) => resizeComponent(a, bytes),
      );
    }),
  {
    name: "a component that is extended by a part of a page",
    findings: [],
    repair: "nothing",
    make: ({ paths: [a] }) => resizeComponent(a, 100),
  },
  refused("a copy of a component beside it", UNREADABLE, [
    "corrupt",
    "both claim to be component",
  ], withCopy),
  {
    name: "a copy without superblocks beside it",
    findings: [],
    repair: "nothing",
    make: (sample) => {
      const sound = new Snapshot(sample.paths);
      zeroSlots(superblockSlots(sample.paths[1]));
      const damaged = withCopy(sample);
      sound.restore();
      return damaged;
    },
  },
  {
    name: "a component that was removed and comes back",
    findings: ["stale notice"],
    remains: ["stale notice"],
    repair: "done",
    make: removeAndPutBack,
  },
  mended("a component that missed the clean stop", ["behind notice"], ({
    paths: [a],
  }) => {
    const [newest, older] = superblockSlots(a);
    rewriteSuperblock(newest, { generation: generationOf(older) - 1 });
  }),
  refused("a component as it was some time ago", ["behind damage"], [
    "corrupt",
    "restored from a copy",
  ], ({ paths: [, b, c, d], older, scratch }) => {
    const newer = new Snapshot([b, c, d]);
    older.restore();
    newer.restore();
    return { paths: [scratch.file("a"), b, c, d] };
  }),
  refused("older superblocks on a component", ["behind damage"], [
    "corrupt",
    "restored from a copy",
  ], (sample) => {
    for (const slot of superblockSlots(sample.paths[0])) {
      writeSlot(slot, before(sample, slot));
    }
  }),
];

/** What is sound by itself, and makes no sense. */
const CLAIMS: readonly DamageKind[] = [
  refused("an entry beyond the disk", BAD_ENTRY, [
    "corrupt",
    "256 virtual chunks",
  ], ({ paths: [, b] }) => {
    claimChunk(b, { chunk: 2, virtualChunk: VIRTUAL_CHUNKS, sequence: 9e9 });
  }),
  refused("an entry beyond the component", BAD_ENTRY, [
    "corrupt",
    "there are 170 chunks",
  ], ({ paths: [a] }) => {
    claimChunk(a, { chunk: 170, virtualChunk: 1, sequence: 9e9 });
  }),
  refused(
    "two chunks that claim one with the same sequence number",
    BAD_ENTRY,
    [
      "corrupt",
      "with the same sequence number",
    ],
    (sample) => claimTwice(sample, 0),
  ),
  mended("two chunks that claim one since one time and another", [
    "superseded notice",
  ], (sample) => {
    markInUse(sample.paths);
    return claimTwice(sample, -1);
  }),
  refused("a page that is lost as if it never was", ["lost-page damage"], [
    "corrupt",
    "differs from the one at the last clean stop",
  ], ({ paths: [a] }) => zeroSlots(pageSlots(a, 0))),
  refused("a page that is as it was before", ["lost-page damage"], [
    "corrupt",
    "differs from the one at the last clean stop",
  ], (sample) => {
    for (const slot of pageSlots(sample.paths[0], 0)) {
      writeSlot(slot, before(sample, slot));
    }
  }),
  refused("a newer version in a newest superblock", UNREADABLE, [
    "unsupported",
    "version is 3",
  ], ({ paths: [a] }) => rewriteSuperblock(superblockSlots(a)[0], NEWER)),
  mended("a newer version in an older superblock", NOTICE, ({
    paths: [a],
  }) => rewriteSuperblock(superblockSlots(a)[1], NEWER)),
  refused("an unknown feature in a newest superblock", UNREADABLE, [
    "unsupported",
    "incompat 0x4",
  ], ({ paths: [a] }) => {
    rewriteSuperblock(superblockSlots(a)[0], { incompat: 4 });
  }),
  refused("newest superblocks that contradict each other", UNREADABLE, [
    "corrupt",
    "contradicts",
  ], ({ paths: [a] }) => {
    const virtualSize = (VIRTUAL_CHUNKS - 1) * CHUNK;
    rewriteSuperblock(superblockSlots(a)[0], { virtualSize });
  }),
  {
    ...refused("an unknown feature for writers only", [], [
      "unsupported",
      "(0x4)",
    ], writersOnly),
    opensForReading: true,
    repair: "nothing",
  },
  {
    ...refused("an unknown feature for writers on one component", [], [
      "unsupported",
      "(0x4)",
    ], ({ paths: [, b] }) => {
      rewriteSuperblock(superblockSlots(b)[0], { readOnlyCompat: 4 });
    }),
    opensForReading: true,
    repair: "nothing",
  },
  {
    ...refused("an unknown feature for writers, and a damaged slot", NOTICE, [
      "unsupported",
      "--read-only",
    ], (sample) => {
      writersOnly(sample);
      flipBit(superblockSlots(sample.paths[0])[1], ANY_BIT);
    }),
    opensForReading: true,
  },
  refused("an unknown feature for writers, and lost superblocks", MISSING, [
    "not-found",
    "component 0",
  ], (sample) => {
    writersOnly(sample);
    spoilSlots(superblockSlots(sample.paths[0]));
  }),
];

/** Everything that can happen to a pool that was stopped cleanly. */
export const DAMAGE_KINDS: readonly DamageKind[] = [
  ...ONE_SLOT,
  ...LOST,
  ...MISDIRECTED,
  ...COMPONENTS,
  ...CLAIMS,
];

/** Something that the next open for writing puts right. */
function mended(
  name: string,
  findings: readonly string[],
  make: DamageKind["make"],
): DamageKind {
  return { name, findings, repair: "done", make };
}

/** Something that nobody can put right without guessing. */
function refused(
  name: string,
  findings: readonly string[],
  refusal: readonly [ErrorCode, string],
  make: DamageKind["make"],
): DamageKind {
  return { name, findings, refusal, repair: "refused", make };
}

/** What was in a slot some time ago. */
function before({ paths, older }: DamageSample, slot: Slot): Uint8Array {
  const now = new Snapshot(paths);
  older.restore();
  const bytes = readSlot(slot);
  now.restore();
  return bytes;
}

function withCopy({ paths, scratch }: DamageSample): Damaged {
  const copy = scratch.file("copy");
  Deno.copyFileSync(paths[1], copy);
  return { paths: [...paths, copy] };
}

async function removeAndPutBack(sample: DamageSample): Promise<Damaged> {
  const { paths, disk } = sample;
  const old = new Snapshot([paths[3]]);
  const pool = await openPool(paths);
  await pool.volume().discard(0, disk.length);
  await pool.remove([paths[3]]);
  await pool.close();
  old.restore();
  return { disk: new Uint8Array(disk.length) };
}

/** Chunk 2 of c claims what chunk 3 of b holds; its own is nobody's then. */
function claimTwice(
  { paths: [, b, c], disk }: DamageSample,
  later: number,
): Damaged {
  const claim = claimOf(b, 3);
  if (claim === undefined) throw new Error("chunk 3 of b is in use");
  const { virtualChunk, sequence } = claim;
  const left = disk.slice();
  const own = claimOf(c, 2);
  if (own !== undefined) {
    const at = own.virtualChunk * CHUNK;
    left.fill(0, at, at + CHUNK);
  }
  claimChunk(c, { chunk: 2, virtualChunk, sequence: sequence + later });
  return { disk: left };
}

function writersOnly({ paths }: DamageSample): void {
  for (const path of paths) {
    rewriteSuperblock(superblockSlots(path)[0], { readOnlyCompat: 4 });
  }
}
