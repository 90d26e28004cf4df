/**
 * A pool as it was read from its components, before anybody uses it. One
 * implementation a format.
 *
 * @module
 */

import type {
  Component,
  Finding,
  FindingKind,
  ForwardMap,
  MissingMember,
  PoolEvent,
} from "../core/mod.ts";
import type { PoolFormat } from "./pool_format.ts";

/** A member that is there, but of an earlier time than the pool. */
export interface StaleMember {
  /** Where it is. */
  readonly path: string;
  /** What tells so, a sentence. */
  readonly what: string;
}

/** What was read of a pool. */
export interface StoredPool {
  /** Its name. */
  readonly name: string;
  /** What tells it from others of its name. */
  readonly id: string;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** Its format, with the components. */
  readonly format: PoolFormat;
  /** Where each virtual chunk is. */
  readonly map: ForwardMap;
  /** Members that are not there. */
  readonly missing: readonly MissingMember[];
  /** Those of them that are there, but of an earlier time. */
  readonly stale: readonly StaleMember[];
  /** What is to be warned of as long as it is open, a sentence each. */
  readonly warnings: readonly string[];
  /** Why it may only be read; "" if it may be written. */
  readonly readOnlyReason: string;
  /** Why every open of it is one for reading only; "" if that is not so. */
  readonly writeReason: string;
  /** What a stop left half done, or is damaged and can be put right. */
  readonly notices: readonly Finding[];

  /**
   * Puts that right. Nothing was written before.
   *
   * @param onEvent Told what is done.
   * @returns Chunks that are nobody's any more and are to become free.
   * @throws {VirstorError} `io`.
   */
  recover(
    onEvent: (event: PoolEvent) => void,
  ): Promise<ReadonlyMap<Component, readonly number[]>>;
}

/**
 * Where damage goes that is found while a pool is read: it is thrown when the
 * pool is to be opened, and collected when it is to be checked.
 */
export type DamageSink = (finding: Finding) => void;

/**
 * A finding that the next open for writing takes away.
 *
 * @param kind What kind of thing it is.
 * @param what What was found.
 * @param where The component.
 * @returns The finding.
 */
export function notice(
  kind: FindingKind,
  what: string,
  where: string,
): Finding {
  const effect = "no data are lost; the next open for writing puts it right";
  return { kind, severity: "notice", what, where, effect };
}
