/**
 * Runs the real command `virstor` in real processes, in a directory of its own.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { runHosted } from "./hosted_command.ts";
import { PATIENCE_MS } from "./patience.ts";
import { bundleHere, PERMISSIONS, programWords } from "./program_words.ts";

/** The words before those of the command, for `deno`. */
export const MAIN_ARGS: readonly string[] = programWords();

/** What became of a command. */
export interface CommandResult {
  /** Its exit code. */
  readonly code: number;
  /** What it printed. */
  readonly stdout: string;
  /** What it said on standard error. */
  readonly stderr: string;
}

/** How a command is run. */
export interface CommandOptions {
  /** Its working directory; the workspace by default. */
  readonly cwd?: string;
  /** Its environment, in addition to the workspace's. */
  readonly env?: Record<string, string>;
  /** Whether it may do anything, as the launcher lets it for devices. */
  readonly allPermissions?: boolean;
  /** Whether it starts from the sources, also where there is a bundle. */
  readonly fromSources?: boolean;
  /** A program with its arguments that runs it, as `strace` does. */
  readonly under?: readonly string[];
}

/**
 * A temporary directory with pools in it, and the command that knows of them
 * only. To be used with `await using`: servers still running are killed.
 */
export class Workspace implements AsyncDisposable {
  /** The directory, absolute. */
  readonly directory: string;
  /** The state directory in it. */
  readonly stateDirectory: string;
  readonly #servers: Server[] = [];
  /** Where the copy of {@linkcode keep} is; "" without one. */
  #kept = "";

  private constructor(directory: string) {
    this.directory = directory;
    this.stateDirectory = join(directory, "state");
  }

  /**
   * Makes one.
   *
   * @returns The workspace, empty.
   */
  static async create(): Promise<Workspace> {
    // Short, because paths of Unix sockets have to be.
    return new Workspace(await Deno.makeTempDir({ prefix: "virstor-" }));
  }

  /**
   * A path in the workspace.
   *
   * @param name Relative to it.
   * @returns The absolute path.
   */
  path(name: string): string {
    return join(this.directory, name);
  }

  /**
   * Makes a sparse file.
   *
   * @param name Relative to the workspace.
   * @param size Bytes.
   * @returns Its absolute path.
   */
  async makeFile(name: string, size: number): Promise<string> {
    const path = this.path(name);
    await Deno.writeFile(path, new Uint8Array(0), { createNew: true });
    await Deno.truncate(path, size);
    return path;
  }

  /**
   * Runs a command to its end.
   *
   * @param args The words after `virstor`.
   * @param options How.
   * @returns What became of it; without what it said of how far it was.
   */
  async run(
    args: readonly string[],
    options: CommandOptions = {},
  ): Promise<CommandResult> {
    const hosted = await this.#runHosted(args, options);
    if (hosted !== undefined) {
      return { ...hosted, stderr: withoutProgress(hosted.stderr) };
    }
    const { code, stdout, stderr } = await this.#command(args, options)
      .output();
    const decoder = new TextDecoder();
    return {
      code,
      stdout: decoder.decode(stdout),
      stderr: withoutProgress(decoder.decode(stderr)),
    };
  }

