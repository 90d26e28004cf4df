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
export { plainSettings, servePools } from "./service.ts";
