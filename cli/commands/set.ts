/**
 * `virstor set`: changes settings of the server of a pool, or shows them.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { parseSettings, SETTINGS, settingText } from "../calls/mod.ts";
import { callServer, type ServeSettings } from "../control/mod.ts";
import {
  type Environment,
  EXIT_OK,
  type Invocation,
  print,
  printJson,
  textTable,
} from "../terminal/mod.ts";

/**
 * Changes settings of a served pool, or shows them.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} `not-found` if the pool is not served; if the server
 *   refuses, nothing has changed.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [name = "", ...words] = invocation.operands;
  const wanted = parseSettings(words);
  const stateDirectory = environment.stateDirectory();
  const reply = await callServer(stateDirectory, name, "set", {
    settings: wanted,
  });
  if (reply === undefined) throw notServed(name, words);
  const settings = reply.answer;
  if (invocation.flag("json")) printJson({ name, settings });
  else if (words.length === 0) print(settingsTable(settings));
  else {
    const set = SETTINGS.filter(({ field }) => wanted[field] !== undefined)
      .map((spec) => `${spec.key}=${settingText(spec, settings)}`);
    print(`Set ${set.join(", ")} of pool "${name}", until its server ends`);
  }
  return EXIT_OK;
}

function settingsTable(settings: ServeSettings): string {
  return textTable([
    ["Setting", "Value", "Of"],
    ...SETTINGS.map((spec) => [
      spec.key,
      settingText(spec, settings),
      spec.scope,
    ]),
  ]);
}

function notServed(name: string, words: readonly string[]): VirstorError {
  const [word = ""] = words;
  return new VirstorError(
    "not-found",
    `Cannot ${word === "" ? "show settings" : `set ${word}`} of pool ` +
      `"${name}": it is not served; settings are those of a server, "virstor ` +
      'serve --help" lists its options',
  );
}
