/**
 * `virstor check`: checks a pool.
 *
 * @module
 */

import type { Finding } from "../../pool/core/mod.ts";
import {
  type Environment,
  EXIT_DAMAGED,
  EXIT_OK,
  findingText,
  type Invocation,
  print,
  printJson,
  withProgress,
} from "../terminal/mod.ts";
import { callServer } from "../control/mod.ts";

/**
 * Checks a pool, through its server if the pool is served, and prints the
 * findings.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns 2 if there is damage, else 0.
 * @throws {VirstorError} If the pool cannot be found or read.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [name = ""] = invocation.operands;
  const findings = await withProgress(
    `Checking pool "${name}"`,
    check(environment.stateDirectory(), name),
  );
  const damaged = findings.some(({ severity }) => severity === "damage");
  if (invocation.flag("json")) {
    printJson({ name, sound: !damaged, findings });
  } else {
    for (const finding of findings) {
      const word = finding.severity === "damage" ? "Damage" : "Notice";
      print(findingText(word, finding));
    }
    print(`Pool "${name}" is ${damaged ? "damaged" : "sound"}`);
  }
  return damaged ? EXIT_DAMAGED : EXIT_OK;
}

async function check(
  stateDirectory: string,
  name: string,
): Promise<readonly Finding[]> {
  const reply = await callServer(stateDirectory, name, "check", null);
  if (reply !== undefined) return reply.answer;
  const { checkStopped } = await import("../registry/mod.ts");
  return await checkStopped({ stateDirectory, name });
}
