/**
 * The process that serves pools.
 *
 * @module
 */

export {
  logStyleOf,
  poolOptionsOf,
  serverSettingsOf,
} from "./serve_options.ts";
export { plainSettings } from "./server_settings.ts";
export { servePools } from "./service.ts";
