/**
 * The interface between an open pool and its on-disk format.
 *
 * @module
 */

export type { FormatName, PoolFormat } from "./pool_format.ts";
export { notice, sayRecovered } from "./stored_pool.ts";
export type { DamageSink, StaleMember, StoredPool } from "./stored_pool.ts";
