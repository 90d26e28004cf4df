/**
 * An export: a block device under a name, as NBD clients see it.
 *
 * @module
 */

import type { BlockDevice } from "../../../device/block/mod.ts";
import { assert } from "../../../errors.ts";
import {
  type Dialect,
  EXPORT_BLOCK_STATUS_PAYLOAD,
  EXPORT_CAN_MULTI_CONN,
  EXPORT_HAS_FLAGS,
  EXPORT_READ_ONLY,
  EXPORT_ROTATIONAL,
  EXPORT_SEND_CACHE,
  EXPORT_SEND_DF,
  EXPORT_SEND_FAST_ZERO,
  EXPORT_SEND_FLUSH,
  EXPORT_SEND_FUA,
  EXPORT_SEND_TRIM,
  EXPORT_SEND_WRITE_ZEROES,
  isContextName,
  type NbdContext,
  PAYLOAD_SIZE_MAX,
  type SelectedContext,
  STRING_SIZE_MAX,
} from "../../wire/mod.ts";

const ENCODER = new TextEncoder();
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
   * two, at least 512 and at least the device's block size. 4096 by default;
   * more than 32 MiB, the longest request, is told as that.
   */
  readonly preferredBlockSize?: number;
  /** What BLOCK_STATUS can tell besides `base:allocation`; names differ. */
  readonly contexts?: readonly NbdContext[];
  /** Clients had better not jump about on it. False by default. */
  readonly rotational?: boolean;
}

/**
 * What the protocol layer has to know of an export, as one connection uses
 * it; fixed while it does.
 */
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
  /** How client and server talk. */
  readonly dialect: Dialect;
  /** READ is answered in chunks: the dialect is not `simple`. */
  readonly chunked: boolean;
  /** Headers are extended: the dialect is that. */
  readonly extended: boolean;
  /** The metadata contexts that were selected. */
  readonly contexts: readonly SelectedContext[];
  /** The transmission flags, as sent. */
  readonly flags: number;
}

/**
 * Asserts that an export is what its interface says, as far as clients could
 * notice.
 *
 * @param served The export.
 */
export function assertExport(served: NbdExport): void {
  const { name, description, contexts = [] } = served;
  assert(
    name !== "" && isString(name) && isString(description),
    "the name and the description of an export are strings of the protocol",
  );
  const names = contexts.map((context) => context.name);
  assert(
    names.every((name) => isContextName(name) && isString(name)) &&
      new Set(names).size === names.length,
    "the metadata contexts of an export have names of their own",
  );
}

/**
 * Asks an export's device what it can do.
 *
 * @param served The export.
 * @param dialect How client and server will talk.
 * @param contexts The metadata contexts that the client has selected.
 * @returns What is offered to the client.
 */
export function factsOf(
  served: NbdExport,
  dialect: Dialect = "simple",
  contexts: readonly SelectedContext[] = [],
): ExportFacts {
  const { device } = served;
  const minimumBlockSize = device.blockSize;
  const preferredBlockSize = Math.min(
    served.preferredBlockSize ??
      Math.max(PREFERRED_BLOCK_SIZE, minimumBlockSize),
    PAYLOAD_SIZE_MAX,
  );
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
  const facts = {
    size: device.size,
    minimumBlockSize,
    preferredBlockSize,
    readOnly,
    trim: !readOnly && device.capabilities.discard,
    fastZero: !readOnly && device.capabilities.fastZeroes,
    dialect,
    chunked: dialect !== "simple",
    extended: dialect === "extended",
    contexts,
  };
  return { ...facts, flags: flagsOf(facts, served.rotational === true) };
}

function flagsOf(
  facts: Omit<ExportFacts, "flags">,
  rotational: boolean,
): number {
  // Every connection reaches the same device, so a flush on one covers what
  // was written on all: CAN_MULTI_CONN is true for every export.
  let flags = EXPORT_HAS_FLAGS | EXPORT_SEND_FLUSH | EXPORT_SEND_FUA |
    EXPORT_CAN_MULTI_CONN | EXPORT_SEND_CACHE;
  flags |= facts.readOnly ? EXPORT_READ_ONLY : EXPORT_SEND_WRITE_ZEROES;
  if (rotational) flags |= EXPORT_ROTATIONAL;
  if (facts.trim) flags |= EXPORT_SEND_TRIM;
  if (facts.fastZero) flags |= EXPORT_SEND_FAST_ZERO;
  if (facts.chunked) flags |= EXPORT_SEND_DF;
  if (facts.extended && facts.contexts.length > 0) {
    flags |= EXPORT_BLOCK_STATUS_PAYLOAD;
  }
  return flags;
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

/** Whether the protocol allows it as a string. */
function isString(text: string): boolean {
  return !text.includes("\0") &&
    ENCODER.encode(text).length <= STRING_SIZE_MAX;
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value));
}
