/**
 * `virstor volume set`: sets the limits of a volume.
 *
 * @module
 */

import { nameOf } from "../../errors.ts";
import type { VolumeSettings } from "../../pool/mod.ts";
import {
  type Environment,
  EXIT_OK,
  type Invocation,
  parseSize,
  print,
  UsageError,
} from "../terminal/mod.ts";
import { callPool } from "./call_pool.ts";
import { readVolume } from "./pool_words.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/**
 * Sets the limits of a volume.
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
  const [word = "", ...words] = invocation.operands;
  const settings = readSettings(words);
  const stateDirectory = environment.stateDirectory();
  const { pool, volume } = await readVolume(stateDirectory, word);
  await callPool(stateDirectory, pool, "setVolume", { volume, settings });
  print(`Set ${words.join(" ")} of volume "${nameOf(pool, volume)}"`);
  return EXIT_OK;
}

function readSettings(words: readonly string[]): VolumeSettings {
  const settings: Mutable<VolumeSettings> = {};
  const given = new Set<string>();
  for (const word of words) {
    const at = word.indexOf("=");
    const [key, value] = [word.slice(0, Math.max(0, at)), word.slice(at + 1)];
    if (given.has(key)) {
      throw new UsageError(`Setting ${key} is given twice`, "Give it once");
    }
    given.add(key);
    if (key === "quota" || key === "reserve") {
      settings[key] = value === "none" ? 0 : parseSize(value, key);
    } else if (key === "on-full") {
      settings.onFull = oneOf(word, value, {
        delay: "delay",
        error: "error",
        pool: "",
      });
    } else if (key === "read-only") {
      settings.isReadOnly = oneOf(word, value, { yes: true, no: false });
    } else {
      throw new UsageError(
        `Cannot set "${word}" of a volume`,
        "Known: quota=SIZE, reserve=SIZE, on-full=delay|error|pool, " +
          "read-only=yes|no",
      );
    }
  }
  return settings;
}

function oneOf<Value>(
  word: string,
  value: string,
  values: Readonly<Record<string, Value>>,
): Value {
  const found = Object.hasOwn(values, value) ? values[value] : undefined;
  if (found !== undefined) return found;
  throw new UsageError(
    `Cannot set "${word}" of a volume`,
    `Known values: ${Object.keys(values).join(", ")}`,
  );
}
