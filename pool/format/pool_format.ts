/**
 * The on-disk format of an open pool. Each format implements this interface;
 * the pool does not know which format it has.
 *
 * @module
 */

import type { VolumeRecord } from "../../metadata/native/mod.ts";
import type {
  ChunkOwner,
  Component,
  Finding,
  ForwardMap,
} from "../core/mod.ts";
import type { ComponentLayout } from "../member/mod.ts";

/** The on-disk formats. */
export type FormatName =
  | "native" // format 2: every component describes itself
  | "freebsd"; // format 1: that of FreeBSD's gvirstor

/** Writes the state of an open pool to its components. */
export interface PoolFormat {
  /** The name of the format. */
  readonly name: FormatName;
  /** The components, in their order on disk. */
  readonly members: readonly Component[];
  /** How components are divided; also the requirements for new ones. */
  readonly layout: ComponentLayout;
  /**
   * Whether the format fills components in order and never frees a chunk. In
   * the other formats, any free chunk may be allocated next.
   */
  readonly isDense: boolean;
  /** The volumes, as the superblocks list them; the first one is number 0. */
  readonly records: readonly VolumeRecord[];

  /**
   * Records a mapping in the page cache.
   *
   * *Requires*: the data of the chunk are in the page cache already. The caller
   * acknowledges the write only after this call.
   *
   * @param virtualChunk The virtual chunk.
   * @param owner The volume that it belongs to, and the birth of the mapping.
   * @param component The component that holds its data.
   * @param chunk The chunk on that component.
   * @throws {VirstorError} `io`; the state on disk is then unknown.
   */
  recordMapping(
    virtualChunk: number,
    owner: ChunkOwner,
    component: Component,
    chunk: number,
  ): void;

  /**
   * Records several mappings in the page cache, with fewer writes than one by
   * one. They are there when the call returns, and some of them may not be
   * before.
   *
   * @param record Calls {@linkcode recordMapping}, and nothing else of the
   *   format; awaits nothing.
   * @throws {VirstorError} `io`; the state on disk is then unknown.
   */
  recordTogether(record: () => void): void;

  /**
   * Records in the page cache that provisional mappings are durable. Dense
   * formats throw.
   *
   * *Requires*: the data of the chunks are durable.
   *
   * @param component The component of the chunks.
   * @param chunks Their numbers on it; ascending order is cheapest.
   * @throws {VirstorError} `io`; the state on disk is then unknown.
   */
  recordSettled(component: Component, chunks: readonly number[]): void;

  /**
   * Records in the page cache that chunks are free. Dense formats throw.
   *
   * @param component The component of the chunks.
   * @param chunks Their numbers on it; ascending order is cheapest.
   * @throws {VirstorError} `io`; the state on disk is then unknown.
   */
  recordRelease(component: Component, chunks: readonly number[]): void;

  /**
   * Records in the page cache that allocation goes on with another component.
   *
   * *Requires*: no chunk of `next` has been allocated since it became next.
   *
   * @param full The component that has no free chunk left.
   * @param next The component from which chunks are allocated from now on.
   * @throws {VirstorError} `io`.
   */
  recordSwitch(full: Component, next: Component): void;

  /**
   * Brings the state on disk up to date at a clean stop, durably.
   *
   * *Requires*: everything written before is durable.
   * *Ensures*: the format writes nothing afterwards.
   *
   * @throws {VirstorError} `io`.
   */
  stop(): Promise<void>;

  /**
   * Adds components to the members, durably and atomically.
   *
   * @param added The new components, with their indexes set.
   * @param onCommit Called once chunks may be allocated on them.
   * @throws {VirstorError} `failed` if the state on disk is unknown; with any
   *   other code the members are unchanged.
   */
  addMembers(
    added: readonly Component[],
    onCommit: () => void,
  ): Promise<void>;

  /**
   * Takes in what a member got, durably and atomically.
   *
   * *Requires*: `device.length` has the new size already.
   *
   * @param member The member; it gets a new geometry.
   * @param size Bytes of it from now on, more than before.
   * @param onCommit Called once chunks may be allocated there.
   * @throws {VirstorError} `failed` if the state on disk is unknown; with any
   *   other code, as `invalid` if the component cannot grow so, it is unchanged.
   */
  growMember(
    member: Component,
    size: number,
    onCommit: () => void,
  ): Promise<void>;

  /**
   * Removes components from the members, durably and atomically, and erases
   * their labels.
   *
   * *Requires*: the components hold no chunk.
   *
   * @param removed The members to remove.
   * @param onCommit Called once the removal is durable, before labels are
   *   erased.
   * @throws {VirstorError} `failed` if the state on disk is unknown.
   */
  removeMembers(
    removed: readonly Component[],
    onCommit: () => void,
  ): Promise<void>;

  /**
   * Records which components are evacuating, durably and atomically. Dense
   * formats throw.
   *
   * @param evacuating All members that are to be evacuated; the others stay.
   * @throws {VirstorError} `failed` if the state on disk is unknown.
   */
  setEvacuating(evacuating: ReadonlySet<Component>): Promise<void>;

  /**
   * Changes the volumes, durably and atomically. Dense formats throw.
   *
   * *Requires*: nothing is mapped that the new records do not allow.
   *
   * @param records All volumes of the pool from now on. The first one has the
   *   name of the pool, so another name of it renames the pool.
   * @throws {VirstorError} `no-space` if the superblock has no room for the
   *   records: nothing has changed. `failed` if the state on disk is unknown.
   */
  setVolumes(records: readonly VolumeRecord[]): Promise<void>;

  /**
   * Refuses volumes for which the superblocks have no room. Dense formats
   * throw.
   *
   * @param records All volumes.
   * @throws {VirstorError} `no-space`.
   */
  assertFits(records: readonly VolumeRecord[]): void;

  /**
   * Makes the superblocks list the volumes, durably, if they do not yet. An
   * open refuses entries with a birth, and provisional ones, without a list.
   * Dense formats throw.
   */
  listVolumes(): Promise<void>;

  /**
   * Compares the state on disk with the state in memory.
   *
   * @param maps The forward maps in memory, by the number of the volume.
   * @returns The differences, and damage that was found on the way.
   */
  check(maps: ReadonlyMap<number, ForwardMap>): Promise<Finding[]>;
}
