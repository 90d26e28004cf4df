/**
 * The options of commands that can show what they would do.
 *
 * @module
 */

import { type Invocation, UsageError } from "../terminal/mod.ts";

/**
 * Checks that the options fit together.
 *
 * @param invocation The command line.
 * @param command The name of the command.
 * @throws {UsageError} If they do not.
 */
export function checkDryRun({ flag }: Invocation, command: string): void {
  const other = ["force", "wait"].find(flag);
  const isDry = flag("dry-run");
  const fault = isDry && other !== undefined
    ? `Options --${other} and --dry-run exclude one another`
    : flag("json") && !isDry
    ? "Option --json needs --dry-run"
    : "";
  if (fault === "") return;
  throw new UsageError(fault, `Try "virstor ${command} --help"`);
}
