/**
 * `virstor volume flatten`: makes a clone independent of its parent.
 *
 * @module
 */

import {
  callServer,
  type FlattenProgress,
  nameOf,
  type VolumeHandlers,
  volumeHandlers,
} from "../control/mod.ts";
import {
  type Environment,
  EXIT_OK,
  type Invocation,
  print,
  withProgress,
} from "../terminal/mod.ts";
import { readNamedVolume, type VolumeWord } from "./pool_words.ts";

/** Milliseconds between two questions for the progress. */
const PAUSE_MS = 500;

/**
 * Flattens a clone.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If the pool refuses, or has no space for the copies.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [word = ""] = invocation.operands;
  const stateDirectory = environment.stateDirectory();
  const named = await readNamedVolume(stateDirectory, word);
  const { pool, volume } = named;
  const name = nameOf(pool, volume);
  let progress: FlattenProgress | null = null;
  let report = async () => {
    const call = "flattenProgress";
    const reply = await callServer(stateDirectory, pool, call, { volume });
    return reply?.answer ?? null;
  };
  const timer = setInterval(() => {
    report().then((now) => progress = now).catch(() => {});
  }, PAUSE_MS);
  try {
    await withProgress(
      `Flattening "${name}"`,
      flatten(stateDirectory, named, ({ flattenProgress }) => {
        report = () => flattenProgress({ volume });
      }),
      () => progress === null ? "" : percentOf(progress),
    );
  } finally {
    clearInterval(timer);
  }
  print(`Flattened volume "${name}"`);
  return EXIT_OK;
}

/** Flattens through the server, or here once the pool is open. */
async function flatten(
  stateDirectory: string,
  { pool: name, volume }: VolumeWord,
  onOpened: (handlers: VolumeHandlers) => void,
): Promise<void> {
  const request = { volume };
  const call = "flattenVolume";
  const reply = await callServer(stateDirectory, name, call, request);
  if (reply !== undefined) return;
  const { openStopped } = await import("../registry/mod.ts");
  const pool = await openStopped({ stateDirectory, name });
  try {
    const handlers = volumeHandlers(pool);
    onOpened(handlers);
    await handlers.flattenVolume(request);
  } finally {
    await pool.close();
  }
}

function percentOf({ done, all }: FlattenProgress): string {
  return `${Math.floor(100 * done / Math.max(1, all))}%`;
}
