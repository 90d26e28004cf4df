/**
 * Free chunks, ready ones, and those that are being freed.
 *
 * @module
 */

export { Releases } from "./freeing.ts";
export { Space } from "./space.ts";
