/**
 * One run of a program for an event.
 *
 * @module
 */

import { signalGroup } from "../../device/linux/mod.ts";
import { messageOf } from "../../errors.ts";
import type { EventRecord } from "../control/mod.ts";
import type { Hook } from "./hook_option.ts";

/** The time from SIGTERM to SIGKILL, milliseconds. */
const TERM_MS = 2000;

/** A running program. It gets the event as JSON on its standard input. */
export class HookProcess {
  /** Resolves at its end: why it failed; "" if it did not. Never rejects. */
  readonly ended: Promise<string>;
  #process: Deno.ChildProcess | undefined;
  #killTimer: ReturnType<typeof setTimeout> | undefined;
  /** Why it was ended. */
  #reason = "";

  /**
   * Starts the program, in a process group of its own: a Ctrl-C for the server
   * is none for the program. Its standard error is that of the server.
   *
   * @param hook The program.
   * @param event The event.
   * @param limitMs How long it may run, milliseconds.
   */
  constructor(hook: Hook, event: EventRecord, limitMs: number) {
    this.ended = this.#run(hook, event, limitMs);
  }

  /**
   * Ends the program and what it has started: SIGTERM, and SIGKILL two seconds
   * later.
   *
   * @param reason Why, for {@linkcode ended}.
   */
  end(reason: string): void {
    if (this.#reason !== "") return;
    this.#reason = reason;
    this.#kill("SIGTERM");
    this.#killTimer = setTimeout(() => this.#kill("SIGKILL"), TERM_MS);
  }

  async #run(
    { program, args }: Hook,
    event: EventRecord,
    limitMs: number,
  ): Promise<string> {
    try {
      this.#process = new Deno.Command(program, {
        args: [...args],
        detached: true,
        stdin: "piped",
        stdout: "null",
        stderr: "inherit",
      }).spawn();
    } catch (error) {
      return messageOf(error);
    }
    const limit = setTimeout(
      () => this.end(`it ran for more than ${limitMs / 1000} s`),
      limitMs,
    );
    try {
      void feed(this.#process.stdin, `${JSON.stringify(event)}\n`);
      const { code, signal } = await this.#process.status;
      if (this.#reason !== "") {
        // What it has started may be deaf to SIGTERM.
        signalGroup(this.#process.pid, "SIGKILL");
        return this.#reason;
      }
      if (signal !== null) return `it was ended by ${signal}`;
      return code === 0 ? "" : `exit code ${code}`;
    } finally {
      clearTimeout(limit);
      clearTimeout(this.#killTimer);
    }
  }

  #kill(signal: "SIGTERM" | "SIGKILL"): void {
    // Its status is not known yet, so its number still belongs to it.
    if (signalGroup(this.#process?.pid ?? 0, signal)) return;
    try {
      this.#process?.kill(signal);
    } catch (error) {
      // The program has ended already.
      if (!(error instanceof TypeError)) throw error;
    }
  }
}

/** Writes a text and closes the stream. The program need not read it. */
async function feed(
  stream: WritableStream<Uint8Array>,
  text: string,
): Promise<void> {
  const writer = stream.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // The program has ended, or has closed its standard input.
  }
}
