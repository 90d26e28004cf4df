/**
 * The command of `serve --run`: the server ends with the command, or the
 * command with the server.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";

/** The time from SIGTERM to SIGKILL, milliseconds. */
const TERM_MS = 2000;

/** A running command. */
export class RunningCommand {
  /**
   * Resolves when the command has ended: its exit code, 128 + N for signal N.
   */
  readonly ended: Promise<number>;
  readonly #process: Deno.ChildProcess;

  /**
   * Starts a command in the shell, with this process's input and output.
   *
   * @param command The shell command.
   * @param env Variables of its environment, beside those of this process.
   * @throws {VirstorError} `unsupported` if Deno may not run programs; `io`.
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
   * Ends the command, if it is still running.
   *
   * @returns The command's exit code.
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
      // The command has ended already.
      if (!(error instanceof TypeError)) throw error;
    }
  }
}
