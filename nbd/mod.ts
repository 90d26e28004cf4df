/**
 * The wire: serves any block device to NBD clients.
 *
 * @module
 */

export type { NbdCounters } from "./counters.ts";
export { trackDescriptors } from "./descriptors.ts";
export type { NbdExport } from "./export.ts";
export type { NbdContext, NbdStatusRun } from "./meta_context.ts";
export { DEFAULT_LIMITS, type NbdLimits } from "./limits.ts";
export {
  type NbdClientInfo,
  type NbdCloseOptions,
  NbdServer,
  type NbdServerOptions,
} from "./server.ts";
export { Pace } from "./pace.ts";
export type { NbdEvent } from "./server_log.ts";
export type { NbdTls, NbdTlsIdentity } from "./tls.ts";
