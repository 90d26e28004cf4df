/**
 * A pool as it was read from its components, before it is recovered and
 * opened. Each format reads it in its own way.
 *
 * @module
 */

import type {
  Component,
  Finding,
  FindingKind,
  MissingMember,
  PoolEvent,
  RecoveryStep,
  VolumeState,
} from "../core/mod.ts";
import type { PoolFormat } from "./pool_format.ts";

/** A member that was found, but in an earlier state than the pool. */
export interface StaleMember {
  /** The path of the component. */
  readonly path: string;
  /** The evidence, in one sentence. */
  readonly what: string;
}

/** The contents of a pool's metadata. */
export interface StoredPool {
  /** The pool's name. */
  readonly name: string;
  /** The id that distinguishes pools of the same name. */
  readonly id: string;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** The format, which lists the components. */
  readonly format: PoolFormat;
  /** The volumes, with the place of each mapped chunk; the first is number 0. */
  readonly volumes: readonly VolumeState[];
  /** Members that are unusable or were not found. */
  readonly missing: readonly MissingMember[];
  /** The missing members that were found, but are stale. */
  readonly stale: readonly StaleMember[];
  /** Warnings to show as long as the pool is open, one sentence each. */
  readonly warnings: readonly string[];
  /** Why an open for writing is refused; "" if it is not. */
  readonly readOnlyReason: string;
  /** Why an open for writing is read-only instead; "" if it is not. */
  readonly writeReason: string;
  /** What a crash left unfinished, or damage that can be repaired. */
  readonly notices: readonly Finding[];

  /**
   * Finishes or undoes what a crash left unfinished. This is the first write to
   * the components.
   *
   * @param onEvent Called for each step of the recovery.
   * @returns Chunks per component that are unmapped now and have to be freed.
   * @throws {VirstorError} `io`.
   */
  recover(
    onEvent: (event: PoolEvent) => void,
  ): Promise<ReadonlyMap<Component, readonly number[]>>;
}

/**
 * Makes a function that reports steps of a recovery.
 *
 * @param onEvent Receives the events.
 * @returns Reports a step: its name, its message, the paths of the components
 *   that were repaired, and how many chunks were concerned.
 */
export function sayRecovered(
  onEvent: (event: PoolEvent) => void,
): (
  step: RecoveryStep,
  message: string,
  paths: readonly string[],
  chunks?: number,
) => void {
  return (step, message, paths, chunks = 0) =>
    onEvent({ kind: "recovered", message, step, paths, chunks });
}

/**
 * Receives damage that is found while a pool is read. An open throws the first
 * finding; a check collects them all.
 */
export type DamageSink = (finding: Finding) => void;

/**
 * Makes a finding that the next open for writing repairs.
 *
 * @param kind The kind of finding.
 * @param what What was found, in one sentence.
 * @param where The component or the pool.
 * @returns The finding, of severity `notice`.
 */
export function notice(
  kind: FindingKind,
  what: string,
  where: string,
): Finding {
  const effect = "no data are lost; the next open for writing puts it right";
  return { kind, severity: "notice", what, where, effect };
}
