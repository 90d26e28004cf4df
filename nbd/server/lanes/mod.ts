/**
 * Connections that threads of their own serve.
 *
 * @module
 */

export { LaneStream } from "./lane_stream.ts";
export { Lanes } from "./lanes.ts";
