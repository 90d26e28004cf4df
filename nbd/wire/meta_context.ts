/**
 * Metadata contexts: named properties of byte ranges that BLOCK_STATUS
 * reports. Every export has `base:allocation`; an export may add others.
 *
 * Source: NBD `doc/proto.md`, section "Metadata querying".
 *
 * @module
 */

import type { BlockDevice, ExtentKind } from "../../device/block/mod.ts";
import { FAMILY_LISTED_MAX } from "./limits.ts";
import { STATE_HOLE, STATE_ZERO } from "./protocol.ts";

/** A run of bytes with one status. */
export interface NbdStatusRun {
  /** Bytes, above 0, a multiple of the device's block size. */
  readonly length: number;
  /** Status, 32 bits; each context defines its own bits. */
  readonly flags: number;
}

/** A metadata context that an export offers. */
export interface NbdContext {
  /**
   * `namespace:leaf`, at most 4096 bytes of UTF-8 without NUL. The namespace is
   * printable, without spaces and colons, and not `base`, which the protocol
   * reserves.
   */
  readonly name: string;
  /**
   * Reports the status of a range. The server calls it on the event loop while
   * requests wait, so it should be fast.
   *
   * *Ensures:* at least one run, in ascending order and without gaps, from
   * `offset` on. The server cuts runs at the end of the range and joins
   * neighbours of equal status.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range, above 0.
   * @param limit Runs that the caller can use; more are allowed.
   * @returns The runs. They may cover less than the range.
   * @throws {VirstorError} If the status cannot be determined; the request
   *   then fails.
   */
  status(offset: number, length: number, limit: number): NbdStatusRun[];
}

/**
 * Contexts whose names share a prefix. An export may have thousands, so a list
 * without queries has at most {@linkcode FAMILY_LISTED_MAX} of them.
 */
export interface NbdContextFamily {
  /** What each name begins with: `namespace:leaf:`, with the last colon. */
  readonly prefix: string;
  /** How many contexts there are. */
  readonly count: number;
  /**
   * Makes the contexts. The server calls it when a client asks for one of them,
   * or for all.
   *
   * @returns The contexts, as many as `count`.
   */
  contexts(): readonly NbdContext[];
}

/** What an export offers for BLOCK_STATUS. */
export interface OfferedContexts {
  /** The contexts that every list names. */
  readonly single: readonly NbdContext[];
  /** Contexts that may be too many for that. */
  readonly families: readonly NbdContextFamily[];
}

/** A metadata context that a client has selected. */
export interface SelectedContext {
  /** Id of the context in this connection, 32 bits. */
  readonly id: number;
  /** The selected context. */
  readonly context: NbdContext;
}

const ALLOCATION_NAME = "base:allocation";

const ALLOCATION_FLAGS: Readonly<Record<ExtentKind, number>> = {
  data: 0,
  hole: STATE_HOLE | STATE_ZERO,
  zero: STATE_ZERO,
};

/** The form of a family's prefix: namespace, colon, leaf, colon. */
const PREFIX = /^[^\s:\p{C}]+:[^\0]+:$/u;

/** The form of a context's name: namespace, colon, leaf. */
const NAME = /^[^\s:\p{C}]+:[^\0]+$/u;

/**
 * Checks the name of a metadata context that an export adds.
 *
 * @param name The name.
 * @returns Whether the name is `namespace:leaf` and not in namespace `base`.
 */
export function isContextName(name: string): boolean {
  return NAME.test(name) && !name.startsWith("base:");
}

/**
 * Checks the prefix of a family of metadata contexts.
 *
 * @param prefix The prefix.
 * @returns Whether it is `namespace:leaf:` and not in namespace `base`.
 */
export function isContextPrefix(prefix: string): boolean {
  return PREFIX.test(prefix) && isContextName(prefix);
}

/**
 * Makes the metadata context that every export has.
 *
 * @param device The exported device.
 * @returns `base:allocation`.
 */
export function allocationContext(device: BlockDevice): NbdContext {
  return {
    name: ALLOCATION_NAME,
    status: (offset, length, limit) =>
      device.extents(offset, length, limit).map(({ length, kind }) => ({
        length,
        flags: ALLOCATION_FLAGS[kind],
      })),
  };
}

/**
 * Lists the contexts that a client asks for. A query is a full name,
 * `namespace:` for all contexts of that namespace, or the prefix of a family.
 * Without queries the list names all contexts, and of a family that is too large
 * the prefix in place of the names: section "Metadata querying" allows that, so
 * that the lists of all exports together stay short. Unknown queries are no
 * error there.
 *
 * @param offered The contexts of the export.
 * @param queries The queries of the client.
 * @returns The names, each once: single contexts first.
 */
export function listContexts(
  offered: OfferedContexts,
  queries: readonly string[],
): string[] {
  const { single, families } = offered;
  if (queries.length === 0) {
    return [
      ...single.map(({ name }) => name),
      ...families.flatMap((family) =>
        family.count > FAMILY_LISTED_MAX
          ? [family.prefix]
          : family.contexts().map(({ name }) => name)
      ),
    ];
  }
  const wanted = new Set(queries);
  const whole = new Set(
    families.map(({ prefix }) => prefix).filter((prefix) => wanted.has(prefix)),
  );
  const isWanted = (name: string, prefix = "") =>
    wanted.has(name) || whole.has(prefix) ||
    wanted.has(name.slice(0, name.indexOf(":") + 1));
  return [
    ...single.filter(({ name }) => isWanted(name)).map(({ name }) => name),
    ...families.filter(({ prefix }) => concerns(prefix, queries)).flatMap(
      (family) =>
        family.contexts().map(({ name }) => name)
          .filter((name) => isWanted(name, family.prefix)),
    ),
  ];
}

/**
 * Finds the contexts that a client selects, by their full names. Unknown names
 * are no error.
 *
 * @param offered The contexts of the export.
 * @param names The names.
 * @returns The contexts, each once: single contexts first.
 */
export function selectContexts(
  { single, families }: OfferedContexts,
  names: readonly string[],
): NbdContext[] {
  const wanted = new Set(names);
  const isWanted = ({ name }: NbdContext) => wanted.has(name);
  return [
    ...single.filter(isWanted),
    ...families.filter(({ prefix }) => concerns(prefix, names)).flatMap(
      (family) => family.contexts().filter(isWanted),
    ),
  ];
}

/** Whether a query may be about contexts of a family. */
function concerns(prefix: string, queries: readonly string[]): boolean {
  const namespace = prefix.slice(0, prefix.indexOf(":") + 1);
  return queries.some((query) =>
    query === namespace || query.startsWith(prefix)
  );
}
