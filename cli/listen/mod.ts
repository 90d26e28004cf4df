/**
 * The addresses and sockets that a server listens on.
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
export { openListener } from "./listener.ts";
export type { OpenListener } from "./listener.ts";
export { Listeners } from "./listeners.ts";
export { parseOwner } from "./owner.ts";
export { inheritedSockets, inheritListeners } from "./socket_activation.ts";
export { listenOnPath } from "./unix_listener.ts";
export type { SocketRights } from "./unix_listener.ts";
