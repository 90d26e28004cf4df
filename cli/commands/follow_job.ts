/**
 * Carries out a call that concerns volumes and may take long, and reports its
 * progress.
 *
 * @module
 */

import type { JobKind, PoolStatus } from "../../pool/mod.ts";
import { callServer, type VolumeCalls } from "../control/mod.ts";
import { withProgress } from "../terminal/mod.ts";
import { callPool } from "./call_pool.ts";
import { jobProgress } from "./job_text.ts";

/** Milliseconds between two looks at the progress. */
const PAUSE_MS = 500;

/** What to report. */
export interface Followed {
  /** What is being done, for instance `Rolling "vm" back`. */
  readonly doing: string;
  /** The kind of the job. */
  readonly kind: JobKind;
}

/**
 * Carries out a call.
 *
 * @param stateDirectory The state directory.
 * @param name The name of the pool.
 * @param call The call.
 * @param request The request.
 * @param followed What to report.
 * @returns The answer.
 * @throws {VirstorError} As {@linkcode callPool}.
 */
export async function followJob<Call extends keyof VolumeCalls>(
  stateDirectory: string,
  name: string,
  call: Call,
  request: VolumeCalls[Call]["request"],
  { doing, kind }: Followed,
): Promise<VolumeCalls[Call]["answer"]> {
  let progress = "";
  let look = async (): Promise<PoolStatus | undefined> =>
    (await callServer(stateDirectory, name, "status", null))?.answer.pool;
  const timer = setInterval(() => {
    // The call itself fails if the server is gone.
    void look().then((pool) => {
      const job = pool?.jobs.findLast((one) => one.kind === kind);
      if (pool !== undefined && job !== undefined) {
        progress = jobProgress(pool, job);
      }
    }, () => {});
  }, PAUSE_MS);
  try {
    const answer = callPool(stateDirectory, name, call, request, (pool) => {
      look = () => Promise.resolve(pool.status());
    });
    return await withProgress(doing, answer, () => progress);
  } finally {
    clearInterval(timer);
  }
}
