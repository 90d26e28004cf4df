/**
 * An export: a block device under a name, as NBD clients see it.
 *
 * @module
 */

import type { BlockDevice } from "../device/block_device.ts";
import { assert } from "../errors.ts";
import {
  EXPORT_CAN_MULTI_CONN,
  EXPORT_HAS_FLAGS,
  EXPORT_READ_ONLY,
  EXPORT_SEND_CACHE,
  EXPORT_SEND_FAST_ZERO,
  EXPORT_SEND_FLUSH,
  EXPORT_SEND_FUA,
  EXPORT_SEND_TRIM,
  EXPORT_SEND_WRITE_ZEROES,
} from "./protocol.ts";

/** The smallest of the largest unit that NBD allows for requests, bytes. */
const MINIMUM_BLOCK_SIZE_MAX = 64 * 1024;
/** What clients should prefer where nothing else is known, bytes. */
const PREFERRED_BLOCK_SIZE = 4096;

/** A block device that is served. */
export interface NbdExport {
  /**
   * What clients ask for; 1 to 4096 bytes of UTF-8 without NUL. It is only
   * ever compared. The empty name, asked by a client, means the first export.
   */
  readonly name: string;
  /** For people, one line; at most 4096 bytes of UTF-8. */
  readonly description: string;
  /** What is served. The server never closes it. */
  readonly device: BlockDevice;
  /** Refuse writes, also where the device would take them. */
  readonly readOnly: boolean;
  /**
   * What clients should prefer as the unit of requests, bytes: a power of
   * two, at least 512 and at least the device's block size. 4096 by default.
   */
  readonly preferredBlockSize?: number;
}

/** What the protocol layer has to know of an export; fixed while served. */
export interface ExportFacts {
  /** Bytes. */
  readonly size: number;
  /** The smallest unit of requests, bytes, a power of two up to 64 KiB. */
  readonly minimumBlockSize: number;
  /** The preferred unit of requests, bytes, a power of two. */
  readonly preferredBlockSize: number;
  /** Writes are refused. */
  readonly readOnly: boolean;
  /** TRIM is offered. */
  readonly trim: boolean;
  /** FAST_ZERO is offered. */
  readonly fastZero: boolean;
  /** The transmission flags, as sent. */
  readonly flags: number;
}

/**
 * Asks an export's device what it can do.
 *
 * @param served The export.
 * @returns What is offered to clients.
 */
export function factsOf(served: NbdExport): ExportFacts {
  const { device } = served;
  const minimumBlockSize = device.blockSize;
  const preferredBlockSize = served.preferredBlockSize ??
    Math.max(PREFERRED_BLOCK_SIZE, minimumBlockSize);
  assert(
    isPowerOfTwo(minimumBlockSize) &&
      minimumBlockSize <= MINIMUM_BLOCK_SIZE_MAX,
    "the block size of an exported device is a power of two up to 64 KiB",
  );
  assert(
    isPowerOfTwo(preferredBlockSize) &&
      preferredBlockSize >= Math.max(512, minimumBlockSize),
    "the preferred block size of an export is a power of two, not too small",
  );
  assert(
    device.size % minimumBlockSize === 0,
    "the size of an exported device is whole blocks",
  );
  const readOnly = served.readOnly || device.capabilities.readOnly;
  const trim = !readOnly && device.capabilities.discard;
  const fastZero = !readOnly && device.capabilities.fastZeroes;
  // Every connection reaches the same device, so a flush on one covers what
  // was written on all: CAN_MULTI_CONN is true for every export.
  let flags = EXPORT_HAS_FLAGS | EXPORT_SEND_FLUSH | EXPORT_SEND_FUA |
    EXPORT_CAN_MULTI_CONN | EXPORT_SEND_CACHE;
  if (readOnly) flags |= EXPORT_READ_ONLY;
  else flags |= EXPORT_SEND_WRITE_ZEROES;
  if (trim) flags |= EXPORT_SEND_TRIM;
  if (fastZero) flags |= EXPORT_SEND_FAST_ZERO;
  return {
    size: device.size,
    minimumBlockSize,
    preferredBlockSize,
    readOnly,
    trim,
    fastZero,
    flags,
  };
}

/**
 * Finds the export that a client asked for.
 *
 * @param exports All there are.
 * @param name The client's words; empty for the first.
 * @returns The export, or `undefined`.
 */
export function findExport(
  exports: readonly NbdExport[],
  name: string,
): NbdExport | undefined {
  return exports.find((served) => served.name === name) ??
    (name === "" ? exports[0] : undefined);
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value));
}
