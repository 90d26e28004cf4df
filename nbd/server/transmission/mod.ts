/**
 * The transmission phase: from a request to its reply.
 *
 * @module
 */

export { Backoff } from "./backoff.ts";
export { allEnded, CANCEL_MS, delay, endAll } from "./ending.ts";
export { pieceLength } from "./large_write.ts";
export { Polling } from "./polling.ts";
export { ReceiveBuffer } from "./receive_buffer.ts";
export {
  NEXT_END,
  NEXT_LARGE,
  NEXT_MORE,
  NEXT_WHOLE,
  RequestReader,
} from "./request_reader.ts";
export { checkRequest } from "./request_gate.ts";
export { Transmission } from "./transmission.ts";
