/**
 * The state of a pool in words: the same for people and for programs.
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
  | "failed" // served, and takes no more writes
  | "incomplete" // stopped, and does not open: components are missing
  | "unknown" // not in the registry
  | ErrorCode; // it cannot be told

/** What else there is to say of a pool. */
export type Condition =
  | "read-only" // takes no writes, or could not if it was opened
  | "degraded" // served without some components
  | "evacuating"; // components are on their way out

/** The state of a pool. */
export interface PoolState {
  /** In a word. */
  readonly state: StateWord;
  /** What else there is to say. */
  readonly conditions: readonly Condition[];
  /** Why it has failed or cannot be told; "" if neither is so. */
  readonly reason: string;
}

/**
 * The state of a pool that could be looked at.
 *
 * @param report The pool and its server.
 * @param error Why it does not open, if so.
 * @returns Its state.
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
 * The state of a known pool.
 *
 * @param surveyed What was found out.
 * @returns Its state.
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
 * A state in a few words.
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
