/**
 * The transmission phase: from a request to its reply.
 *
 * @module
 */

export { allEnded, CANCEL_MS, delay, endAll } from "./ending.ts";
export { pieceLength } from "./large_write.ts";
export { Polling } from "./polling.ts";
export { checkRequest } from "./request_gate.ts";
export { Transmission } from "./transmission.ts";
