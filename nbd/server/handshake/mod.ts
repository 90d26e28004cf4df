/**
 * The handshake: from the first byte of a connection to the export and dialect
 * that its client chose.
 *
 * @module
 */

export { negotiate } from "./handshake.ts";
export type { Negotiated } from "./handshake.ts";
