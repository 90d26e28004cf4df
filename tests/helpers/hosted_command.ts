/**
 * Runs commands of `virstor` in processes that are there already: the hosts of
 * `command_host.ts`, which the suite (`tests/run_suite.ts`) keeps. Without a
 * suite there are none, and each command has a process of its own.
 *
 * A host is free while its file `N.free` is there. Its client renames it, and
 * renames it back; what the suite starts anew after its end is free again.
 *
 * @module
 */

import type { HostedReply, HostedRequest } from "./command_host.ts";
import { receiveText, sendText } from "./text_wire.ts";

/** The variable that names the directory of the hosts. */
export const HOSTS_VARIABLE = "VIRSTOR_TEST_HOSTS";

/** Commands that end by themselves, and that print by way of `print()`. */
const HOSTED: ReadonlySet<string> = new Set([
  ...["add", "check", "clear", "clone", "diff", "dump", "events", "forget"],
  ...["grow", "info", "label", "list", "remove", "rename", "repair", "replace"],
  ...["resize", "rollback", "set", "snapshot", "status", "stop", "taste"],
  "volume",
]);
/** Options that a process keeps, or that let a command go on for ever. */
const KEPT = /^--(journal|watch|state-dir|follow)\b/;

/**
 * Runs a command in a host, if there is a free one and the command is fit for
 * it. The first of each command in the suite never is: that it works in a process
 * of its own is shown by it.
 *
 * @param request The command.
 * @returns What became of it; undefined if it has to have its own process.
 */
export async function runHosted(
  request: HostedRequest,
): Promise<HostedReply | undefined> {
  const directory = Deno.env.get(HOSTS_VARIABLE);
  if (directory === undefined) return undefined;
  const [command = ""] = request.args;
  if (!HOSTED.has(command) || request.args.some((word) => KEPT.test(word))) {
    return undefined;
  }
  if (isFirst(directory, request.args)) return undefined;
  const host = takeHost(directory);
  if (host === undefined) return undefined;
  const pid = Number(Deno.readTextFileSync(`${host}.taken`));
  const before = filesOf(pid);
  const reply = await ask(host, request);
  // What the command has left open ends with its process, so let it end.
  if (filesOf(pid) > before) Deno.kill(pid, "SIGKILL");
  else Deno.renameSync(`${host}.taken`, `${host}.free`);
  return reply;
}

/** Whether no test of the suite has run a command. */
function isFirst(directory: string, args: readonly string[]): boolean {
  const [command = "", operand = ""] = args;
  // There are several commands of volumes.
  const name = command === "volume" ? `${command} ${operand}` : command;
  const path = `${directory}/${encodeURIComponent(name)}.known`;
  try {
    Deno.openSync(path, { write: true, createNew: true }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

/** The path of a host that was free, without the ending. */
function takeHost(directory: string): string | undefined {
  for (const { name } of Deno.readDirSync(directory)) {
    if (!name.endsWith(".free")) continue;
    const host = `${directory}/${name.replace(/\.free$/, "")}`;
    try {
      Deno.renameSync(`${host}.free`, `${host}.taken`);
      return host;
    } catch (error) {
      // Another thread was faster.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}

async function ask(host: string, request: HostedRequest): Promise<HostedReply> {
  using connection = await Deno.connect({
    transport: "unix",
    path: `${host}.socket`,
  });
  await sendText(connection, JSON.stringify(request));
  await connection.closeWrite();
  const text = await receiveText(connection);
  if (text === "") throw new Error(`The host of ${request.args} has ended`);
  return JSON.parse(text);
}

/** How many files a process has open; of its sockets, some close late. */
function filesOf(pid: number): number {
  const directory = `/proc/${pid}/fd`;
  let count = 0;
  for (const { name } of Deno.readDirSync(directory)) {
    try {
      if (Deno.readLinkSync(`${directory}/${name}`).startsWith("/")) count++;
    } catch (error) {
      // Closed in the meantime.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return count;
}
