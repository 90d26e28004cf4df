/**
 * The forward maps of a pool of format 2: the union of the chunk tables of all
 * components.
 *
 * If two chunks claim one version of a virtual chunk, the higher sequence number
 * wins. The older entry is left over from a move, or from a chunk that was
 * unmapped before its virtual chunk was mapped anew. After a power cut,
 * provisional entries are dropped. What no volume and no snapshot sees is freed.
 *
 * @module
 */

import { assert, counted } from "../../../errors.ts";
import {
  type EpochRange,
  type Superblock,
  TABLE_SLOTS_SIZE,
  tableSlotPosition,
  type VolumeRecord,
} from "../../../metadata/native/mod.ts";
import {
  type Component,
  connectVolumes,
  type Finding,
  firstVolume,
  ForwardMap,
  takeUnseen,
  type VolumeState,
} from "../../core/mod.ts";
import type { NativeMember } from "./native_member.ts";
import { type OwnedEntry, ownerFault, scanTable } from "./native_scan.ts";
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

/** Chunks of several components. */
export type ChunksByComponent = ReadonlyMap<Component, number[]>;

/** The contents of all chunk tables. */
export interface NativeMap {
  /** The volumes, with the place of each mapped chunk. */
  readonly volumes: readonly VolumeState[];
  /** The highest sequence number in use. */
  readonly sequence: number;
  /** Chunks whose virtual chunk is mapped elsewhere, or that nothing sees. */
  readonly superseded: ChunksByComponent;
  /** Chunks whose mapping was provisional when the power was cut. */
  readonly dropped: ChunksByComponent;
  /** Chunks whose mapping is provisional, and counts. */
  readonly unsettled: ChunksByComponent;
  /** Unsound slots that nothing depends on. */
  readonly unsound: readonly UnsoundSlot[];
  /** Pages with only one of two copies left after a clean stop. */
  readonly single: readonly Finding[];
}

/**
 * Reads the tables of all members.
 *
 * @param members The members. Their mapped chunks are marked as used.
 * @param truth The deciding superblock.
 * @param isPowerCut Whether provisional entries are dropped.
 * @param damaged Receives entries and pages that cannot be used.
 * @returns The contents of the tables.
 * @throws {VirstorError} `io`.
 */
export async function readNativeMap(
  members: ReadonlyMap<Component, NativeMember>,
  truth: Superblock,
  isPowerCut: boolean,
  damaged: DamageSink,
): Promise<NativeMap> {
  const reader = new MapReader(members, truth, isPowerCut, damaged);
  for (const [component, member] of members) {
    await reader.read(component, member);
  }
  return reader.end();
}

/** Reads tables, one after the other. */
class MapReader {
  readonly #members: ReadonlyMap<Component, NativeMember>;
  readonly #truth: Superblock;
  readonly #isPowerCut: boolean;
  readonly #damaged: DamageSink;
  readonly #records: readonly VolumeRecord[];
  readonly #maps: ReadonlyMap<number, ForwardMap>;
  /** The dead ranges of volumes that have some; a rollback leaves one. */
  readonly #dead: ReadonlyMap<number, readonly EpochRange[]>;
  readonly #superseded = new ChunkLists();
  readonly #dropped = new ChunkLists();
  readonly #unsettled = new ChunkLists();
  readonly #unsound: UnsoundSlot[] = [];
  readonly #single: Finding[] = [];
  #sequence = 0;

