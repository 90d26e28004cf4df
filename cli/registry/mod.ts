/**
 * The registry: where the components of known pools are.
 *
 * @module
 */

export {
  forgetRate,
  recallRate,
  rememberRate,
  resumedText,
} from "./evacuation_rate.ts";
export { knownSizeText, refuseKnownComponents } from "./known_component.ts";
export { absolutePaths, assignComponents, withComponents } from "./locate.ts";
export type { StoppedPool } from "./locate.ts";
export { passedOverNotices } from "./passed_over.ts";
export { registerTasted } from "./register_tasted.ts";
export {
  forgetComponents,
  listRegistry,
  prepareRegistry,
  readRegistry,
  registeredSize,
  registerPool,
  updatePool,
} from "./registry.ts";
export type { RegistryEntry } from "./registry.ts";
export { controlSocketPath, findStateDirectory } from "./state_directory.ts";
