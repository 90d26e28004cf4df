/**
 * What a request touches: reads, first writes, delayed writes, discards and
 * zeroes.
 *
 * @module
 */

export type { DelayedWrites } from "./delayed_writes.ts";
export { ChunkMapper } from "./chunk_mapper.ts";
export { Eraser } from "./eraser.ts";
export { FirstWrites } from "./first_writes.ts";
export { flushMembers, shareSyncs } from "./flush_members.ts";
export { FullPool } from "./full_pool.ts";
export { giveBackAhead, unmapChunks } from "./give_back.ts";
export { leadingHole, mappedExtents } from "./mapped_ranges.ts";
export { PoolLeases } from "./pool_leases.ts";
export { OpenVolume } from "./open_volume.ts";
export type { PoolBase, VolumeParts } from "./pool_parts.ts";
export { readableAt, readableOf } from "./readable_views.ts";
export { Reads } from "./reads.ts";
export { remoteCongestion, remoteWaits } from "./remote_waits.ts";
export { Reserves } from "./reserves.ts";
export { Settling } from "./settling.ts";
export { SnapshotLeases } from "./snapshot_leases.ts";
export type { VolumeLimits } from "./volume_limits.ts";