  constructor(
    members: ReadonlyMap<Component, NativeMember>,
    truth: Superblock,
    isPowerCut: boolean,
    damaged: DamageSink,
  ) {
    this.#members = members;
    this.#truth = truth;
    this.#isPowerCut = isPowerCut;
    this.#damaged = damaged;
    this.#records = truth.volumes?.volumes ??
      [firstVolume(truth.name, truth.virtualSize)];
    this.#dead = new Map(
      this.#records.filter(({ dead }) => dead.length > 0)
        .map(({ id, dead }) => [id, dead]),
    );
    this.#maps = new Map(this.#records.map((record) => {
      const map = new ForwardMap(record.size / truth.chunkSize, record.id);
      map.setComponents([...members.keys()]);
      map.setEpoch(record.epoch);
      return [record.id, map];
    }));
  }

  async read(component: Component, { table }: NativeMember): Promise<void> {
    const { clean } = this.#truth;
    await scanTable(table, {
      page: (index, slot, isSingle) => {
        table.loaded(index, slot, isSingle);
        const isLost = isSingle && clean;
        if (isLost && !isReported(this.#unsound.at(-1), table, index)) {
          this.#single.push(singleCopy(table, index));
        }
      },
      unsound: (position, finding, mayBeTorn) => {
        // After a clean stop, every page has two sound slots.
        const isLost = finding.severity === "damage" && (clean || !mayBeTorn);
        if (isLost) return this.#damaged(finding);
        const notice = { ...finding, severity: "notice" as const };
        this.#unsound.push({ table, position, finding: notice });
      },
      owned: (entry) => this.#owned(component, table, entry),
    });
  }

  end(): NativeMap {
    const volumes = this.#records.map((record) => {
      const map = this.#maps.get(record.id);
      assert(map !== undefined, "every volume has a map");
      // A mapping may be durable that is newer than the superblock.
      return { record: { ...record, epoch: map.epoch }, map };
    });
    connectVolumes(volumes, this.#truth.chunkSize);
    for (const { record, map } of volumes) {
      for (const { component, chunk } of takeUnseen(record, map)) {
        this.#superseded.add(component, chunk);
      }
    }
    return {
      volumes,
      sequence: this.#sequence,
      superseded: this.#superseded.chunks,
      dropped: this.#dropped.chunks,
      unsettled: this.#unsettled.chunks,
      unsound: this.#unsound,
      single: this.#single,
    };
  }

  #owned(
    component: Component,
    table: ChunkTable,
    entry: Readonly<OwnedEntry>,
  ): void {
    const { chunk, virtualChunk, sequence, volume, birth } = entry;
    const map = this.#maps.get(volume);
    const fault = this.#faultOf(component, entry, map);
    if (fault !== "") {
      return this.#damaged(badEntry(component, entry, fault));
    }
    if (sequence > this.#sequence) this.#sequence = sequence;
    table.found(chunk, virtualChunk, sequence, entry);
    component.use(chunk);
    if (entry.isProvisional) {
      if (this.#isPowerCut) return this.#dropped.add(component, chunk);
      this.#unsettled.add(component, chunk);
    }
    if (map === undefined || this.#isDead(volume, birth)) {
      return this.#superseded.add(component, chunk);
    }
    if (birth > map.epoch) map.setEpoch(birth);
    const other = map.version(virtualChunk, birth);
    if (other === undefined) {
      return map.addVersion(virtualChunk, { birth, component, chunk });
    }
    const otherTable = this.#members.get(other.component)?.table;
    assert(otherTable !== undefined, "a mapping names a member");
    const otherSequence = otherTable.sequenceOf(other.chunk);
    if (sequence === otherSequence) {
      const rival =
        `so does chunk ${other.chunk} of "${other.component.device.path}", ` +
        "with the same sequence number";
      return this.#damaged(badEntry(component, entry, rival));
    }
    if (sequence < otherSequence) return this.#superseded.add(component, chunk);
    this.#superseded.add(other.component, other.chunk);
    map.relocate(virtualChunk, birth, component, chunk);
  }

  /** Whether a rollback has ended the epoch of a mapping. */
  #isDead(volume: number, birth: number): boolean {
    const dead = this.#dead.get(volume);
    return dead !== undefined &&
      dead.some(({ first, last }) => first <= birth && birth <= last);
  }

  /** What is wrong with an entry; "" if it is valid. */
  #faultOf(
    component: Component,
    entry: OwnedEntry,
    map: ForwardMap | undefined,
  ): string {
    const { chunk, virtualChunk, volume, birth } = entry;
    const { chunkCount } = component.geometry;
    if (chunk >= chunkCount) return `there are ${counted(chunkCount, "chunk")}`;
    if (this.#truth.volumes === undefined) {
      const owner = ownerFault(entry);
      if (owner !== "") return owner;
    }
    // An entry of a volume that was removed is freed, whatever it says.
    if (map === undefined || virtualChunk < map.virtualChunks) return "";
    // So is one whose epoch was ended by a rollback to a smaller size.
    if (this.#isDead(volume, birth)) return "";
    return `the disk has ${map.virtualChunks} virtual chunks`;
  }
}

/** Chunks of several components, while they are found. */
class ChunkLists {
  readonly chunks = new Map<Component, number[]>();

  add(component: Component, chunk: number): void {
    const chunks = this.chunks.get(component);
    if (chunks === undefined) this.chunks.set(component, [chunk]);
    else chunks.push(chunk);
  }
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

/**
 * Reports an entry that cannot be used.
 *
 * @param component The component of the entry.
 * @param entry The entry.
 * @param fault What is wrong with it.
 * @returns The finding.
 */
export function badEntry(
  { device: { path } }: Component,
  { chunk, virtualChunk }: Readonly<OwnedEntry>,
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
