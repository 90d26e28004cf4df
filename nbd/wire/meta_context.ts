/**
 * Metadata contexts: named properties of byte ranges that BLOCK_STATUS
 * reports. Every export has `base:allocation`; an export may add others.
 *
 * Source: NBD `doc/proto.md`, section "Metadata querying".
 *
 * @module
 */

import type { BlockDevice, ExtentKind } from "../../device/block/mod.ts";
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
 * Lists the metadata contexts of an export.
 *
 * @param device The exported device.
 * @param more The contexts that the export adds; none by default.
 * @returns `base:allocation`, then `more`.
 */
export function allContexts(
  device: BlockDevice,
  more: readonly NbdContext[] = [],
): NbdContext[] {
  return [
    {
      name: ALLOCATION_NAME,
      status: (offset, length, limit) =>
        device.extents(offset, length, limit).map(({ length, kind }) => ({
          length,
          flags: ALLOCATION_FLAGS[kind],
        })),
    },
    ...more,
  ];
}

/**
 * Finds the contexts that a client asks for. A query is a full name, or
 * `namespace:` for all contexts of that namespace. Unknown queries are no
 * error: section "Metadata querying" has the server ignore them.
 *
 * @param contexts All contexts of the export.
 * @param queries The queries of the client.
 * @param wildcards Whether `namespace:` matches; else only full names do.
 * @returns The matching contexts, each once, in the order of `contexts`.
 */
export function findContexts(
  contexts: readonly NbdContext[],
  queries: readonly string[],
  wildcards: boolean,
): NbdContext[] {
  const wanted = new Set(queries);
  return contexts.filter(({ name }) =>
    wanted.has(name) ||
    (wildcards && wanted.has(name.slice(0, name.indexOf(":") + 1)))
  );
}
