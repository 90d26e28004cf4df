/**
 * Format 1 at work.
 *
 * @module
 */

export { readFreebsdPool } from "./freebsd_open.ts";
