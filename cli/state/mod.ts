/**
 * The state directory: the registry of pools and the paths of control sockets.
 * This room reads no component and loads no pool, so commands that ask a server
 * start fast.
 *
 * @module
 */

export {
  forgetRate,
  recallRate,
  rememberRate,
  resumedText,
} from "./evacuation_rate.ts";
export { absolutePath, parentPath } from "./paths.ts";
export {
  absolutePaths,
  beginNotices,
  forgetComponents,
  forgetPool,
  listRegistry,
  prepareRegistry,
  readRegistry,
  registeredSize,
  updatePool,
  whileClaimed,
} from "./registry.ts";
export type { ClaimedName } from "./registry.ts";
export type { RegistryEntry } from "./registry_entry.ts";
export { remoteComponents, useJournals } from "./remote_components.ts";
export { controlSocketPath, findStateDirectory } from "./state_directory.ts";
