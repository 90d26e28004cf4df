/**
 * Carries out the calls of a control socket: checks requests, changes pools and
 * their registry entries. Commands use it for a stopped pool.
 *
 * @module
 */

export {
  eventsRequestOf,
  isControlCall,
  parseControlRequest,
} from "./call_requests.ts";
export {
  addComponents,
  growComponent,
  registerOpenPool,
  removeComponents,
  resizeDisk,
  SERVED_EVACUATION_RATE,
} from "./change_pool.ts";
export { type VolumeHandlers, volumeHandlers } from "./change_volumes.ts";
export { forgetFormerName, renameOpenPool } from "./rename_pool.ts";
export { parseFields } from "./request_fields.ts";
export { SETTINGS, type SettingSpec } from "./settings.ts";
export { parseSettings, settingText } from "./setting_values.ts";
export { parseSpaceMark } from "./space_mark.ts";
