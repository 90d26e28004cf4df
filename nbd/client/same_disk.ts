/**
 * Tells whether the far side of a new connection is still the same disk.
 *
 * @module
 */

import { type ErrorCode, inBytes, VirstorError } from "../../errors.ts";
import {
  EXPORT_READ_ONLY,
  EXPORT_SEND_FAST_ZERO,
  EXPORT_SEND_FLUSH,
  EXPORT_SEND_FUA,
  EXPORT_SEND_TRIM,
  EXPORT_SEND_WRITE_ZEROES,
} from "../wire/mod.ts";
import type { NbdExportInfo } from "./connection/mod.ts";
import type { Settings } from "./options.ts";

/** The transmission flags that requests of this client rely on. */
const RELIED_ON: readonly (readonly [number, string])[] = [
  [EXPORT_SEND_FLUSH, "FLUSH"],
  [EXPORT_SEND_FUA, "FUA"],
  [EXPORT_SEND_TRIM, "TRIM"],
  [EXPORT_SEND_WRITE_ZEROES, "WRITE_ZEROES"],
  [EXPORT_SEND_FAST_ZERO, "FAST_ZERO"],
];

/** The far side has changed: writing on would be unsafe. */
export class ChangedDisk extends VirstorError {
  /**
   * Creates an error.
   *
   * @param uri The URI, without a password.
   * @param difference What has changed, one clause.
   * @param code The code.
   * @param advice What that means, and what to do.
   */
  constructor(
    uri: string,
    difference: string,
    code: ErrorCode = "failed",
    advice = "nothing more is written there; connect again if that is right",
  ) {
    super(code, `Cannot continue with "${uri}": ${difference}; ${advice}`);
  }
}

/** The server has no export of that name any more. */
export class GoneExport extends ChangedDisk {
  /**
   * Creates an error.
   *
   * @param uri The URI, without a password.
   */
  constructor(uri: string) {
    const difference = "the server has no export of that name any more";
    super(uri, difference, "not-found", "it was removed, or renamed");
  }
}

/** A path does not lead to the disk of before; another one may. */
export class OtherDisk extends ChangedDisk {}

/**
 * Compares an identity with what it was before.
 *
 * @param before The identity as it was.
 * @param now The identity as it is.
 * @returns What has changed, one clause; `undefined` if nothing has.
 */
export function findOther(before: string, now: string): string | undefined {
  if (now === before) return undefined;
  return before === "" ? `it is ${now}` : `it was "${before}", and is "${now}"`;
}

/**
 * Refuses to write to an export on which nothing would be known to be durable.
 *
 * @param info The export.
 * @param settings Whether it is only read, and whether the caller accepts that.
 * @throws {VirstorError} `unsupported`.
 */
export function refuseWithoutFlush(
  info: NbdExportInfo,
  settings: Pick<Settings, "readOnly" | "unsafeNoFlush">,
): void {
  const canFlush = (info.flags & EXPORT_SEND_FLUSH) !== 0;
  const isReadOnly = settings.readOnly || (info.flags & EXPORT_READ_ONLY) !== 0;
  if (canFlush || isReadOnly || settings.unsafeNoFlush) return;
  throw new VirstorError(
    "unsupported",
    "The server does not support FLUSH, so nothing that is written there would " +
      "be known to be durable; use a server that supports it (nbdkit, " +
      "qemu-nbd, virstor), or only read from this one",
  );
}

/**
 * Compares an export with what it was before.
 *
 * @param before The export as it was.
 * @param now The export as it is.
 * @returns What has changed, one clause; `undefined` if nothing that matters.
 */
export function findDifference(
  before: NbdExportInfo,
  now: NbdExportInfo,
): string | undefined {
  if (now.size !== before.size) {
    return `its size was ${inBytes(before.size)}, and is ${inBytes(now.size)}`;
  }
  if ((now.flags & EXPORT_READ_ONLY) !== (before.flags & EXPORT_READ_ONLY)) {
    const isNow = (now.flags & EXPORT_READ_ONLY) !== 0;
    return isNow ? "it has become read-only" : "it is no longer read-only";
  }
  for (const [flag, name] of RELIED_ON) {
    if ((before.flags & flag) !== 0 && (now.flags & flag) === 0) {
      return `it no longer supports ${name}`;
    }
  }
  if (now.minimumBlock > before.minimumBlock) {
    return `its smallest block was ${inBytes(before.minimumBlock)}, and is ` +
      inBytes(now.minimumBlock);
  }
  if (now.maximumPayload < before.maximumPayload) {
    return `its longest request was ${inBytes(before.maximumPayload)}, and ` +
      `is ${inBytes(now.maximumPayload)}`;
  }
  return undefined;
}
