/**
 * What goes on for volumes and snapshots, in words.
 *
 * @module
 */

import { nameInPool } from "../../errors.ts";
import type { JobStatus, PoolStatus } from "../../pool/mod.ts";
import { formatSize } from "../terminal/mod.ts";

/** What a job does. */
const TITLES: { readonly [Kind in JobStatus["kind"]]: string } = {
  flatten: "Flattening",
  free: "Freeing",
  rollback: "Rolling back",
};

/**
 * Formats a job for the status of a pool.
 *
 * @param pool The pool.
 * @param job One of its jobs.
 * @returns What it does, and with which volumes or snapshots and how far.
 */
export function jobPair(
  pool: Pick<PoolStatus, "name" | "chunkSize">,
  job: JobStatus,
): [string, string] {
  const [first = "", ...more] = job.names;
  const others = more.length === 0 ? "" : ` and ${more.length} more`;
  const name = nameInPool(pool.name, first) + others;
  return [TITLES[job.kind], `${name}: ${jobProgress(pool, job)}`];
}

/**
 * Formats the progress of a job.
 *
 * @param pool The pool.
 * @param job One of its jobs.
 * @returns For instance `42%, 1.5 GiB freed`.
 */
export function jobProgress(
  { chunkSize }: Pick<PoolStatus, "chunkSize">,
  { kind, doneChunks, allChunks, freedChunks }: JobStatus,
): string {
  const share = allChunks === 0 ? 1 : doneChunks / allChunks;
  const percent = `${Math.floor(share * 100)}%`;
  if (kind === "flatten") return percent;
  return `${percent}, ${formatSize(freedChunks * chunkSize)} freed`;
}
