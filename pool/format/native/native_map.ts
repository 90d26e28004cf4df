/**
 * The forward map of a pool of format 2: the union of the chunk tables of all
 * components. If two chunks claim one virtual chunk, the higher sequence number
 * wins. The older entry is left over from a move, or from a chunk that was
 * unmapped before its virtual chunk was mapped anew.
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
import { ownerFault, scanTable } from "./native_scan.ts";
import type { ChunkTable } from "./native_table.ts";
import type { DamageSink } from "../mod.ts";

/** A table slot that is unsound, and that nothing depends on. */
export interface UnsoundSlot {
  /** The table of the slot. */
  readonly table: ChunkTable;
  /** The slot's offset on the component, bytes. */
  readonly position: number;
  /** What is wrong with the slot. */
  readonly finding: Finding;
}

/** The contents of all chunk tables. */
export interface NativeMap {
  /** The place of each mapped virtual chunk. */
  readonly map: ForwardMap;
  /** The highest sequence number in use. */
  readonly sequence: number;
  /** Chunks per component whose virtual chunk is mapped elsewhere by now. */
  readonly superseded: ReadonlyMap<Component, number[]>;
  /** Unsound slots that nothing depends on. */
  readonly unsound: readonly UnsoundSlot[];
  /** Pages with only one of two copies left after a clean stop. */
  readonly single: readonly Finding[];
}

/**
 * Reads the tables of all members.
 *
 * @param members The members. Their mapped chunks are marked as used.
 * @param virtualChunks The number of virtual chunks.
 * @param truth The deciding superblock.
 * @param damaged Receives entries and pages that cannot be used.
 * @returns The contents of the tables.
 * @throws {VirstorError} `io`.
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
        if (isLost && !isReported(unsound.at(-1), table, index)) {
          single.push(singleCopy(table, index));
        }
      },
      unsound: (position, finding, mayBeTorn) => {
        // After a clean stop, every page has two sound slots.
        const isLost = finding.severity === "damage" &&
          (truth.clean || !mayBeTorn);
        if (isLost) return damaged(finding);
        unsound.push({
          table,
          position,
          finding: { ...finding, severity: "notice" },
        });
      },
      owned(chunk, virtualChunk, sequence, page, index) {
        const fault = ownerFault(page, index) ||
          faultOf(chunk, chunkCount, virtualChunk, virtualChunks);
        if (fault !== "") {
          return damaged(badEntry(path, chunk, virtualChunk, fault));
        }
        if (sequence > highest) highest = sequence;
        table.found(chunk, virtualChunk, sequence);
        component.use(chunk);
        if (map.claim(virtualChunk, component, chunk)) return;
        const other = map.component(virtualChunk);
        assert(other !== undefined, "a claimed virtual chunk is mapped");
        const otherChunk = map.chunk(virtualChunk);
        const otherTable = members.get(other)?.table;
        assert(otherTable !== undefined, "a mapping names a member");
        const otherSequence = otherTable.sequenceOf(otherChunk);
        if (sequence === otherSequence) {
          const rival =
            `so does chunk ${otherChunk} of "${other.device.path}", ` +
            "with the same sequence number";
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

/** Whether the unsound slot reported last belongs to this page. */
function isReported(
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
    what: `Page ${page} of the chunk table has only one copy, although the ` +
      "pool was stopped cleanly",
    where: `${device.path} at ${tableSlotPosition(geometry, page, 0)}`,
    effect: "no data are lost if one copy was lost; if both were, an older " +
      "copy counts, and chunks mapped since then read as they did at that time",
  };
}

/** What is wrong with an entry; "" if it is valid. */
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

export function badEntry(
  path: string,
  chunk: number,
  virtualChunk: number,
  fault: string,
): Finding {
  return {
    kind: "bad-entry",
    severity: "damage",
    what: `The entry of chunk ${chunk} names virtual chunk ${virtualChunk}, ` +
      `but ${fault}`,
    where: path,
    effect: `the data of virtual chunk ${virtualChunk} cannot be trusted`,
  };
}
