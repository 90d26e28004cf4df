/**
 * Native calls: what Linux offers beyond the runtime. No other room opens a
 * native library.
 *
 * @module
 */

export { socketCalls } from "./socket_calls.ts";
export type { SocketCalls } from "./socket_calls.ts";
export { ignoreSignal, isSignalIgnored } from "./ignored_signals.ts";
export { probeWithBlkid } from "./native_blkid.ts";
export type { BlkidFinding } from "./native_blkid.ts";
export { sendDatagram } from "./native_datagrams.ts";
export { nativeCalls } from "./native_calls.ts";
export type { NativeCalls } from "./native_calls.ts";
export { NativeConnections } from "./native_connections.ts";
export type { AcceptedConnection } from "./native_connections.ts";
export {
  claimBlockDevice,
  closeNative,
  linkTarget,
  listNames,
  lockNative,
  nativeIdentity,
  openElsewhere,
} from "./native_files.ts";
export type { OpenElsewhere } from "./native_files.ts";
export {
  addressOf,
  NativeBuffer,
  NativeIo,
  readNatively,
  readNoWait,
  startWriteBack,
  writeNatively,
} from "./native_io.ts";
export {
  allocateLater,
  blockDeviceSize,
  fileState,
  fileSystem,
  fileSystemLater,
  fileUsage,
  nextData,
  nextHole,
  punchHole,
  readAhead,
  readSmallFile,
  zeroRange,
} from "./native_linux.ts";
export type { FileState, FileUsage } from "./native_linux.ts";
export { returnLargeBlocks, trimMemory } from "./native_memory.ts";
export { openWriteGate } from "./native_poll.ts";
export type { WriteGate } from "./native_poll.ts";
export { type MemoryPart, NativeSockets } from "./native_sockets.ts";
export { NativeSocket } from "./native_transfers.ts";
export { signalGroup } from "./process_groups.ts";
export { childrenState, processName } from "./processes.ts";
