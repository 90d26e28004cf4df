/**
 * Waits until components that are being evacuated are no longer members, and
 * reports the progress.
 *
 * @module
 */

import { basename } from "node:path";
import { counted, isUri, VirstorError } from "../../errors.ts";
import type { PoolStatus } from "../../pool/mod.ts";
import { pause } from "../signals/mod.ts";
import {
  formatSeconds,
  formatSize,
  printNotices,
  withProgress,
} from "../terminal/mod.ts";

/** Milliseconds between two status requests: at first, and at most. */
const PAUSE_MS_MIN = 20;
const PAUSE_MS_MAX = 500;

/** The components to wait for. */
export interface RemovalWait {
  /** The pool's name. */
  readonly name: string;
  /**
   * The components that are being evacuated, as the pool's status names them.
   */
  readonly paths: readonly string[];
  /**
   * Asks for the pool's status.
   *
   * @returns The status, or `undefined` if the server has ended.
   */
  ask(): Promise<PoolStatus | undefined>;
  /** Ends the waiting; the wait rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

/**
 * Waits until the components are removed.
 *
 * @param wait The components, and how to ask for the status.
 * @throws {VirstorError} `cancelled` if a signal interrupted the wait, or a
 *   component is kept; `shutdown` if the pool was stopped; `io` if an error
 *   stopped the evacuation.
 */
export async function waitForRemoval(wait: RemovalWait): Promise<void> {
  const { name, paths, signal } = wait;
  let far = "";
  let bytesAtFirst = 0;
  let isWarned = false;
  const finish = async () => {
    for (let ms = PAUSE_MS_MIN;; ms = Math.min(2 * ms, PAUSE_MS_MAX)) {
      signal.throwIfAborted();
      const status = await wait.ask();
      if (status === undefined) throw stoppedError(name, paths);
      const left = stillLeaving(status, paths);
      if (left === undefined) return;
      bytesAtFirst = Math.max(bytesAtFirst, left.bytes);
      far = progressText(status, left.bytes, bytesAtFirst);
      if (status.evacuation?.state === "waiting" && !isWarned) {
        isWarned = true;
        printNotices([
          `The evacuation of pool "${name}" waits for free chunks: add a ` +
          "component, or discard data",
        ]);
      }
      await pause(ms, signal);
    }
  };
  await withProgress(
    paths.length === 1
      ? `Evacuating "${basename(paths[0] ?? "")}"`
      : `Evacuating ${counted(paths.length, "component")}`,
    finish(),
    () => far,
  );
}

/**
 * The bytes that are still to be moved; `undefined` when all components are
 * removed.
 */
function stillLeaving(
  status: PoolStatus,
  paths: readonly string[],
): { bytes: number } | undefined {
  const { name, components, evacuation, chunkSize } = status;
  const members = components.filter(({ path }) => paths.includes(path));
  const kept = members.filter(({ evacuating }) => !evacuating);
  const leaving = members.filter(({ evacuating }) => evacuating);
  if (leaving.length > 0) {
    const reason = status.state === "failed"
      ? status.reason
      : evacuation?.reason ?? "";
    if (reason !== "") {
      throw new VirstorError(
        "io",
        `Cannot remove "${leaving[0]?.path}" from pool "${name}": the ` +
          `evacuation stopped: ${reason}` +
          adviceFor(leaving, reason),
      );
    }
    return {
      bytes: leaving.reduce((sum, one) => sum + one.used, 0) * chunkSize,
    };
  }
  if (kept.length === 0) return undefined;
  throw new VirstorError(
    "cancelled",
    `Cannot remove "${kept[0]?.path}" from pool "${name}": its evacuation ` +
      "was cancelled, it stays",
  );
}

/** Losses are accepted only of disks that are on this machine, and leave. */
function adviceFor(leaving: PoolStatus["components"], reason: string): string {
  const isUnreadable = leaving.some(({ path }) =>
    !isUri(path) && reason.startsWith("Cannot read ") &&
    reason.includes(`"${path}"`)
  );
  return isUnreadable
    ? '; look at its disk, or give up what cannot be read: "virstor remove ' +
      '--accept-loss SIZE"'
    : "";
}

function progressText(
  { evacuation }: PoolStatus,
  left: number,
  atFirst: number,
): string {
  const moved = atFirst === 0 ? 1 : 1 - left / atFirst;
  const parts = [
    `${Math.floor(moved * 100)}%`,
    `${formatSize(left)} left`,
    `${formatSize(evacuation?.bytesPerSecond ?? 0)}/s`,
  ];
  const seconds = evacuation?.secondsLeft ?? null;
  if (seconds !== null) parts.push(`${formatSeconds(seconds)} to go`);
  return parts.join(", ");
}

function stoppedError(name: string, paths: readonly string[]): VirstorError {
  return new VirstorError(
    "shutdown",
    `Cannot wait until "${paths[0]}" is removed: pool "${name}" was stopped; ` +
      "its evacuation continues when it is served again",
  );
}
