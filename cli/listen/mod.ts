/**
 * Addresses and sockets to listen at.
 *
 * @module
 */

export {
  DEFAULT_ADDRESS,
  isLocal,
  nbdUri,
  parseListenAddress,
} from "./address.ts";
export type { Address } from "./address.ts";
export { AllowList } from "./allow_list.ts";
export { openDoor } from "./listener.ts";
export type { Door } from "./listener.ts";
export { Doors } from "./listeners.ts";
export { parseOwner } from "./owner.ts";
export { inheritDoors, inheritedSockets } from "./socket_activation.ts";
export { listenOnPath } from "./unix_listener.ts";
export type { SocketRights } from "./unix_listener.ts";
