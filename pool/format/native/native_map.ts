/**
 * The forward map of a pool of format 2: the union of the chunk tables of all
 * its components. Of two chunks that claim a virtual chunk the one of the
 * higher sequence number has it: it was moved, or given back and mapped anew,
 * and the older entry was not cleared yet.
 *
 * @module
 */

import { assert, counted } from "../../../errors.ts";
import {
  type Superblock,
  TABLE_SLOTS_SIZE,
  tableSlotPosition,
} from "../../../metadata/native/mod.ts";
import { type Component, type Finding, ForwardMap } from "../../core/mod.ts";
import type { NativeMember } from "./native_member.ts";
import { scanTable } from "./native_scan.ts";
import type { ChunkTable } from "./native_table.ts";
import type { DamageSink } from "../mod.ts";

/** A slot of a table that is not sound, and is not needed. */
export interface UnsoundSlot {
  /** The table. */
  readonly table: ChunkTable;
  /** Where the slot is, bytes from the start of the component. */
  readonly position: number;
  /** What is wrong with it. */
  readonly finding: Finding;
}

/** What the tables say. */
export interface NativeMap {
  /** Where each virtual chunk is. */
  readonly map: ForwardMap;
  /** The highest sequence number. */
  readonly sequence: number;
  /** Chunks whose virtual chunk is elsewhere by now. */
  readonly superseded: ReadonlyMap<Component, number[]>;
  /** Slots that are not sound, and that nothing depends on. */
  readonly unsound: readonly UnsoundSlot[];
  /** Pages that have lost one of their two copies. */
  readonly single: readonly Finding[];
}

/**
 * Reads the tables of all members.
 *
 * @param members The members; which of their chunks are in use is noted.
 * @param virtualChunks How many virtual chunks there are.
 * @param truth The superblock that decides.
 * @param damaged Told of what cannot be used.
 * @returns What they say.
 */
export async function readNativeMap(
  members: ReadonlyMap<Component, NativeMember>,
  virtualChunks: number,
  truth: Superblock,
  damaged: DamageSink,
): Promise<NativeMap> {
  const map = new ForwardMap(virtualChunks);
  map.setComponents([...members.keys()]);
  const superseded = new Map<Component, number[]>();
  const unsound: UnsoundSlot[] = [];
  const single: Finding[] = [];
  let highest = 0;
  const supersede = (component: Component, chunk: number) => {
    const chunks = superseded.get(component) ?? [];
    superseded.set(component, chunks);
    chunks.push(chunk);
  };
  for (const [component, { table }] of members) {
    const { path } = component.device;
    const { chunkCount } = component.geometry;
    await scanTable(table, {
      page: (index, slot, isSingle) => {
        table.loaded(index, slot, isSingle);
        const isLost = isSingle && truth.clean;
        if (isLost && !isTold(unsound.at(-1), table, index)) {
          single.push(singleCopy(table, index));
        }
      },
      unsound: (position, finding, mayBeTorn) => {
        // In a pool that was stopped cleanly every page has two sound slots.
        const isLost = finding.severity === "damage" &&
          (truth.clean || !mayBeTorn);
        if (isLost) return damaged(finding);
        unsound.push({
          table,
          position,
          finding: { ...finding, severity: "notice" },
        });
      },
      owned(chunk, virtualChunk, sequence) {
        const fault = faultOf(chunk, chunkCount, virtualChunk, virtualChunks);
        if (fault !== "") {
          return damaged(badEntry(path, chunk, virtualChunk, fault));
        }
        if (sequence > highest) highest = sequence;
        table.found(chunk, virtualChunk, sequence);
        component.use(chunk);
        if (map.claim(virtualChunk, component, chunk)) return;
        const other = map.component(virtualChunk);
        assert(other !== undefined, "what is claimed is mapped");
        const otherChunk = map.chunk(virtualChunk);
        const otherTable = members.get(other)?.table;
        assert(otherTable !== undefined, "a mapping names a member");
        const otherSequence = otherTable.sequenceOf(otherChunk);
        if (sequence === otherSequence) {
          const rival =
            `so does chunk ${otherChunk} of "${other.device.path}", ` +
            "since the same time";
          return damaged(badEntry(path, chunk, virtualChunk, rival));
        }
        if (sequence < otherSequence) return supersede(component, chunk);
        supersede(other, otherChunk);
        map.set(virtualChunk, component, chunk);
      },
    });
  }
  return { map, sequence: highest, superseded, unsound, single };
}

/** Whether what was told of last is a slot of this page. */
function isTold(
  last: UnsoundSlot | undefined,
  table: ChunkTable,
  page: number,
): boolean {
  if (last?.table !== table) return false;
  const at = last.position - tableSlotPosition(table.geometry, page, 0);
  return at >= 0 && at < TABLE_SLOTS_SIZE;
}

function singleCopy({ device, geometry }: ChunkTable, page: number): Finding {
  return {
    kind: "unsound",
    severity: "notice",
    what: `Page ${page} of the chunk table has one copy only, although the ` +
      "pool was stopped cleanly",
    where: `${device.path} at ${tableSlotPosition(geometry, page, 0)}`,
    effect: "no data are lost if one copy was; if both were, an older one " +
      "counts, and what was written anew since reads as it did then",
  };
}

/** What is wrong with an entry, or "". */
function faultOf(
  chunk: number,
  chunkCount: number,
  virtualChunk: number,
  virtualChunks: number,
): string {
  if (chunk >= chunkCount) return `there are ${counted(chunkCount, "chunk")}`;
  return virtualChunk >= virtualChunks
    ? `the disk has ${virtualChunks} virtual chunks`
    : "";
}

function badEntry(
  path: string,
  chunk: number,
  virtualChunk: number,
  fault: string,
): Finding {
  return {
    kind: "bad-entry",
    severity: "damage",
    what: `Chunk ${chunk} says that it holds virtual chunk ${virtualChunk}, ` +
      `but ${fault}`,
    where: path,
    effect: `the data of virtual chunk ${virtualChunk} cannot be trusted`,
  };
}
