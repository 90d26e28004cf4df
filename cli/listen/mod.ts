/**
 * The addresses and sockets that a server listens on.
 *
 * @module
 */

export { parseAddressOrPath, parseListenAddress } from "./address.ts";
export { AllowList } from "./allow_list.ts";
export { Listeners } from "./listeners.ts";
export { parseOwner } from "./owner.ts";
export { inheritedSockets, inheritListeners } from "./socket_activation.ts";
