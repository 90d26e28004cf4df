/**
 * Metadata contexts: what BLOCK_STATUS can tell of a disk, by name.
 * `base:allocation` is there for every export; an export may bring more.
 *
 * Source: NBD `doc/proto.md`, section "Metadata querying".
 *
 * @module
 */

import type { BlockDevice, ExtentKind } from "../../device/block/mod.ts";
import { STATE_HOLE, STATE_ZERO } from "./protocol.ts";

/** A run of bytes with one status. */
export interface NbdStatusRun {
  /** Bytes, above 0, whole blocks of the export's device. */
  readonly length: number;
  /** The status, 32 bits; what it means is the context's own. */
  readonly flags: number;
}

/** One thing that can be asked of every byte of an export. */
export interface NbdContext {
  /**
   * `namespace:leaf`, at most 4096 bytes of UTF-8 without NUL; the namespace
   * is printable, without spaces and colons. The namespace `base` is the
   * protocol's own.
   */
  readonly name: string;
  /**
   * What there is to tell of a range, in order and without gaps. Called while
   * requests wait, so it should be quick; it may throw a `VirstorError`.
   *
   * @param offset The first byte.
   * @param length How many, above 0.
   * @param limit Runs that are wanted at most; there may be more.
   * @returns At least one run; together they are `length` long, or less. What
   *   is longer is cut off; neighbours of one status are joined.
   */
  status(offset: number, length: number, limit: number): NbdStatusRun[];
}

/** A context that a client has selected. */
export interface SelectedContext {
  /** What the client knows it by, 32 bits, in this connection only. */
  readonly id: number;
  /** The context. */
  readonly context: NbdContext;
}

const ALLOCATION_NAME = "base:allocation";

const ALLOCATION_FLAGS: Readonly<Record<ExtentKind, number>> = {
  data: 0,
  hole: STATE_HOLE | STATE_ZERO,
  zero: STATE_ZERO,
};

/** A name: namespace, colon, leaf. */
const NAME = /^[^\s:\p{C}]+:[^\0]+$/u;

/**
 * Whether an export may have a context of this name.
 *
 * @param name The name.
 * @returns Whether it has the form, and is not in the protocol's namespace.
 */
export function isContextName(name: string): boolean {
  return NAME.test(name) && !name.startsWith("base:");
}

/**
 * All contexts of an export.
 *
 * @param device What is exported.
 * @param more What the export has besides `base:allocation`.
 * @returns The contexts; `base:allocation` first.
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
 * Finds what a client asks for: by name, or all of a namespace by `name:`.
 * What is not known is nothing to complain of.
 *
 * @param contexts Those of the export.
 * @param queries The client's words.
 * @param wildcards Whether a namespace alone means all that is in it.
 * @returns The contexts that match, each once.
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
