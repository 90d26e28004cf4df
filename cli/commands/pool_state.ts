/**
 * The state of a pool in words: the same in text and in JSON.
 *
 * @module
 */

import type { ErrorCode, VirstorError } from "../../errors.ts";
import type { PoolStatus } from "../../pool/mod.ts";
import type { StatusReport } from "../control/mod.ts";
import type { SurveyedPool } from "./survey.ts";

/** The state of a pool in a word. */
export type StateWord =
  | "served"
  | "stopped"
  | "failed" // served, but takes no more writes
  | "incomplete" // stopped; does not open, since components are missing
  | "unknown" // not in the registry
  | ErrorCode; // the state is not known, for this reason

/** A further condition of a pool. */
export type Condition =
  | "read-only" // takes no writes, or can only be opened read-only
  | "degraded" // served without some components
  | "evacuating"; // components are being evacuated

/** The state of a pool. */
export interface PoolState {
  /** The state in a word. */
  readonly state: StateWord;
  /** Further conditions. */
  readonly conditions: readonly Condition[];
  /** Why the pool has failed or its state is not known; else "". */
  readonly reason: string;
}

/**
 * The state of a pool whose status is known.
 *
 * @param report The pool and its server.
 * @param error Why the pool does not open, if it does not.
 * @returns The pool's state.
 */
export function stateOf(
  { pool, server }: StatusReport,
  error?: VirstorError,
): PoolState {
  const conditions = conditionsOf(pool, server !== null);
  if (pool.state === "failed") {
    return { state: "failed", conditions, reason: pool.reason };
  }
  if (error !== undefined) {
    return { state: "incomplete", conditions, reason: error.message };
  }
  const state = server === null ? "stopped" : "served";
  return { state, conditions, reason: "" };
}

/**
 * The state of a surveyed pool.
 *
 * @param surveyed The result of the survey.
 * @returns The pool's state.
 */
export function surveyedState(
  { report, error, entry }: SurveyedPool,
): PoolState {
  if (report !== undefined) return stateOf(report, error);
  const { code = "not-found", message = "" } = error ?? {};
  const state = entry === undefined ? "unknown" : code;
  return { state, conditions: [], reason: message };
}

/**
 * Formats a state as text.
 *
 * @param state The state.
 * @returns For instance `stopped`, `served, read-only`.
 */
export function stateWords({ state, conditions }: PoolState): string {
  return [state, ...conditions].join(", ");
}

function conditionsOf(pool: PoolStatus, isServed: boolean): Condition[] {
  const conditions: Condition[] = [];
  const isDegraded = pool.missing.length > 0;
  if (pool.readOnly) conditions.push("read-only");
  if (isServed && isDegraded) conditions.push("degraded");
  if (pool.evacuation !== null) conditions.push("evacuating");
  return conditions;
}
