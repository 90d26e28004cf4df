/**
 * A pool with a component on another machine, and the commands that know of it.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { start } from "../cli/served.ts";
import { NbdDisk } from "../../nbd/client/mod.ts";
import { MIB, pattern } from "../helpers/scratch.ts";
import {
  type CommandResult,
  type Server,
  Workspace,
} from "../helpers/virstor.ts";

/** Bytes of a far image. */
export const FAR_SIZE: number = 24 * MIB;

/** Small journals, and short waits for owners. */
const ENV = { VIRSTOR_JOURNAL: ",1M", VIRSTOR_OWNER_INTERVAL: "0.3" };

/** Commands of one machine. */
export class Machine implements AsyncDisposable {
  /** Variables of its commands. */
  readonly env: Record<string, string> = { ...ENV };
  readonly #work: Workspace;

  private constructor(work: Workspace) {
    this.#work = work;
  }

  /** Makes a machine without pools. */
  static async create(): Promise<Machine> {
    return new Machine(await Workspace.create());
  }

  /** A path in its directory. */
  path(name: string): string {
    return this.#work.path(name);
  }

  /** Makes a sparse file. */
  makeFile(name: string, size = FAR_SIZE): Promise<string> {
    return this.#work.makeFile(name, size);
  }

  /** Runs a command that must succeed; returns what it printed. */
  succeed(...args: string[]): Promise<string> {
    return this.#work.succeed(args, { env: this.env });
  }

  /** Runs a command; returns what became of it. */
  run(...args: string[]): Promise<CommandResult> {
    return this.#work.run(args, { env: this.env });
  }

  /** Serves pool "p". */
  serve(...args: string[]): Promise<Server> {
    const socket = this.path(`serve-${crypto.randomUUID().slice(0, 4)}`);
    const words = ["serve", "p", "--socket", socket, ...args];
    return this.#work.serve(words, { env: this.env });
  }

  /** Begins to serve, and does not wait until clients can connect. */
  start(...args: string[]): Server & AsyncDisposable {
    const server = start(this.#work, args, this.env);
    const end = async () => void await server.kill();
    return Object.assign(server, { [Symbol.asyncDispose]: end });
  }

  /** Kills its servers, and removes its files. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#work[Symbol.asyncDispose]();
  }
}

/** Writes a pattern to each of the first chunks of the disk. */
export async function writeChunks(
  uri: string,
  count: number,
  seed: number,
): Promise<void> {
  await using disk = await NbdDisk.connect(uri);
  for (let chunk = 0; chunk < count; chunk++) {
    await disk.write(pattern(5000, seed + chunk), chunk * MIB + chunk);
  }
}

/** Checks what {@linkcode writeChunks} has written. */
export async function checkChunks(
  uri: string,
  count: number,
  seed: number,
): Promise<void> {
  await using disk = await NbdDisk.connect(uri);
  for (let chunk = 0; chunk < count; chunk++) {
    const bytes = new Uint8Array(5000);
    await disk.read(bytes, chunk * MIB + chunk);
    assertEquals(bytes, pattern(5000, seed + chunk), `chunk ${chunk}`);
  }
}
