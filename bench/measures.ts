/**
 * The ways to measure a server. Each gives one {@linkcode Measure}: what was
 * done, and how fast.
 *
 * @module
 */

import { BusyClient } from "../tests/helpers/busy_client.ts";
import { fio, type FioJob } from "./fio.ts";
import { run } from "./processes.ts";
import { GIB, KIB, MIB, socketOf, virstorCommand } from "./servers.ts";
import type { Session } from "./session.ts";

/** What was measured. */
export interface Measure {
  /** In the unit of the case. */
  readonly value: number;
  /** Latency of the median request, microseconds. */
  readonly p50?: number;
  /** Latency that one request of a hundred exceeds, microseconds. */
  readonly p99?: number;
  /** What the server's processor time is divided by: requests, or MiB. */
  readonly work: number;
  /** Processor time of the client, seconds. */
  readonly clientCpu?: number;
}

/** What a case measures on one server. */
export type MeasureFunction = (session: Session) => Promise<Measure>;

/** How long a write is watched that has to wait, milliseconds. */
const DELAYED_MS = 500;

/**
 * Requests a second of a job of fio.
 *
 * @param job The job.
 * @returns The way to measure it; given what follows the name of the export, to
 *   use another one.
 */
export function requestRate(
  job: FioJob,
): (session: Session, suffix?: string) => Promise<Measure> {
  return async (session, suffix = "") => {
    const uri = session.uri.replace("?", `${suffix}?`);
    const [result] = await fio(uri, [job]);
    if (result === undefined) throw new Error("fio gave no result");
    return { ...result, value: result.iops, work: result.requests };
  };
}

/**
 * MiB a second of a job of fio.
 *
 * @param job The job.
 * @returns The way to measure it.
 */
export function throughput(job: FioJob): MeasureFunction {
  const measure = requestRate(job);
  return async (session) => {
    const result = await measure(session);
    return { ...result, value: result.value * job.blockSize / MIB };
  };
}

/**
 * Requests a second of a job of fio, when nothing is in the page cache.
 *
 * @param job The job.
 * @returns The way to measure it.
 */
export function coldRate(job: FioJob): MeasureFunction {
  const measure = requestRate(job);
  return async (session) => {
    await session.dropCache();
    return await measure(session);
  };
}

/**
 * The peak of the server's memory under a job of fio, MiB.
 *
 * @param job The job.
 * @returns The way to measure it.
 */
export function memory(job: FioJob): MeasureFunction {
  const measure = requestRate(job);
  return async (session) => {
    const result = await measure(session);
    return { ...result, value: session.process.peakBytes() / MIB };
  };
}

/**
 * How many times longer the slowest hundredth of a reader's requests takes
 * beside a client that streams; the latencies are those beside it.
 *
 * @param reader What the reader does.
 * @param stream What the other one does.
 * @returns The way to measure it.
 */
export function fairness(reader: FioJob, stream: FioJob): MeasureFunction {
  return async (session) => {
    const [alone] = await fio(session.uri, [reader]);
    const [beside, streamed] = await fio(session.uri, [reader, stream]);
    if (alone === undefined || beside === undefined || streamed === undefined) {
      throw new Error("fio gave no result");
    }
    return {
      value: beside.p99 / alone.p99,
      p50: beside.p50,
      p99: beside.p99,
      work: alone.requests + beside.requests + streamed.requests,
      clientCpu: alone.clientCpu + beside.clientCpu + streamed.clientCpu,
    };
  };
}

/**
 * MiB a second of nbdcopy.
 *
 * @param size How much is copied, bytes.
 * @param ends From what to what; given the URI of the server.
 * @returns The way to measure it.
 */
export function copy(
  size: number,
  ends: (uri: string) => readonly [string, string],
): MeasureFunction {
  return async (session) => {
    const begin = performance.now();
    await run("nbdcopy", ends(session.uri));
    const seconds = (performance.now() - begin) / 1000;
    return { value: size / MIB / seconds, work: size / MIB };
  };
}

/**
 * How long it takes to discard the beginning of a disk, milliseconds.
 *
 * @param size How much, bytes.
 * @returns The way to measure it.
 */
export function discard(size: number): MeasureFunction {
  return async (session) => {
    const [result] = await fio(session.uri, [{
      pattern: "trim",
      blockSize: GIB,
      depth: 1,
      connections: 1,
      size,
      seconds: 3600,
      once: true,
    }]);
    if (result === undefined) throw new Error("fio gave no result");
    const { seconds, requests } = result;
    if (requests !== size / GIB) {
      throw new Error(`fio discarded ${requests} GiB only`);
    }
    return { ...result, value: seconds * 1000, work: requests };
  };
}

/**
 * How long a server takes from its start to its greeting, milliseconds.
 *
 * @returns The way to measure it.
 */
export function openTime(): MeasureFunction {
  return async (session) => {
    await session.stop();
    await session.start();
    return { value: session.process.startMs, work: 1 };
  };
}

/**
 * How long the first delayed write of a full pool takes from the return of
 * `virstor add` to its reply, milliseconds; less than 0 if it came before.
 *
 * @returns The way to measure it; only for virstor, and a disk with less space
 *   than it has chunks.
 */
export function resumeTime(): MeasureFunction {
  return async (session) => {
    const { place } = session;
    const { chunkSize, virtualSize } = place.disk;
    using client = await BusyClient.open({ path: socketOf(place) });
    const block = new Uint8Array(4 * KIB).fill(1);
    for (let offset = 0; offset < virtualSize; offset += chunkSize) {
      let repliedAt: number | undefined;
      const reply = client.write(offset, block).then((reply) => {
        repliedAt = performance.now();
        return reply;
      });
      await Promise.race([reply, sleep(DELAYED_MS)]);
      if (repliedAt !== undefined) continue;
      const file = `${place.directory}/added`;
      const size = ["--create", String(64 * MIB)];
      const [program = "", ...args] = virstorCommand(
        { ...place, profile: undefined },
        ...["add", ...size, "bench", file],
      );
      await run(program, args);
      const addedAt = performance.now();
      if ((await reply).errno !== 0) throw new Error("The write has failed");
      return { value: (repliedAt ?? NaN) - addedAt, work: 1 };
    }
    throw new Error("No write was delayed");
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
