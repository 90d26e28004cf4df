/**
 * Far servers for tests of the remote disk: real ones, which can be killed and
 * started again.
 *
 * @module
 */

import { eventually } from "../helpers/patience.ts";
import { peerPath } from "../helpers/peers.ts";

/** A far server that can be killed, and started again. */
export interface Killable extends AsyncDisposable {
  /** The URI of the disk. */
  readonly uri: string;
  /** Starts the server; clients can connect soon. */
  start(): Promise<void>;
  /** Kills the server: what it has not made durable is lost. */
  kill(): Promise<void>;
}

/** A far server in a process of its own. */
export class FarServer implements Killable {
  readonly #program: string;
  readonly #args: readonly string[];
  readonly #socket: string;
  #child: Deno.ChildProcess | undefined;

  private constructor(
    program: string,
    args: readonly string[],
    socket: string,
  ) {
    this.#program = peerPath(program) ?? program;
    this.#args = args;
    this.#socket = socket;
  }

  /**
   * Starts a server.
   *
   * @param program The program.
   * @param args Its arguments; it must stay in the foreground.
   * @param socket The Unix socket that it makes.
   * @returns The server; clients can connect.
   */
  static async start(
    program: string,
    args: readonly string[],
    socket: string,
  ): Promise<FarServer> {
    const server = new FarServer(program, args, socket);
    await server.start();
    return server;
  }

  /**
   * Starts nbdkit on a Unix socket.
   *
   * @param socket The socket.
   * @param args Filters, plugin and their parameters.
   * @returns The server.
   */
  static nbdkit(
    socket: string,
    args: readonly string[],
  ): Promise<FarServer> {
    return FarServer.start(
      "nbdkit",
      ["--foreground", "--exit-with-parent", "--unix", socket, ...args],
      socket,
    );
  }

  /**
   * Starts qemu-nbd on a Unix socket.
   *
   * @param socket The socket.
   * @param image A raw image.
   * @param args Further options.
   * @returns The server.
   */
  static qemu(
    socket: string,
    image: string,
    args: readonly string[] = [],
  ): Promise<FarServer> {
    const options = ["--persistent", "--shared=0", "--format=raw", ...args];
    return FarServer.start(
      "qemu-nbd",
      [...options, `--socket=${socket}`, image],
      socket,
    );
  }

  /** The URI of the default export. */
  get uri(): string {
    return `nbd+unix:///?socket=${this.#socket}`;
  }

  /** Starts the server again, and waits until clients can connect. */
  async start(): Promise<void> {
    await Deno.remove(this.#socket).catch(() => {});
    const child = new Deno.Command(this.#program, {
      args: [...this.#args],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    this.#child = child;
    let ended = false;
    child.status.then(() => ended = true);
    // A connection just to see would end some servers.
    await eventually("the far server listens", async () => {
      if (ended) throw new Error(`${this.#program} ended`);
      return await listens(this.#socket);
    }, 5);
  }

  /** Kills the server: what it has not made durable is lost. */
  async kill(): Promise<void> {
    try {
      this.#child?.kill("SIGKILL");
    } catch {
      // The server has ended.
    }
    await this.#child?.status;
  }

  /** Stops the server without ending it: it answers nothing any more. */
  async freeze(): Promise<void> {
    const child = this.#child;
    if (child === undefined) throw new Error("The server does not run");
    child.kill("SIGSTOP");
    // A thread may still answer a request before the signal reaches it.
    const tasks = `/proc/${child.pid}/task`;
    await eventually(
      "every thread has stopped",
      () =>
        Array.from(Deno.readDirSync(tasks)).every(({ name }) =>
          /\) T /.test(Deno.readTextFileSync(`${tasks}/${name}/stat`))
        ),
    );
  }

  /** Kills the server. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

/** Flags of a socket that listens, in `/proc/net/unix` (SO_ACCEPTCON). */
const LISTENING = "00010000";

/** Whether a server has made a file, and listens there if it is a socket. */
async function listens(path: string): Promise<boolean> {
  try {
    if ((await Deno.stat(path)).isSocket !== true) return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  const sockets = await Deno.readTextFile("/proc/net/unix");
  return sockets.split("\n").some((line) => {
    const [, , , flags, , , , ...words] = line.trim().split(/\s+/);
    return flags === LISTENING && words.join(" ") === path;
  });
}
