/**
 * nbd-server, the reference server, which puts itself into the background.
 *
 * @module
 */

import { eventually } from "../helpers/patience.ts";
import { peerPath } from "../helpers/peers.ts";
import type { Killable } from "./peers.ts";

/** nbd-server with one export, `disk`. */
export class OldServer implements Killable {
  /** The URI of the export. */
  readonly uri: string;
  readonly #directory: string;
  #process: number | undefined;

  /**
   * Prepares a server.
   *
   * @param directory Where its files are.
   * @param image The export, a raw image.
   */
  constructor(directory: string, image: string) {
    this.#directory = directory;
    const socket = `${directory}/old.sock`;
    this.uri = `nbd+unix:///disk?socket=${socket}`;
    // It listens on TCP as well, and a port of 0 means something else to it.
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    Deno.writeTextFileSync(
      `${directory}/old.conf`,
      [
        "[generic]",
        `unixsock = ${socket}`,
        "listenaddr = 127.0.0.1",
        `port = ${port}`,
        "[disk]",
        `exportname = ${image}`,
        ...["flush = true", "fua = true", "trim = true"],
      ].join("\n") + "\n",
    );
  }

  /** Starts the server. */
  async start(): Promise<void> {
    const pidFile = `${this.#directory}/old.pid`;
    for (const name of ["old.pid", "old.sock"]) {
      await Deno.remove(`${this.#directory}/${name}`).catch(() => {});
    }
    const { code } = await new Deno.Command(
      peerPath("nbd-server") ?? "nbd-server",
      {
        args: ["-C", `${this.#directory}/old.conf`, "-p", pidFile],
        stdout: "null",
        stderr: "null",
      },
    ).output();
    if (code !== 0) throw new Error(`nbd-server ended with code ${code}`);
    await eventually("nbd-server tells its process", async () => {
      const text = await Deno.readTextFile(pidFile).catch(() => "");
      this.#process = Number(text.trim()) || undefined;
      return this.#process !== undefined;
    }, 5);
  }

  /** Kills the server with its children, one for each client. */
  async kill(): Promise<void> {
    if (this.#process === undefined) return;
    await new Deno.Command("kill", {
      args: ["-KILL", "--", `-${this.#process}`],
      stderr: "null",
    }).output();
    this.#process = undefined;
  }

  /** Kills the server. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}
