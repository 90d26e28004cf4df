/**
 * Looks at the file systems under a served pool now and then, so that their
 * watermark is noticed although no command asks for the status.
 *
 * @module
 */

import type { Pool } from "../../pool/mod.ts";

/** The pause between two looks, milliseconds. */
const LOOK_MS = 15_000;

/**
 * Looks every 15 seconds. A look does not wait for a file system that hangs.
 *
 * @param pool The pool.
 * @returns Ends the looks.
 */
export function watchHosts(pool: Pool): () => void {
  const timer = setInterval(() => void pool.lookAtHosts(), LOOK_MS);
  Deno.unrefTimer(timer);
  void pool.lookAtHosts();
  return () => clearInterval(timer);
}
