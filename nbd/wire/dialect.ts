/**
 * The three ways to talk in the transmission phase, chosen in the handshake:
 *
 * - `simple`: compact requests, simple replies
 * - `structured`: compact requests; READ, BLOCK_STATUS and errors are answered
 *   in chunks
 * - `extended`: requests and replies with lengths of 64 bits, all in chunks
 *
 * @module
 */

/** How client and server talk. */
export type Dialect = "simple" | "structured" | "extended";
