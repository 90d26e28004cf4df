/**
 * Waits until components that are being evacuated are no members any more, and
 * tells how far it is.
 *
 * @module
 */

import { basename } from "node:path";
import { counted, VirstorError } from "../../errors.ts";
import type { PoolStatus } from "../../pool/mod.ts";
import {
  formatSeconds,
  formatSize,
  printNotices,
  withProgress,
} from "../terminal/mod.ts";

/** How long to wait before asking again: at first, and at most. */
const PAUSE_MS_MIN = 20;
const PAUSE_MS_MAX = 500;

/** What is waited for. */
export interface RemovalWait {
  /** The pool's name. */
  readonly name: string;
  /** The components that are being evacuated, as the pool's status names them. */
  readonly paths: readonly string[];
  /**
   * Asks how the pool does.
   *
   * @returns Its status, or `undefined` if its server has gone.
   */
  ask(): Promise<PoolStatus | undefined>;
  /** Ends the waiting, with the reason that it gives. */
  readonly signal: AbortSignal;
}

/**
 * Waits.
 *
 * @param wait For what.
 * @throws {VirstorError} `cancelled` if it was interrupted, or a component is
 *   kept; `shutdown` if the pool was stopped; `io` if the evacuation was
 *   stopped by an error.
 */
export async function waitForRemoval(wait: RemovalWait): Promise<void> {
  const { name, paths, signal } = wait;
  let far = "";
  let bytesAtFirst = 0;
  let isWarned = false;
  const finish = async () => {
    for (let pause = PAUSE_MS_MIN;; pause = Math.min(2 * pause, PAUSE_MS_MAX)) {
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
      await sleep(pause, signal);
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
 * What there is still to be moved; undefined when nothing is to be waited for.
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
          `evacuation stopped: ${reason}`,
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

/** Waits, but not after the signal. */
async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  const end = Promise.withResolvers<void>();
  const timer = setTimeout(end.resolve, milliseconds);
  const abort = () => end.resolve();
  signal.addEventListener("abort", abort, { once: true });
  await end.promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", abort);
}
