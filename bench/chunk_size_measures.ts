/**
 * The ways to measure what depends on the size of chunks: writes after a
 * snapshot, the memory of a map, the space that small discards leave.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { fio, type FioJob } from "./fio.ts";
import { type MeasureFunction, requestRate } from "./measures.ts";
import { run } from "./processes.ts";
import { fileOf, KIB, MIB, virstorCommand } from "./servers.ts";
import type { Session } from "./session.ts";

/** The program that maps a disk; its figure is for a TiB. */
const MAP_MEMORY = fileURLToPath(new URL("map_memory.ts", import.meta.url));
const SNAPSHOT = "before";

/**
 * Requests a second of a job of fio that begins right after a snapshot.
 *
 * @param job The job.
 * @param isOfSnapshot Whether it uses the snapshot in place of the volume; only
 *   for virstor.
 * @returns The way to measure it.
 */
export function rateAfterSnapshot(
  job: FioJob,
  isOfSnapshot = false,
): MeasureFunction {
  const measure = requestRate(job);
  return async (session) => {
    await takeSnapshot(session);
    return await measure(session, isOfSnapshot ? `@${SNAPSHOT}` : "");
  };
}

/** Takes a snapshot as a user of the server would. */
async function takeSnapshot(session: Session): Promise<void> {
  const { name, place } = session;
  if (!name.startsWith("qcow2")) {
    return await virstor(session, "snapshot", `bench@${SNAPSHOT}`);
  }
  await session.stop();
  const file = fileOf(place);
  if (name === "qcow2") {
    await run("qemu-img", ["snapshot", "-c", SNAPSHOT, file]);
  } else {
    const base = `${file}.base`;
    await Deno.rename(file, base);
    const clusters = `cluster_size=${place.disk.chunkSize}`;
    await run("qemu-img", [
      ...["create", "-q", "-f", "qcow2", "-o", clusters],
      ...["-b", base, "-F", "qcow2", file],
    ]);
  }
  await session.start();
}

async function virstor(session: Session, ...args: string[]): Promise<void> {
  const place = { ...session.place, profile: undefined };
  const [program = "", ...rest] = virstorCommand(place, ...args);
  await run(program, rest);
}

/**
 * The memory that the map of a TiB takes, all of it mapped, MiB.
 *
 * @returns The way to measure it; only for virstor.
 */
export function mapMemory(): MeasureFunction {
  return async ({ place: { directory, disk: { chunkSize } } }) => {
    const output = await run(Deno.execPath(), [
      ...["run", "-A", "--quiet", "--v8-flags=--expose-gc", MAP_MEMORY],
      ...[String(chunkSize), directory],
    ]);
    return { value: Number(output), work: 1 };
  };
}

/**
 * The space that a disk keeps after half of it was discarded in small pieces,
 * MiB: for a pool its used chunks, for a file what it takes on its file system.
 *
 * @param size Bytes that were filled; pieces of 16 KiB of it are discarded.
 * @returns The way to measure it.
 */
export function keptSpace(size: number): MeasureFunction {
  const blockSize = 16 * KIB;
  return async (session) => {
    const [result] = await fio(session.uri, [{
      ...{ pattern: "randtrim", blockSize, depth: 1, connections: 1 },
      ...{ size, seconds: 3600, once: true },
      options: [`--number_ios=${size / blockSize / 2}`],
    }]);
    if (result === undefined) throw new Error("fio gave no result");
    const value = await spaceOf(session) / MIB;
    return { ...result, value, work: result.requests };
  };
}

async function spaceOf({ name, place }: Session): Promise<number> {
  if (name.startsWith("qcow2")) {
    const { blocks } = await Deno.stat(fileOf(place));
    return (blocks ?? NaN) * 512;
  }
  const bare = { ...place, profile: undefined };
  const [program = "", ...args] = virstorCommand(
    bare,
    ...["status", "--json", "bench"],
  );
  const { pool } = JSON.parse(await run(program, args));
  return pool.usedChunks * pool.chunkSize;
}
