/**
 * The verdict on a pool: whether it is well, why not, and what to do.
 *
 * @module
 */

import { counted, isOrAre } from "../../errors.ts";
import type { PoolStatus } from "../../pool/mod.ts";
import type { PoolState } from "./pool_state.ts";

/** How well a pool is; the worse ones come later. */
export const VERDICTS = ["healthy", "warning", "degraded", "failed"] as const;

/** How well a pool is. */
export type Verdict = typeof VERDICTS[number];

/** One reason why a pool is not well. */
export interface HealthReason {
  /** How bad it is. */
  readonly verdict: Exclude<Verdict, "healthy">;
  /** What was found. */
  readonly reason: string;
  /** What to do; "" where the reason says so. */
  readonly advice: string;
}

/** The verdict on a pool. */
export interface Health {
  /** The worst of the reasons; `healthy` without any. */
  readonly verdict: Verdict;
  /** The reasons, the worst first. */
  readonly reasons: readonly HealthReason[];
}

/**
 * Finds out how well a pool is.
 *
 * @param state The pool's state in words.
 * @param pool The pool's status; undefined if it is not known.
 * @returns The verdict, with reasons.
 */
export function healthOf(
  { state, reason }: PoolState,
  pool: PoolStatus | undefined,
): Health {
  const reasons: HealthReason[] = [];
  if (pool === undefined || state === "failed") {
    const advice = pool === undefined ? "" : FAILED_ADVICE;
    reasons.push({ verdict: "failed", reason, advice });
  } else if (state === "incomplete") {
    reasons.push({
      verdict: "failed",
      reason,
      advice: `"virstor serve --degraded ${pool.name}" serves the rest`,
    });
  }
  if (pool !== undefined) {
    reasons.push(...degradations(pool, state), ...warnings(pool));
  }
  const rank = ({ verdict }: HealthReason) => -VERDICTS.indexOf(verdict);
  reasons.sort((a, b) => rank(a) - rank(b));
  return { verdict: reasons[0]?.verdict ?? "healthy", reasons };
}

const FAILED_ADVICE =
  'look at the disk below, stop the pool, run "virstor check", start it again';

function degradations(
  { name, missing, components, evacuation, delayed }: PoolStatus,
  state: PoolState["state"],
): HealthReason[] {
  const reasons: HealthReason[] = [];
  const add = (reason: string, advice: string) =>
    reasons.push({ verdict: "degraded", reason, advice });
  if (missing.length > 0 && state !== "incomplete") {
    const all = components.length + missing.length;
    add(
      `${missing.length} of ${counted(all, "component")} ` +
        `${isOrAre(missing.length)} missing`,
      "bring them back, then serve the pool again",
    );
  }
  if (evacuation?.state === "stopped" && state === "served") {
    add(
      `the evacuation has stopped: ${evacuation.reason}`,
      'look at the disk, then run "virstor remove" again, or with --cancel',
    );
  }
  if (state === "served") reasons.push(...farReasons(components));
  if (delayed.count > 0) {
    add(
      `${counted(delayed.count, "write")} ` +
        `${delayed.count === 1 ? "waits" : "wait"} for space`,
      `"virstor add ${name} PATH", or discard data`,
    );
  }
  return reasons;
}

/** What is wrong with components on other machines. */
function farReasons(components: PoolStatus["components"]): HealthReason[] {
  return components.flatMap(({ path, remote }): HealthReason[] => {
    if (remote === null || remote.state === "connected") return [];
    const { state, lastError } = remote;
    const found = lastError === "" ? "" : `: ${lastError}`;
    if (state === "failed") {
      return [{
        verdict: "degraded",
        reason: `component "${path}" takes no more requests${found}`,
        advice: "look at its server, stop the pool, start it again",
      }];
    }
    return [{
      verdict: "degraded",
      reason:
        `component "${path}" is not connected, requests to it wait${found}`,
      advice: "look at its server",
    }];
  });
}

function warnings({ warnings, reason, name }: PoolStatus): HealthReason[] {
  return warnings.filter((warning) => warning !== reason).map((warning) => ({
    verdict: "warning",
    reason: warning,
    advice:
      /\b(free|in use|unused)\b/.test(warning) && !/file system/.test(warning)
        ? `"virstor add ${name} PATH" adds space`
        : "",
  }));
}

/**
 * Formats a verdict.
 *
 * @param health The verdict.
 * @returns For instance `healthy`, or `warning: 3 of 126 chunks are free ...`,
 *   with the advice of the first reason.
 */
export function healthText({ verdict, reasons }: Health): string {
  const [first, ...more] = reasons;
  if (first === undefined) return verdict;
  const { reason, advice } = first;
  const text = `${verdict}: ${reason}` + (advice === "" ? "" : `; ${advice}`);
  return more.length === 0
    ? text
    : `${text} (and ${counted(more.length, "more reason")})`;
}
