/**
 * Connections as streams of bytes.
 *
 * @module
 */

export {
  descriptorOf,
  isDrained,
  nativeSockets,
  peerProcess,
  takeAway,
  trackDescriptors,
} from "./descriptors.ts";
export { LoopBell } from "./loop_bell.ts";
export { LoopStream } from "./loop_stream.ts";
export { closeQuietly, isTcp, writeAll } from "./stream.ts";
export type { ByteStream, Carrier } from "./stream.ts";
