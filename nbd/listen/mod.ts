/**
 * The sockets that a server listens on, and their addresses.
 *
 * @module
 */

export { DEFAULT_ADDRESS, isLocal, nbdUri } from "./address.ts";
export type { Address } from "./address.ts";
export { openListener } from "./listener.ts";
export type { OpenListener } from "./listener.ts";
export { checkSocketName, shortPath } from "./socket_path.ts";
export { listenOnPath } from "./unix_listener.ts";
export type { SocketOwner, SocketRights } from "./unix_listener.ts";
