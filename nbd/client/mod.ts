/**
 * The client: exports of NBD servers as block devices.
 *
 * @module
 */

export type { BackOffOptions } from "./back_off.ts";
export {
  isNbdUri,
  listContexts,
  listExports,
  parseNbdUri,
  uriError,
} from "./connection/mod.ts";
export type {
  ConnectionOptions,
  HandshakeStyle,
  ListedExport,
  NbdClientTls,
  NbdExportInfo,
  NbdUri,
} from "./connection/mod.ts";
export type { Dialect as NbdDialect } from "../wire/mod.ts";
export { changedSince } from "./changed.ts";
export { canCarry } from "./bulk/mod.ts";
export { copyDisk, inParallel } from "./copy.ts";
export type { CopyOptions, CopyResult } from "./copy.ts";
export { isZero } from "./copy_parts.ts";
export { describeExport, featuresOf, listNbdExports } from "./describe.ts";
export type { DescribeOptions, NbdExportFeatures } from "./describe.ts";
export type { NbdDiskStatus } from "./disk_status.ts";
export type { FreezeReason } from "./freezes.ts";
export { NbdDisk } from "./nbd_disk.ts";
export type { Range } from "./pieces.ts";
export type {
  NbdDiskEvent,
  NbdDiskOptions,
  NbdIdentityRead,
  NbdWriteOptions,
} from "./options.ts";
