/**
 * The wire: serves any block device to NBD clients, and makes exports of NBD
 * servers block devices.
 *
 * @module
 */

export { NbdDisk } from "./client/mod.ts";
export type {
  BackOffOptions,
  FreezeReason,
  HandshakeStyle,
  NbdClientTls,
  NbdDialect,
  NbdDiskEvent,
  NbdDiskOptions,
  NbdDiskStatus,
  NbdExportInfo,
  NbdIdentityRead,
} from "./client/mod.ts";
export { Pace } from "./server/export/mod.ts";
export type { NbdCounters, NbdEvent, NbdExport } from "./server/export/mod.ts";
export { NbdServer } from "./server/mod.ts";
export type {
  NbdClientInfo,
  NbdCloseOptions,
  NbdServerOptions,
} from "./server/mod.ts";
export { trackDescriptors } from "./server/stream/mod.ts";
export type { NbdTls, NbdTlsIdentity } from "./server/tls/mod.ts";
export { DEFAULT_LIMITS } from "./wire/mod.ts";
export type { NbdContext, NbdLimits, NbdStatusRun } from "./wire/mod.ts";
