/**
 * Moves bytes between a local file and an export on a Unix socket, past the
 * queue of the remote disk: without copies, and without promises to repeat
 * anything. What fails here is done again by the remote disk.
 *
 * @module
 */

export { BulkCopy, canCarry } from "./bulk_copy.ts";
export type { BulkEnds } from "./bulk_copy.ts";
