/**
 * Connections that threads of their own serve.
 *
 * @module
 */

export { Lanes } from "./lanes.ts";
export { LaneStream } from "./lane_stream.ts";
