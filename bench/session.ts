/**
 * One server on one disk: made, filled, started, loaded, removed.
 *
 * @module
 */

import { fio } from "./fio.ts";
import { run, ServerProcess } from "./processes.ts";
import {
  MIB,
  type Place,
  type ServerKind,
  type ServerName,
  SERVERS,
  socketOf,
} from "./servers.ts";

/** How much of a file may be left in the cache that was dropped. */
const RESIDENT_MAX = 0.02;

/** A server on a disk of its own. */
export class Session {
  /** Which server. */
  readonly name: ServerName;
  /** Where its disk is. */
  readonly place: Place;
  readonly #kind: ServerKind;
  #process: ServerProcess | undefined = undefined;
  #far: ServerProcess | undefined = undefined;

  private constructor(name: ServerName, place: Place) {
    this.name = name;
    this.place = place;
    this.#kind = SERVERS[name];
  }

  /**
   * Makes a disk, starts its server, and writes what the disk is filled with.
   *
   * @param name The server.
   * @param place Where; the directory is made.
   * @returns The session.
   */
  static async open(name: ServerName, place: Place): Promise<Session> {
    const session = new Session(name, place);
    await Deno.mkdir(place.directory, { recursive: true });
    try {
      await session.#kind.create(place);
      await session.start();
      await session.#pass("write");
    } catch (error) {
      await session.close();
      throw error;
    }
    return session;
  }

  /** The server. */
  get process(): ServerProcess {
    if (this.#process === undefined) throw new Error("No server is running");
    return this.#process;
  }

  /** Where clients connect. */
  get uri(): string {
    const socket = socketOf(this.place);
    return `nbd+unix:///${this.#kind.exportName}?socket=${socket}`;
  }

  /** Starts the server. */
  async start(): Promise<void> {
    const socket = socketOf(this.place);
    const far = this.#kind.far?.(this.place);
    if (far !== undefined) this.#far = await start(far.command, far.socket);
    const command = this.#kind.command(this.place);
    this.#process = await start(command, socket);
  }

  /** Stops the server. */
  async stop(): Promise<void> {
    await this.#process?.stop();
    this.#process = undefined;
    await this.#far?.stop();
    this.#far = undefined;
  }

  /** Stops the server and removes the disk. */
  async close(): Promise<void> {
    await this.stop();
    await Deno.remove(this.place.directory, { recursive: true });
  }

  /**
   * Puts the filled part of the disk into the page cache in the same way for
   * every server: drops it, which writes dirty pages back, and reads it from
   * the disk. Pages that small writes brought in lie in small folios, which
   * make each later read slower; pages that the system read ahead do not.
   */
  async settle(): Promise<void> {
    if (this.place.disk.filled === 0) return await this.#writeBack();
    await this.dropCache();
    await this.#pass("read");
  }

  /**
   * Has the system forget the cached pages of the disk.
   *
   * @throws {Error} If it does not.
   */
  async dropCache(): Promise<void> {
    await this.#writeBack();
    for await (const entry of Deno.readDir(this.place.directory)) {
      if (!entry.isFile) continue;
      const file = `${this.place.directory}/${entry.name}`;
      // With a count of 0 it is about the whole file. Needs no rights.
      await run("dd", [`if=${file}`, "iflag=nocache", "count=0"]);
      await assertCold(file);
    }
  }

  async #writeBack(): Promise<void> {
    await run("sync", ["--file-system", this.place.directory]);
  }

  /** Writes or reads once what is filled. */
  async #pass(pattern: "read" | "write"): Promise<void> {
    const { filled } = this.place.disk;
    if (filled === 0) return;
    await fio(this.uri, [{
      pattern,
      blockSize: MIB,
      depth: 4,
      connections: 1,
      size: filled,
      seconds: 3600,
      once: true,
    }]);
  }
}

async function start(
  command: readonly string[],
  socket: string,
): Promise<ServerProcess> {
  // Not all servers remove it when they end.
  await Deno.remove(socket).catch(() => {});
  return await ServerProcess.start(command, socket);
}

async function assertCold(file: string): Promise<void> {
  const columns = ["--bytes", "--noheadings", "--output", "RES"];
  const resident = Number(await run("fincore", [...columns, file]));
  const { blocks } = await Deno.stat(file);
  if (resident > RESIDENT_MAX * (blocks ?? 0) * 512) {
    throw new Error(`${resident} bytes of the disk stay in the page cache`);
  }
}
