/**
 * The dialects of the transmission phase. Client and server negotiate one in
 * the handshake.
 *
 * Source: NBD `doc/proto.md`, section "Transmission".
 *
 * @module
 */

/**
 * The dialect of a connection:
 *
 * - `simple`: compact requests, simple replies
 * - `structured`: compact requests; replies to READ and BLOCK_STATUS, and
 *   errors, are structured chunks
 * - `extended`: requests and chunks have 64-bit lengths; every reply is chunks
 */
export type Dialect = "simple" | "structured" | "extended";
