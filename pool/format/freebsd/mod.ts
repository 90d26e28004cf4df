/**
 * Format 1: that of FreeBSD's gvirstor.
 *
 * @module
 */

export { readFreebsdPool } from "./freebsd_open.ts";
