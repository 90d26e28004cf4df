/**
 * The process that is fuzzed, from outside.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { NbdCounters } from "../../nbd/mod.ts";
import type { NbdAddress } from "../helpers/nbd_messages.ts";

/** How the process does. */
export interface VictimReport {
  /** Connections, but for its own. */
  readonly clients: number;
  /** Writes that wait for space. */
  readonly delayed: number;
  /** Bytes of live objects and buffers. */
  readonly memory: number;
  /** Open files and sockets; 0 where they cannot be counted. */
  readonly descriptors: number;
  /** What the server counts. */
  readonly counters: NbdCounters;
  /** How often each kind of event was logged; `lane`: a thread was given. */
  readonly events: Readonly<Record<string, number>>;
}

/** How long the process may take for an answer, milliseconds. */
const ANSWER_MS = 60_000;
const PROGRAM = fileURLToPath(new URL("./victim.ts", import.meta.url));

/** A server to be fuzzed. To be used with `await using`. */
export class Victim implements AsyncDisposable {
  /** Where it listens. */
  readonly addresses: readonly NbdAddress[];
  readonly #directory: string;
  readonly #process: Deno.ChildProcess;
  readonly #lines: Lines;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #errors: Promise<string>;

  private constructor(
    directory: string,
    process: Deno.ChildProcess,
    lines: Lines,
    addresses: readonly NbdAddress[],
  ) {
    this.#directory = directory;
    this.#process = process;
    this.#lines = lines;
    this.#input = process.stdin.getWriter();
    this.#errors = new Response(process.stderr).text();
    this.addresses = addresses;
  }

  /**
   * Starts one.
   *
   * @returns The victim; clients can connect.
   */
  static async start(): Promise<Victim> {
    const directory = await Deno.makeTempDir({ prefix: "virstor-fuzz-" });
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--v8-flags=--expose-gc", PROGRAM, directory],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const lines = new Lines(process.stdout);
    const port = Number((await lines.next()).replace("ready ", ""));
    const path = `${directory}/socket`;
    return new Victim(directory, process, lines, [{ path }, { port }]);
  }

  /**
   * Asks how it does.
   *
   * @returns The report.
   */
  async report(): Promise<VictimReport> {
    await this.#input.write(new TextEncoder().encode("report\n"));
    return JSON.parse(await this.#lines.next());
  }

  /**
   * Asks until all is quiet: no client is connected, nothing waits, and no more
   * is open than there should be. A connection is closed a moment after its
   * client is gone, when its thread is done with it.
   *
   * @param descriptors How many files and sockets may be open.
   * @returns The report then.
   * @throws {Error} If it takes too long.
   */
  async settled(descriptors = Infinity): Promise<VictimReport> {
    for (const end = Date.now() + ANSWER_MS;;) {
      const report = await this.report();
      const isSettled = report.clients === 0 && report.delayed === 0 &&
        report.descriptors <= descriptors;
      if (isSettled) return report;
      if (Date.now() > end) {
        throw new Error(`Something is left over: ${JSON.stringify(report)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /**
   * Stops it in good order.
   *
   * @throws {Error} If its exit code is not 0, or it has complained.
   */
  async stop(): Promise<void> {
    await this.#input.close();
    const { code } = await this.#process.status;
    const errors = await this.#errors;
    if (code === 0 && errors === "") return;
    throw new Error(`The server ended with code ${code}: ${errors}`);
  }

  /**
   * Ends it, whatever it does.
   *
   * @returns What it has complained of.
   */
  async kill(): Promise<string> {
    try {
      this.#process.kill("SIGKILL");
    } catch (error) {
      // It may have ended by itself.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#process.status;
    return await this.#errors;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#input.close().catch(() => {});
    await this.#lines.close();
    await Deno.remove(this.#directory, { recursive: true });
  }
}

/** The lines that a process prints. */
class Lines {
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  }

  async next(): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      const { value, done } = await this.#reader.read();
      if (done) throw new Error("The server has ended too early");
      this.#text += value;
    }
  }

  async close(): Promise<void> {
    await this.#reader.cancel();
  }
}
