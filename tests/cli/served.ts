/**
 * A small pool in a workspace, what clients do to it, and what its status is.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import type { StatusReport } from "../../cli/control/control_protocol.ts";
import type { BusyClient } from "../helpers/busy_client.ts";
import { pattern } from "../helpers/scratch.ts";
import { Server, Workspace } from "../helpers/virstor.ts";
import { PATIENCE_MS, pause } from "../helpers/patience.ts";

/** The chunk size of the small pool, bytes. */
export const CHUNK: number = 128 * 1024;
/** What a delayed write writes: little enough to be one write to the pool. */
export const BLOCK = 4096;
/** Chunks on a component of 1 MiB: the labels and the table take the rest. */
export const COMPONENT_CHUNKS = 6;

/**
 * Makes a pool "demo" of components of 1 MiB, with room for six chunks each (in
 * FreeBSD's format seven, and five on the first).
 *
 * @param format Its format.
 * @param names The components.
 * @returns Where it is.
 */
export async function makeSmallPool(
  format = "native",
  names: readonly string[] = ["a"],
): Promise<Workspace> {
  const work = await Workspace.create();
  const sizes = ["-s", "64M", "-m", "128K", "--create", "1M"];
  await work.succeed(["label", "--format", format, ...sizes, "demo", ...names]);
  return work;
}

/**
 * Serves the pool on a port of its own.
 *
 * @param work Where it is.
 * @param options More options.
 * @returns The server.
 */
export function serve(work: Workspace, ...options: string[]): Promise<Server> {
  return work.serve(["serve", "--listen", "127.0.0.1:0", ...options, "demo"]);
}

/**
 * Starts a command that is not waited for.
 *
 * @param work Where.
 * @param args The words after `virstor`.
 * @returns The process.
 */
export function start(
  work: Workspace,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Server {
  const main = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
  return new Server(
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", main, ...args],
      cwd: work.directory,
      env: { NO_COLOR: "1", VIRSTOR_STATE_DIR: work.stateDirectory, ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
}

/**
 * Maps the first chunks.
 *
 * @param client A client of the pool.
 * @param chunks How many; all that a pool of one component has.
 */
export async function fill(
  client: BusyClient,
  chunks = COMPONENT_CHUNKS,
): Promise<void> {
  for (let chunk = 0; chunk < chunks; chunk++) {
    const reply = await client.write(chunk * CHUNK, pattern(CHUNK, chunk));
    assertEquals(reply.errno, 0);
  }
}

/**
 * Asserts that the first chunks hold what {@linkcode fill} wrote.
 *
 * @param client A client of the pool.
 * @param chunks How many.
 */
export async function assertFilled(
  client: BusyClient,
  chunks: number,
): Promise<void> {
  for (let chunk = 0; chunk < chunks; chunk++) {
    const { payload } = await client.read(chunk * CHUNK, CHUNK);
    assertEquals(payload, pattern(CHUNK, chunk), `chunk ${chunk}`);
  }
}

/**
 * How the pool does.
 *
 * @param work Where it is.
 * @returns What `status --json` says.
 */
export async function statusOf(work: Workspace): Promise<StatusReport> {
  return JSON.parse(await work.succeed(["status", "--json", "demo"]));
}

/**
 * Asks for the status until it is as wanted; fails after a long time.
 *
 * @param work Where the pool is.
 * @param isWanted Tells.
 * @returns The status then.
 */
export async function untilStatus(
  work: Workspace,
  isWanted: (status: StatusReport) => boolean,
): Promise<StatusReport> {
  for (const end = performance.now() + PATIENCE_MS;;) {
    const status = await statusOf(work);
    if (isWanted(status)) return status;
    if (performance.now() > end) {
      throw new Error(`Still ${JSON.stringify(status, null, 2)}`);
    }
    await pause(20);
  }
}

/**
 * Asserts that `check` finds nothing.
 *
 * @param work Where the pool is.
 */
export async function assertSound(work: Workspace): Promise<void> {
  assertEquals(
    await work.succeed(["check", "demo"]),
    'Pool "demo" is sound\n',
  );
}
