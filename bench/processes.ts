/**
 * Runs other programs, and reads from Linux how much processor time a process
 * has used and how much memory it has held.
 *
 * @module
 */

import { peerPath } from "../tests/helpers/peers.ts";

/** Clock ticks of `/proc/PID/stat` in a second, on Linux everywhere. */
const TICKS_PER_SECOND = 100;
/** How long a server may take to listen, milliseconds. */
const START_MS = 30_000;
/** How often it is tried, milliseconds: how exact the time of a start is. */
const RETRY_MS = 1;
/** What every NBD server says first, of 18 bytes. */
const GREETING = "NBDMAGIC";

/**
 * The path of a program.
 *
 * @param program Its name.
 * @returns Its path, or the name if it is not found.
 */
function pathOf(program: string): string {
  return peerPath(program) ?? program;
}

/**
 * Runs a program to its end.
 *
 * @param program Its name or path.
 * @param args Its arguments.
 * @returns What it printed.
 * @throws {Error} If it fails, with what it said.
 */
export async function run(
  program: string,
  args: readonly string[],
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(pathOf(program), {
    args: [...args],
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (code !== 0) {
    const said = decoder.decode(stderr).trim() || decoder.decode(stdout).trim();
    throw new Error(`Cannot run ${program}: exit code ${code}, ${said}`);
  }
  return decoder.decode(stdout);
}

/** A server that runs. */
export class ServerProcess {
  /** From its start to its greeting, milliseconds. */
  readonly startMs: number;
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess, startMs: number) {
    this.#child = child;
    this.startMs = startMs;
  }

  /**
   * Starts a server and waits until it greets clients.
   *
   * @param command The program and its arguments.
   * @param socket Where it will listen.
   * @returns The server.
   * @throws {Error} If it does not listen in time.
   */
  static async start(
    command: readonly string[],
    socket: string,
  ): Promise<ServerProcess> {
    const [program = "", ...args] = command;
    const begin = performance.now();
    const child = new Deno.Command(pathOf(program), {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      await waitForGreeting(child, socket);
    } catch (error) {
      const name = command.join(" ");
      await new ServerProcess(child, 0).stop("SIGKILL");
      throw new Error(`Cannot start a server: ${name}`, { cause: error });
    }
    return new ServerProcess(child, performance.now() - begin);
  }

  /** Processor time it has used so far, seconds, to a hundredth. */
  cpuSeconds(): number {
    const stat = Deno.readTextFileSync(`/proc/${this.#child.pid}/stat`);
    // The name in parentheses may hold anything; state is the third field.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  /** Forgets the peak of its memory so far. */
  resetPeak(): void {
    Deno.writeTextFileSync(`/proc/${this.#child.pid}/clear_refs`, "5");
  }

  /** The most memory it has held since the peak was forgotten, bytes. */
  peakBytes(): number {
    const status = Deno.readTextFileSync(`/proc/${this.#child.pid}/status`);
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  /**
   * Ends it, and waits for that.
   *
   * @param signal How.
   */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    try {
      this.#child.kill(signal);
    } catch (error) {
      // It may have ended by itself.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#child.status;
  }
}

/** Connects until a server sends its greeting. */
async function waitForGreeting(
  child: Deno.ChildProcess,
  socket: string,
): Promise<void> {
  let hasEnded = false;
  child.status.then(() => hasEnded = true);
  for (const end = performance.now() + START_MS;;) {
    try {
      using connection = await Deno.connect({
        transport: "unix",
        path: socket,
      });
      const greeting = new Uint8Array(18);
      await connection.read(greeting);
      const text = new TextDecoder().decode(greeting);
      if (text.startsWith(GREETING)) return;
      throw new Error(`The greeting is ${JSON.stringify(text)}`);
    } catch (error) {
      if (hasEnded) throw new Error("It has ended", { cause: error });
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}
