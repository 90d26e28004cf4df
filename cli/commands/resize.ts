/**
 * `virstor resize`: gives a pool's disk another size.
 *
 * @module
 */

import {
  callServer,
  registerOpenPool,
  resizeDisk,
  type ResizeRequest,
  type ResizeResult,
} from "../control/mod.ts";
import {
  type Environment,
  exactSize,
  EXIT_OK,
  type Invocation,
  parseSize,
  print,
  printNotices,
  withProgress,
} from "../terminal/mod.ts";

/**
 * Resizes the disk of a pool, through its server if it is served.
 *
 * @param invocation The command line.
 * @param environment Where the registry is.
 * @returns The exit code.
 * @throws {VirstorError} If it is refused; then nothing has changed.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [name = "", size = ""] = invocation.operands;
  const request: ResizeRequest = {
    virtualSize: parseSize(size, "virtual size"),
    force: invocation.flag("force"),
  };
  const { before, virtualSize, isServed } = await withProgress(
    `Resizing pool "${name}"`,
    resize(environment.stateDirectory(), name, request),
  );
  print(
    `Resized pool "${name}" from ${exactSize(before)} to ` +
      exactSize(virtualSize),
  );
  if (isServed && before !== virtualSize) {
    printNotices(["Connected clients see it when they connect again"]);
  }
  return EXIT_OK;
}

async function resize(
  stateDirectory: string,
  name: string,
  request: ResizeRequest,
): Promise<ResizeResult & { isServed: boolean }> {
  const served = await callServer(stateDirectory, name, "resize", request);
  if (served !== undefined) return { ...served.answer, isServed: true };
  const { openStopped } = await import("../registry/mod.ts");
  const pool = await openStopped({ stateDirectory, name });
  try {
    return { ...await resizeDisk(pool, request), isServed: false };
  } finally {
    await registerOpenPool(stateDirectory, pool);
    await pool.close();
  }
}
