/**
 * An export: a block device with a name, as NBD clients see it.
 *
 * Source: NBD `doc/proto.md`, sections "Transmission flags" and "Size
 * constraints".
 *
 * @module
 */

import type { BlockDevice } from "../../../device/block/mod.ts";
import { assert } from "../../../errors.ts";
import {
  allocationContext,
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
  isContextPrefix,
  type NbdContext,
  type NbdContextFamily,
  type OfferedContexts,
  PAYLOAD_SIZE_MAX,
  type SelectedContext,
  STRING_SIZE_MAX,
} from "../../wire/mod.ts";

const ENCODER = new TextEncoder();
/** The largest minimum block size that NBD allows, bytes. */
const MINIMUM_BLOCK_SIZE_MAX = 64 * 1024;
/** The default of the preferred block size, bytes. */
const PREFERRED_BLOCK_SIZE = 4096;

/** A block device that a server exports. */
export interface NbdExport {
  /**
   * Name of the export: 1 to 4096 bytes of UTF-8 without NUL. The server only
   * compares it. A client that sends the empty name gets the first export.
   */
  readonly name: string;
  /** Description for users, one line, at most 4096 bytes of UTF-8. */
  readonly description: string;
  /** The exported device. The server never closes it. */
  readonly device: BlockDevice;
  /** Whether the server refuses writes, even if the device accepts them. */
  readonly readOnly: boolean;
  /**
   * Preferred block size, bytes: a power of two, at least 512 and at least the
   * device's block size. Default: the larger of 4096 and the device's block
   * size. The server announces at most 32 MiB, the longest request.
   */
  readonly preferredBlockSize?: number;
  /**
   * Metadata contexts besides `base:allocation`, or a function that gives those
   * of now when a client asks. Their names are unique. Default: none.
   */
  readonly contexts?: readonly NbdContext[] | (() => readonly NbdContext[]);
  /**
   * Contexts that may be too many to list with the others, or a function that
   * gives those of now. No name is in two families, or among the other
   * contexts. Default: none.
   */
  readonly contextFamilies?:
    | readonly NbdContextFamily[]
    | (() => readonly NbdContextFamily[]);
  /**
   * Whether the device is a rotating disk, on which random access is slow.
   * Default: false.
   */
  readonly rotational?: boolean;
}

/**
 * An export as it was negotiated for one connection. It does not change while
 * the connection lasts.
 */
export interface ExportProperties {
  /** The size that was negotiated, bytes. */
  readonly size: number;
  /** Minimum block size, bytes, a power of two up to 64 KiB. */
  readonly minimumBlockSize: number;
  /** Preferred block size, bytes, a power of two. */
  readonly preferredBlockSize: number;
  /** Whether the server refuses writes. */
  readonly readOnly: boolean;
  /** Whether the server offers TRIM. */
  readonly trim: boolean;
  /** Whether the server offers WRITE_ZEROES with FAST_ZERO. */
  readonly fastZero: boolean;
  /** The negotiated dialect. */
  readonly dialect: Dialect;
  /** Whether replies to READ are chunks: the dialect is not `simple`. */
  readonly chunked: boolean;
  /** Whether headers are extended: the dialect is `extended`. */
  readonly extended: boolean;
  /** The metadata contexts that the client selected. */
  readonly contexts: readonly SelectedContext[];
  /** The transmission flags that were negotiated, 16 bits. */
  readonly flags: number;
}

/**
 * Asserts that the names of an export, its description and its contexts obey
 * {@linkcode NbdExport}. Contexts that a function gives are asserted when a
 * client asks for them, by {@linkcode contextsOf}.
 *
 * @param nbdExport The export.
 */
export function assertExport(nbdExport: NbdExport): void {
  // There may be thousands, and every handshake asks.
  if (ASSERTED.has(nbdExport)) return;
  const { name, description, contexts = [], contextFamilies = [] } = nbdExport;
  assert(
    name !== "" && isString(name) && isString(description),
    "the name and the description of an export are strings of the protocol",
  );
  if (typeof contexts !== "function") addedContexts(contexts);
  if (typeof contextFamilies !== "function") {
    contextFamilies.forEach(assertedFamily);
  }
  ASSERTED.add(nbdExport);
}

