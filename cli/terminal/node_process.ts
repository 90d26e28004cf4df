/**
 * The modules of Node that few commands need. To import one takes the runtime
 * half as long as to start, so they are loaded when they are called for.
 *
 * @module
 */

import { assert } from "../../errors.ts";

/**
 * Gives access to the modules of Node without loading one.
 *
 * @returns The object that other programs know as `process`; its
 *   `getBuiltinModule` loads a module.
 */
export function nodeProcess(): NodeJS.Process {
  const { process }: { process?: NodeJS.Process } = globalThis;
  assert(process !== undefined, "the runtime has the modules of Node");
  return process;
}
