/**
 * The space of a pool: chunks that are free, ready, or being freed.
 *
 * @module
 */

export { Freeing } from "./freeing.ts";
export { Space } from "./space.ts";
