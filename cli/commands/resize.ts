/**
 * `virstor resize`: gives a volume another size.
 *
 * @module
 */

import { nameOf } from "../../errors.ts";
import {
  callServer,
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
import { readVolume } from "./pool_words.ts";

/**
 * Resizes a volume, through the server if its pool is served.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If the pool refuses; then nothing has changed.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [word = "", size = ""] = invocation.operands;
  const stateDirectory = environment.stateDirectory();
  const { pool, volume } = await readVolume(stateDirectory, word);
  const request: ResizeRequest = {
    volume,
    ...readSize(size),
    force: invocation.flag("force"),
  };
  const kind = volume === "" ? "pool" : "volume";
  const what = `${kind} "${nameOf(pool, volume)}"`;
  const { before, virtualSize, isServed } = await withProgress(
    `Resizing ${what}`,
    resize(stateDirectory, pool, request),
  );
  print(
    `Resized ${what} from ${exactSize(before)} to ` +
      exactSize(virtualSize),
  );
  if (isServed && before !== virtualSize) {
    printNotices(["Connected clients see the new size when they reconnect"]);
  }
  return EXIT_OK;
}

/** Reads `2T`, `+1G` or `-1G`. */
function readSize(
  word: string,
): Pick<ResizeRequest, "virtualSize" | "sign"> {
  const virtualSize = parseSize(word.replace(/^[+-]/, ""), "virtual size");
  if (word.startsWith("+")) return { virtualSize, sign: 1 };
  return word.startsWith("-") ? { virtualSize, sign: -1 } : { virtualSize };
}

async function resize(
  stateDirectory: string,
  name: string,
  request: ResizeRequest,
): Promise<ResizeResult & { isServed: boolean }> {
  const reply = await callServer(stateDirectory, name, "resize", request);
  if (reply !== undefined) return { ...reply.answer, isServed: true };
  const { resizeDisk } = await import("../calls/mod.ts");
  const { changeStopped } = await import("../registry/mod.ts");
  const resized = await changeStopped(
    { stateDirectory, name },
    (pool) => resizeDisk(pool, request),
  );
  return { ...resized, isServed: false };
}
