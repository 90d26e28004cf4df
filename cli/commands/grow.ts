/**
 * `virstor grow`: takes in what a component got when its file or its device
 * grew.
 *
 * @module
 */

import { counted, printable, shownPath, VirstorError } from "../../errors.ts";
import { callServer } from "../control/mod.ts";
import type { GrowResult } from "../../pool/change/mod.ts";
import { absolutePaths, listRegistry } from "../state/mod.ts";
import {
  type Environment,
  exactSize,
  EXIT_OK,
  type Invocation,
  print,
  withProgress,
} from "../terminal/mod.ts";

/**
 * Takes in what a component got, through the server if its pool is served.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} `not-found` if the component is not registered; else
 *   as `Pool.grow` and `openToGrow`.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [path = ""] = absolutePaths(invocation.operands);
  const stateDirectory = environment.stateDirectory();
  const pool = await poolOf(stateDirectory, path);
  const result = await withProgress(
    `Growing a component of pool "${pool}"`,
    grow(stateDirectory, pool, path),
  );
  const { before, size, chunksAdded } = result;
  print(
    `Grew ${printable(path)} of pool "${pool}" from ${exactSize(before)} to ` +
      `${exactSize(size)}: ${counted(chunksAdded, "chunk")} more`,
  );
  return EXIT_OK;
}

async function grow(
  stateDirectory: string,
  name: string,
  path: string,
): Promise<GrowResult> {
  const reply = await callServer(stateDirectory, name, "grow", { path });
  if (reply !== undefined) return reply.answer;
  const { growComponent } = await import("../calls/mod.ts");
  const { openGrown } = await import("../registry/mod.ts");
  const pool = await openGrown({ stateDirectory, name }, path);
  try {
    return await growComponent(stateDirectory, pool, { path });
  } finally {
    await pool.close();
  }
}

/** The pool of a component: by the registry, else by its former label. */
async function poolOf(stateDirectory: string, path: string): Promise<string> {
  const entries = await listRegistry(stateDirectory);
  const entry = entries.find(({ components }) => components.includes(path));
  if (entry !== undefined) return entry.name;
  const { grownPoolName } = await import("../registry/mod.ts");
  const name = await grownPoolName(path);
  if (name !== undefined) return name;
  throw new VirstorError(
    "not-found",
    `Cannot grow "${shownPath(path)}": it is not registered as a component, ` +
      "and has no label of a shorter one",
  );
}
