/**
 * The parts of an open pool.
 *
 * @module
 */

import type { LeaseTable } from "../../device/leases/mod.ts";
import type { VolumeRecord } from "../../metadata/native/mod.ts";
import type { VirstorError } from "../../errors.ts";
import type { ForwardMap, HostSpaces, PoolSettings } from "../core/mod.ts";
import type { ChunkMapper } from "./chunk_mapper.ts";
import type { FirstWrites } from "./first_writes.ts";
import type { FullPool } from "./full_pool.ts";
import type { Reserves } from "./reserves.ts";
import type { PoolFormat } from "../format/mod.ts";
import type { Settling } from "./settling.ts";
import type { Freeing, Space } from "../space/mod.ts";

/** What all volumes of a pool share. */
export interface PoolBase {
  /** The settings. */
  readonly settings: PoolSettings;
  /** How the state of the pool reaches the disk, and the components. */
  readonly format: PoolFormat;
  /** The free chunks. */
  readonly space: Space;
  /** The free space of the host's file systems. */
  readonly hosts: HostSpaces;
  /** Chunks that are being freed. */
  readonly freeing: Freeing;
  /** Maps free chunks. */
  readonly mapper: ChunkMapper;
  /** What writes do when no chunk is free. */
  readonly full: FullPool;
  /** The chunks that are set aside for volumes. */
  readonly reserves: Reserves;
  /** Mappings that are not durable yet and hide others. */
  readonly settling: Settling;
  /**
   * Stops all writes for good, because the state on disk is unknown.
   *
   * @param cause What happened.
   * @returns The error to throw.
   */
  readonly fail: (cause: unknown) => VirstorError;
  /**
   * The maps of volumes that were removed and have chunks that are not freed
   * yet, by their numbers.
   */
  readonly removed: Map<number, ForwardMap>;
  /** The leases of all volumes and snapshots. */
  readonly readers: Set<LeaseTable>;
  /** The volumes that are open; the first one is number 0. */
  readonly volumes: readonly VolumeParts[];
}

/** The parts of an open volume. */
export interface VolumeParts {
  /** What the volume shares with the others of its pool. */
  readonly base: PoolBase;
  /** What the superblock says of the volume now. */
  readonly record: VolumeRecord;
  /** The place of each of its chunks. */
  readonly map: ForwardMap;
  /** Writes that need a chunk. */
  readonly firstWrites: FirstWrites;
}
