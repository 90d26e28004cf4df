/**
 * What a format has to do for an open pool.
 *
 * @module
 */

export type { FormatName, PoolFormat } from "./pool_format.ts";
export { notice } from "./stored_pool.ts";
export type { DamageSink, StaleMember, StoredPool } from "./stored_pool.ts";
