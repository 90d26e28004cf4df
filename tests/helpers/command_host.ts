/**
 * A process that runs one command of `virstor` after the other, for
 * `hosted_command.ts`: the runtime starts once, not for each command. It has no
 * more permissions than the launcher gives.
 *
 * The words are: the path of the socket that it listens on. It ends when its
 * standard input does.
 *
 * @module
 */

import { runCommand } from "../../cli/program.ts";
import { receiveText, sendText } from "./text_wire.ts";

/** What a client wants. */
export interface HostedRequest {
  /** The words after `virstor`. */
  readonly args: readonly string[];
  /** The working directory, absolute. */
  readonly cwd: string;
  /** The state directory, absolute. */
  readonly stateDirectory: string;
}

/** What became of a command. */
export interface HostedReply {
  /** The exit code. */
  readonly code: number;
  /** What it wrote to standard output. */
  readonly stdout: string;
  /** What it wrote to standard error. */
  readonly stderr: string;
}

/** Collects what the command writes to one of the standard streams. */
class Capture {
  readonly #decoder = new TextDecoder();
  #text = "";

  /** Takes the place of the `writeSync` of a standard stream. */
  readonly write = (bytes: Uint8Array): number => {
    this.#text += this.#decoder.decode(bytes, { stream: true });
    return bytes.length;
  };

  /** Returns what was written since the last call. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }
}

const EXIT_INTERNAL = 70;

const stdout = new Capture();
const stderr = new Capture();
Deno.stdout.writeSync = stdout.write;
Deno.stderr.writeSync = stderr.write;

/** Ends the running command, as an error without a handler ends a process. */
let fail: ((error: unknown) => void) | undefined;
// After the end of the command its own process would be gone.
globalThis.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  fail?.(event.reason);
});
globalThis.addEventListener("error", (event) => {
  event.preventDefault();
  fail?.(event.error);
});

async function run(request: HostedRequest): Promise<HostedReply> {
  Deno.chdir(request.cwd);
  Deno.env.set("VIRSTOR_STATE_DIR", request.stateDirectory);
  stdout.take();
  stderr.take();
  const failed = Promise.withResolvers<number>();
  fail = (error) => {
    const text = error instanceof Error ? error.stack : error;
    stderr.write(new TextEncoder().encode(`No handler: ${text}\n`));
    failed.resolve(EXIT_INTERNAL);
  };
  const code = await Promise.race([runCommand(request.args), failed.promise]);
  fail = undefined;
  return { code, stdout: stdout.take(), stderr: stderr.take() };
}

async function serve(path: string): Promise<void> {
  using listener = Deno.listen({ transport: "unix", path });
  for await (const connection of listener) {
    using client = connection;
    const text = await receiveText(client);
    // The suite only looks whether the host listens.
    if (text === "") continue;
    await sendText(client, JSON.stringify(await run(JSON.parse(text))));
  }
}

/** Ends the process with the one that has started it. */
async function endWithParent(): Promise<void> {
  for await (const _ of Deno.stdin.readable);
  Deno.exit(0);
}

if (import.meta.main) {
  void endWithParent();
  await serve(Deno.args[0] ?? "");
}
