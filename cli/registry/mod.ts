/**
 * The registry: where the components of known pools are.
 *
 * @module
 */

export { knownSizeText, refuseKnownComponents } from "./known_component.ts";
export { assignComponents, withComponents } from "./locate.ts";
export type { StoppedPool } from "./locate.ts";
export { passedOverNotices } from "./passed_over.ts";
export { registerTasted } from "./register_tasted.ts";
export {
  changeStopped,
  checkStopped,
  inspectStopped,
  openGrown,
  openStopped,
} from "./stopped_pool.ts";
export { grownPoolName } from "../../pool/mod.ts";
