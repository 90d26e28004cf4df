/**
 * `virstor add`: adds components to a pool.
 *
 * @module
 */

import { counted, printable } from "../../errors.ts";
import { addComponents } from "../calls/mod.ts";
import { type AddAnswer, type AddRequest, callServer } from "../control/mod.ts";
import {
  type Environment,
  EXIT_OK,
  formatSize,
  type Invocation,
  parseSize,
  print,
  printNotices,
  printWarnings,
  withProgress,
} from "../terminal/mod.ts";
import { absolutePaths } from "../state/mod.ts";
import { openStopped, refuseKnownComponents } from "../registry/mod.ts";

/**
 * Adds components to a pool, through its server if the pool is served.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If the pool or its server refuses; then nothing has
 *   changed.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [name = "", ...operands] = invocation.operands;
  const createSize = invocation.value("create");
  const request: AddRequest = {
    paths: absolutePaths(operands),
    force: invocation.flag("force"),
    hardcode: invocation.flag("hardcode"),
    preallocate: invocation.flag("preallocate"),
    ...createSize !== undefined &&
      { createSize: parseSize(createSize, "component size") },
  };
  const stateDirectory = environment.stateDirectory();
  if (request.force !== true) {
    await refuseKnownComponents(stateDirectory, request.paths);
  }
  const result = await withProgress(
    `Adding to pool "${name}"`,
    add(stateDirectory, name, request),
  );
  const { components, notices, warnings } = result;
  printNotices(notices);
  print(`Added ${counted(components.length, "component")} to pool "${name}"`);
  printWarnings(warnings.map((warning) => warningText(name, warning)));
  if (invocation.flag("verbose")) {
    for (const { index, path, size, chunkCount } of components) {
      const chunks = counted(chunkCount, "chunk");
      print(`${index}: ${printable(path)}, ${formatSize(size)}, ${chunks}`);
    }
  }
  return EXIT_OK;
}

/** Says what it means that the registry could not take the components. */
function warningText(name: string, warning: string): string {
  return `${warning}; pool "${name}" has its new components, and finds those ` +
    "that lie beside the others: name the rest with --component, or run " +
    "virstor taste";
}

/**
 * Adds components to a pool, through its server if the pool is served.
 *
 * @param stateDirectory The state directory.
 * @param name The name of the pool.
 * @param request The components, and how.
 * @returns The added components, notices and warnings.
 * @throws {VirstorError} If the pool or its server refuses; then nothing has
 *   changed.
 */
export async function add(
  stateDirectory: string,
  name: string,
  request: AddRequest,
): Promise<AddAnswer> {
  const reply = await callServer(stateDirectory, name, "add", request);
  if (reply !== undefined) return reply.answer;
  const pool = await openStopped({ stateDirectory, name });
  try {
    return await addComponents(stateDirectory, pool, request);
  } finally {
    await pool.close();
  }
}
