/**
 * The command of `serve --run`: it lives as long as the server does, or the
 * other way round.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";

/** How long the command may go on after SIGTERM, milliseconds. */
const TERM_MS = 2000;

/** A command under way. */
export class RunningCommand {
  /** Its exit code, 128 + N if signal N ended it; when it has ended. */
  readonly ended: Promise<number>;
  readonly #process: Deno.ChildProcess;

  /**
   * Starts a command in the shell, with this process's input and output.
   *
   * @param command The words for the shell.
   * @param env What it finds in its environment, beside this process's.
   * @throws {VirstorError} `unsupported` if no program may be run, `io`.
   */
  constructor(command: string, env: Readonly<Record<string, string>>) {
    try {
      this.#process = new Deno.Command("sh", {
        args: ["-c", command],
        env,
        stdin: "inherit",
        stdout: "inherit",
        stderr: "inherit",
      }).spawn();
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) {
        throw new VirstorError(
          "unsupported",
          "Cannot run a command: Deno allows it only to a program with all " +
            "permissions; set VIRSTOR_ALLOW_ALL=1",
          { cause: error },
        );
      }
      throw new VirstorError("io", `Cannot run "sh": ${messageOf(error)}`, {
        cause: error,
      });
    }
    this.ended = this.#process.status.then(({ code }) => code);
  }

  /**
   * Ends it, if it has not ended.
   *
   * @returns Its exit code.
   */
  async end(): Promise<number> {
    this.#kill("SIGTERM");
    const timer = setTimeout(() => this.#kill("SIGKILL"), TERM_MS);
    const code = await this.ended;
    clearTimeout(timer);
    return code;
  }

  #kill(signal: Deno.Signal): void {
    try {
      this.#process.kill(signal);
    } catch (error) {
      // It has ended.
      if (!(error instanceof TypeError)) throw error;
    }
  }
}