  async #runHosted(
    args: readonly string[],
    { cwd = this.directory, ...others }: CommandOptions,
  ): Promise<CommandResult | undefined> {
    if (Object.values(others).some((value) => value !== undefined)) {
      return undefined;
    }
    return await runHosted({ args, cwd, stateDirectory: this.stateDirectory });
  }

  /**
   * Runs a command that must do what it is asked.
   *
   * @param args The words after `virstor`.
   * @param options How.
   * @returns What it printed.
   */
  async succeed(
    args: readonly string[],
    options: CommandOptions = {},
  ): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    assertEquals({ code, stderr: code === 0 ? "" : stderr }, {
      code: 0,
      stderr: "",
    });
    return stdout;
  }

  /**
   * Runs a command whose output is never read.
   *
   * @param args The words after `virstor`.
   * @returns Its exit code, and what it said on standard error.
   */
  async runUnread(
    args: readonly string[],
  ): Promise<{ code: number; stderr: string }> {
    const process = this.#command(args, {}).spawn();
    await process.stdout.cancel();
    const stderr = await new Response(process.stderr).text();
    const { code } = await process.status;
    return { code, stderr: withoutProgress(stderr) };
  }

  /**
   * Starts a command that serves a pool, and waits until clients can connect.
   *
   * @param args The words after `virstor`, for instance `serve`, a name and
   *   options; the server should listen on a port of its own or on a socket.
   * @param options How.
   * @returns The server.
   */
  async serve(
    args: readonly string[],
    options: CommandOptions = {},
  ): Promise<Server> {
    const server = new Server(this.#command(args, options).spawn());
    this.#servers.push(server);
    await server.ready();
    return server;
  }

  #command(args: readonly string[], options: CommandOptions): Deno.Command {
    const [program = "", ...words] = [
      ...options.under ?? [],
      Deno.execPath(),
      ...programWords(
        options.allPermissions === true ? ["--allow-all"] : PERMISSIONS,
        options.fromSources === true ? null : bundleHere(),
      ),
      ...args,
    ];
    return new Deno.Command(program, {
      args: words,
      cwd: options.cwd ?? this.directory,
      env: {
        NO_COLOR: "1",
        VIRSTOR_STATE_DIR: this.stateDirectory,
        ...options.env,
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
  }

  /**
   * Keeps a copy of all files as they are, for {@linkcode restore}: several
   * tests can begin with pools that were made once.
   */
  async keep(): Promise<void> {
    this.#kept = await Deno.makeTempDir({ prefix: "virstor-kept-" });
    await copyAll(this.directory, this.#kept);
  }

  /** Kills the servers, and puts all files back as {@linkcode keep} kept them. */
  async restore(): Promise<void> {
    for (const server of this.#servers.splice(0)) await server.kill();
    for (const { name } of Deno.readDirSync(this.directory)) {
      await Deno.remove(this.path(name), { recursive: true });
    }
    await copyAll(this.#kept, this.directory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) await server.kill();
    await Deno.remove(this.directory, { recursive: true });
    if (this.#kept !== "") await Deno.remove(this.#kept, { recursive: true });
  }
}

/**
 * Takes out the lines that tell how far something is: how many there are
 * depends on how busy the machine is.
 *
 * @param text What was said on standard error.
 * @returns The other lines.
 */
export function withoutProgress(text: string): string {
  const what =
    "Adding|Checking|Clearing|Cloning|Comparing|Copying|Creating|Evacuating|" +
    "Flattening|Labelling|Looking|Opening|Reading|Removing|Renaming|" +
    "Repairing|Resizing|Rolling|Stopping|Taking";
  const line = new RegExp(
    `^(${what})\\b.*( \\.\\.\\.|: \\d+%, .*|: .* B/s)\n`,
    "gm",
  );
  return withoutRuntime(text).replaceAll(line, "");
}

/**
 * Leaves out what the runtime says of its own caches, when many processes open
 * them at once.
 *
 * @param text What was said on standard error, or on a terminal.
 * @returns The rest.
 */
export function withoutRuntime(text: string): string {
  return text.replaceAll(/^Failed to open cache file '.*', .*\.\r?\n/gm, "");
}

/** Copies everything in a directory, with holes, times and rights. */
async function copyAll(from: string, to: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("cp", {
    args: ["-a", `${from}/.`, to],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** A running `virstor serve` or `virstor demo`. */
export class Server {
  readonly #process: Deno.ChildProcess;
  readonly #stdout: TextCollector;
  readonly #stderr: TextCollector;
  #ended = false;

  /**
   * Takes over a process.
   *
   * @param process It, just started, with its output piped.
   */
  constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#stdout = new TextCollector(process.stdout);
    this.#stderr = new TextCollector(process.stderr);
  }

  /** The number of the process. */
  get pid(): number {
    return this.#process.pid;
  }

  /** The URI that clients connect to. */
  get uri(): string {
    return this.stdout.split("\n").find((line) => line.startsWith("nbd")) ?? "";
  }

  /** The port that it listens on. */
  get port(): number {
    return Number(new URL(this.uri).port);
  }

  /** What it has printed so far. */
  get stdout(): string {
    return this.#stdout.text;
  }

  /** What it has said on standard error so far. */
  get stderr(): string {
    return withoutRuntime(this.#stderr.text);
  }

  /** Waits until it has printed its URI. */
  async ready(): Promise<void> {
    await this.#stdout.waitFor(/^nbd.*\n/m, PATIENCE_MS).catch((error) => {
      throw new Error(`The server did not start: ${this.stderr}`, {
        cause: error,
      });
    });
  }

  /**
   * Waits until it has printed something.
   *
   * @param pattern What to wait for.
   */
  async printed(pattern: RegExp): Promise<void> {
    await this.#stdout.waitFor(pattern, PATIENCE_MS);
  }

  /**
   * Waits until it has said something on standard error.
   *
   * @param pattern What to wait for.
   */
  async said(pattern: RegExp): Promise<void> {
    await this.#stderr.waitFor(pattern, PATIENCE_MS);
  }

  /**
   * Waits until it has printed something.
   *
   * @param pattern What to wait for.
   */
  async shows(pattern: RegExp): Promise<void> {
    await this.#stdout.waitFor(pattern, PATIENCE_MS);
  }

  /**
   * Sends a signal.
   *
   * @param signal Which.
   */
  signal(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /**
   * Waits for the end.
   *
   * @returns What became of it.
   */
  async ended(): Promise<CommandResult> {
    const { code } = await this.#process.status;
    await this.#stdout.done;
    await this.#stderr.done;
    this.#ended = true;
    return { code, stdout: this.stdout, stderr: this.stderr };
  }

  /**
   * Stops it as Ctrl-C does, and waits for the end.
   *
   * @returns What became of it.
   */
  async stop(): Promise<CommandResult> {
    if (!this.#ended) this.signal("SIGINT");
    return await this.ended();
  }

  /**
   * Ends it with SIGKILL.
   *
   * @returns What became of it.
   */
  async kill(): Promise<CommandResult> {
    if (!this.#ended) {
      try {
        this.signal("SIGKILL");
      } catch (error) {
        // It may just have ended by itself.
        if (!(error instanceof TypeError)) throw error;
      }
    }
    return await this.ended();
  }
}

/** Collects what a process writes. */
class TextCollector {
  /** All of it, so far. */
  text = "";
  /** Resolves at the end. */
  readonly done: Promise<void>;
  #changed = Promise.withResolvers<boolean>();

  constructor(stream: ReadableStream<Uint8Array>) {
    this.done = this.#collect(stream);
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.text += decoder.decode(chunk, { stream: true });
      const { resolve } = this.#changed;
      this.#changed = Promise.withResolvers();
      resolve(true);
    }
    this.#changed.resolve(false);
  }

  /** Waits until a pattern is in the text. */
  async waitFor(pattern: RegExp, timeout: number): Promise<void> {
    const late = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => late.resolve(false), timeout);
    try {
      let more = true;
      while (!pattern.test(this.text)) {
        // It has ended, or it is late.
        if (!more) throw new Error(`No ${pattern} in "${this.text}"`);
        more = await Promise.race([this.#changed.promise, late.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  }
}
