/**
 * The control calls that concern volumes and snapshots.
 *
 * @module
 */

import type {
  ChangedRange,
  SnapshotName,
  SnapshotRemovalPlan,
  VolumeSettings,
  VolumeStatus,
} from "../../pool/mod.ts";

/** A request that names a volume; an empty name is the first volume. */
export interface VolumeRequest {
  /** The name of the volume. */
  readonly volume: string;
}

/** The request of `createVolume`. */
export interface CreateVolumeRequest extends VolumeRequest {
  /** The size, bytes. */
  readonly size: number;
}

/** The request of `renameVolume`. */
export interface RenameVolumeRequest extends VolumeRequest {
  /** The new name. */
  readonly to: string;
}

/** The request of `setVolume`. */
export interface SetVolumeRequest extends VolumeRequest {
  /** What to set; the rest stays. */
  readonly settings: VolumeSettings;
}

/** The request of `cloneSnapshot`. */
export interface CloneRequest extends SnapshotName {
  /** The name of the clone. */
  readonly to: string;
}

/** The request of `takeSnapshots`, and of `planRemoveSnapshots`. */
export interface SnapshotsRequest {
  /** The snapshots; an empty name of a volume is the first volume. */
  readonly snapshots: readonly SnapshotName[];
}

/** How to remove a volume or snapshots. */
export interface FreeingRequest {
  /** Whether the answer comes once their chunks are free. */
  readonly wait: boolean;
}

/** The request of `rollback`. */
export interface RollbackRequest extends SnapshotName {
  /** Whether to remove newer snapshots. */
  readonly removesNewer: boolean;
  /** Whether to roll back also while clients are connected to the volume. */
  readonly force: boolean;
}

/** The request of `diff`. */
export interface DiffRequest extends VolumeRequest {
  /** The name of the older snapshot. */
  readonly from: string;
  /** The name of the newer snapshot; empty for the volume itself. */
  readonly to: string;
}

/** The answer of a call that frees chunks. */
export interface FreedAnswer {
  /** Chunks that were freed; null if they are being freed. */
  readonly freedChunks: number | null;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
}

/** The answer of `takeSnapshots`. */
export interface SnapshotsAnswer {
  /** Bytes that the volumes had mapped, which they share with snapshots now. */
  readonly sharedBytes: number;
  /** Bytes of the chunks that are free for one of the volumes. */
  readonly freeBytes: number;
  /** The volumes whose quotas leave less than they share. */
  readonly short: readonly ShortVolume[];
}

/** A volume whose quota leaves less than it shares with a new snapshot. */
export interface ShortVolume {
  /** The name of the volume. */
  readonly volume: string;
  /** Bytes that it may take before it reaches its quota. */
  readonly leftBytes: number;
  /** Bytes that it shares with the snapshot. */
  readonly sharedBytes: number;
}

/** The calls, with the type of each request and answer. */
export interface VolumeCalls {
  /** Describes the volumes and their snapshots. */
  readonly listVolumes: { request: null; answer: VolumeStatus[] };
  /** Creates a volume. */
  readonly createVolume: {
    request: CreateVolumeRequest;
    answer: { size: number };
  };
  /** Removes a volume. */
  readonly removeVolume: {
    request: VolumeRequest & FreeingRequest;
    answer: FreedAnswer;
  };
  /** Renames a volume. */
  readonly renameVolume: { request: RenameVolumeRequest; answer: null };
  /** Sets the limits of a volume. */
  readonly setVolume: { request: SetVolumeRequest; answer: null };
  /** Copies what a clone shares with its parent. */
  readonly flattenVolume: { request: VolumeRequest; answer: null };
  /** Makes a volume of what a snapshot sees. */
  readonly cloneSnapshot: { request: CloneRequest; answer: null };
  /** Takes snapshots, at one instant. */
  readonly takeSnapshots: {
    request: SnapshotsRequest;
    answer: SnapshotsAnswer;
  };
  /** Finds what the removal of snapshots would free. */
  readonly planRemoveSnapshots: {
    request: SnapshotsRequest;
    answer: SnapshotRemovalPlan;
  };
  /** Removes snapshots. */
  readonly removeSnapshots: {
    request: SnapshotsRequest & FreeingRequest;
    answer: FreedAnswer;
  };
  /** Makes a volume what it was when a snapshot was taken. */
  readonly rollback: { request: RollbackRequest; answer: null };
  /** Finds what has changed since a snapshot. */
  readonly diff: { request: DiffRequest; answer: ChangedRange[] };
}
