/**
 * Explains why a command did not find a pool.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { listRegistry, readRegistry } from "../state/mod.ts";
import {
  type CommandSpec,
  didYouMean,
  type Environment,
  UsageError,
} from "../terminal/mod.ts";

/** What follows the name of a pool, and how a usage shows that it may. */
const PARTS = [["@", "snapshot", "@"], ["/", "volume", "/VOLUME"]] as const;

/** Usages in which every operand is a pool. */
const POOLS_ONLY = /(NAME|POOL)\.\.\.\]?$/;

/**
 * Finds out whether a command did not find a pool because the user named a
 * volume or a snapshot of one, which the command does not take, or has misspelt
 * its name.
 *
 * @param error What the command has thrown.
 * @param spec The command.
 * @param operands Its operands.
 * @param environment The state directory.
 * @returns The explanation; `error` if that is not the reason.
 */
export async function explain(
  error: unknown,
  { name, usage }: CommandSpec,
  operands: readonly string[],
  environment: Environment,
): Promise<unknown> {
  if (!/NAME|POOL/.test(usage)) return error;
  const words = POOLS_ONLY.test(usage) ? operands : operands.slice(0, 1);
  for (const [separator, part, taken] of PARTS) {
    if (usage.includes(taken)) continue;
    for (const word of words) {
      const at = word.indexOf(separator);
      const whole = word.slice(0, Math.max(0, at));
      const pool = whole.split("/", 1)[0] ?? "";
      const stateDirectory = environment.stateDirectory();
      if (pool === "" || await isPool(stateDirectory, word)) continue;
      if (!await isPool(stateDirectory, pool)) continue;
      const wanted = usage.includes("/VOLUME") ? whole : pool;
      return new UsageError(
        `Command "${name}" takes no ${part}, as "${word}" is`,
        `Name "${wanted}"`,
      );
    }
  }
  return await withNearest(error, words, environment.stateDirectory());
}

/** Adds the name of a pool that may be meant by one that is not registered. */
async function withNearest(
  error: unknown,
  words: readonly string[],
  stateDirectory: string,
): Promise<unknown> {
  const isOfPool = error instanceof VirstorError &&
    error.message.includes("it is not registered in");
  if (!isOfPool) return error;
  const names = (await listRegistry(stateDirectory)).map(({ name }) => name);
  for (const word of words) {
    const pool = word.split(/[/@]/, 1)[0] ?? "";
    const meant = names.includes(pool) ? "" : didYouMean(pool, names);
    if (meant === "") continue;
    const message = `${error.message}; ${meant.replace("D", "d").trim()}`;
    return new VirstorError(error.code, message, { cause: error });
  }
  return error;
}

async function isPool(stateDirectory: string, name: string): Promise<boolean> {
  return await readRegistry(stateDirectory, name) !== undefined;
}
