/**
 * The wire: serves any block device to NBD clients, and makes exports of NBD
 * servers block devices.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { MemoryDevice } from "@virstor/virstor/device";
 * import { exportOf, NbdDisk, serve } from "@virstor/virstor/nbd";
 *
 * const device = new MemoryDevice(2 ** 20);
 * await using served = await serve({
 *   exports: [exportOf(device, { name: "ram" })],
 *   listen: { hostname: "127.0.0.1", port: 0 },
 * });
 * await using disk = await NbdDisk.connect(served.uri);
 * await disk.write(new Uint8Array([7]), 0);
 * const byte = new Uint8Array(1);
 * device.read(byte, 0);
 * assertEquals(byte[0], 7);
 * ```
 *
 * @module
 */

export {
  copyDisk,
  describeExport,
  featuresOf,
  listNbdExports,
  NbdDisk,
} from "./client/mod.ts";
export { exportOf } from "./export_of.ts";
export type { ExportOptions, ExportSource } from "./export_of.ts";
export { DEFAULT_THREADS, serve, Served } from "./serve.ts";
export type { ServeOptions } from "./serve.ts";
export type { Address } from "./listen/mod.ts";
export type {
  BackOffOptions,
  CopyOptions,
  CopyResult,
  DescribeOptions,
  FreezeReason,
  HandshakeStyle,
  ListedExport,
  NbdClientTls,
  NbdDialect,
  NbdDiskEvent,
  NbdDiskOptions,
  NbdDiskStatus,
  NbdExportFeatures,
  NbdExportInfo,
  NbdIdentityRead,
  NbdWriteOptions,
} from "./client/mod.ts";
export type { NbdCounters, NbdEvent, NbdExport } from "./server/export/mod.ts";
export { NbdServer } from "./server/mod.ts";
export type {
  NbdClientInfo,
  NbdCloseOptions,
  NbdServerOptions,
} from "./server/mod.ts";
export type { NbdTls, NbdTlsIdentity } from "./server/tls/mod.ts";
export { DEFAULT_LIMITS } from "./wire/mod.ts";
export type {
  NbdContext,
  NbdContextFamily,
  NbdLimits,
  NbdStatusRun,
} from "./wire/mod.ts";