/** Exports that were found valid; they never change. */
const ASSERTED = new WeakSet<NbdExport>();

/**
 * The metadata contexts that an export offers.
 *
 * @param nbdExport The export. Its contexts obey {@linkcode NbdExport}.
 * @returns `base:allocation`, and what the export adds, as it is now.
 */
export function contextsOf(nbdExport: NbdExport): OfferedContexts {
  const { device, contexts = [], contextFamilies = [] } = nbdExport;
  const added = typeof contexts === "function" ? contexts() : contexts;
  const families = typeof contextFamilies === "function"
    ? contextFamilies()
    : contextFamilies;
  return {
    single: [allocationContext(device), ...addedContexts(added)],
    families: families.map(assertedFamily),
  };
}

function addedContexts(added: readonly NbdContext[]): readonly NbdContext[] {
  const names = added.map((context) => context.name);
  assert(
    names.every((name) => isContextName(name) && isString(name)) &&
      new Set(names).size === names.length,
    "the metadata contexts of an export have names of their own",
  );
  return added;
}

function assertedFamily(family: NbdContextFamily): NbdContextFamily {
  const { prefix, count } = family;
  assert(
    isContextPrefix(prefix) && isString(prefix),
    "the prefix of a family of contexts is namespace:leaf:",
  );
  return {
    prefix,
    count,
    contexts: () => {
      const added = addedContexts(family.contexts());
      assert(
        added.every(({ name }) => name.startsWith(prefix)),
        "the contexts of a family have its prefix",
      );
      return added;
    },
  };
}

/**
 * Determines what the server offers to a client, from the export's device and
 * from what the client negotiated.
 *
 * *Requires:* the device's block size is a power of two up to 64 KiB, and its
 * size is a multiple of it.
 *
 * @param nbdExport The export.
 * @param dialect The negotiated dialect; `simple` by default.
 * @param contexts The selected metadata contexts; none by default.
 * @returns The export as negotiated.
 */
export function propertiesOf(
  nbdExport: NbdExport,
  dialect: Dialect = "simple",
  contexts: readonly SelectedContext[] = [],
): ExportProperties {
  const { device } = nbdExport;
  const minimumBlockSize = device.blockSize;
  const preferredBlockSize = Math.min(
    nbdExport.preferredBlockSize ??
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
  const readOnly = nbdExport.readOnly || device.capabilities.readOnly;
  const properties = {
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
  return {
    ...properties,
    flags: flagsOf(properties, nbdExport.rotational === true),
  };
}

function flagsOf(
  properties: Omit<ExportProperties, "flags">,
  rotational: boolean,
): number {
  // All connections use the same device, so a flush on one connection covers
  // the writes of all: CAN_MULTI_CONN holds for every export.
  let flags = EXPORT_HAS_FLAGS | EXPORT_SEND_FLUSH | EXPORT_SEND_FUA |
    EXPORT_CAN_MULTI_CONN | EXPORT_SEND_CACHE;
  flags |= properties.readOnly ? EXPORT_READ_ONLY : EXPORT_SEND_WRITE_ZEROES;
  if (rotational) flags |= EXPORT_ROTATIONAL;
  if (properties.trim) flags |= EXPORT_SEND_TRIM;
  if (properties.fastZero) flags |= EXPORT_SEND_FAST_ZERO;
  if (properties.chunked) flags |= EXPORT_SEND_DF;
  if (properties.extended && properties.contexts.length > 0) {
    flags |= EXPORT_BLOCK_STATUS_PAYLOAD;
  }
  return flags;
}

/**
 * Finds the export that a client asks for.
 *
 * @param exports All exports of the server.
 * @param name Name that the client sent; "" means the first export.
 * @returns The export; `undefined` if no export has that name.
 */
export function findExport(
  exports: readonly NbdExport[],
  name: string,
): NbdExport | undefined {
  return exports.find((nbdExport) => nbdExport.name === name) ??
    (name === "" ? exports[0] : undefined);
}

/** Whether the protocol allows the text as a string (section "Conventions"). */
function isString(text: string): boolean {
  return !text.includes("\0") &&
    ENCODER.encode(text).length <= STRING_SIZE_MAX;
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value));
}
