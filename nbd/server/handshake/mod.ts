/**
 * From the first byte of a connection to its export.
 *
 * @module
 */

export { negotiate } from "./handshake.ts";
export type { Negotiated } from "./handshake.ts";
