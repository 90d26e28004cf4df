/**
 * Load from fio's NBD engine, which is libnbd: a client that people use, the
 * same for every server.
 *
 * @module
 */

import { run } from "./processes.ts";

/** What fio does on one or more connections. */
export interface FioJob {
  /** fio's name of the pattern, e.g. `randread`. */
  readonly pattern: string;
  /** Bytes of a request. */
  readonly blockSize: number;
  /** Requests in flight on each connection. */
  readonly depth: number;
  /** Connections. */
  readonly connections: number;
  /** What part of the disk is used, from its beginning, bytes. */
  readonly size: number;
  /** How long, seconds; it may end before if `once`. */
  readonly seconds: number;
  /** Every block at most once. */
  readonly once: boolean;
  /** More options of fio. */
  readonly options?: readonly string[];
}

/** What came out of a job. */
export interface FioResult {
  /** Requests a second. */
  readonly iops: number;
  /** Requests in all. */
  readonly requests: number;
  /** How long it took, seconds. */
  readonly seconds: number;
  /** Latency of the median request, microseconds. */
  readonly p50: number;
  /** Latency that one request of a hundred exceeds, microseconds. */
  readonly p99: number;
  /** Processor time that fio used for it, seconds. */
  readonly clientCpu: number;
}

/** A job in fio's JSON; its numbers are by name. */
interface FioJson extends Readonly<Record<string, unknown>> {
  readonly mixed: Readonly<Record<string, unknown>>;
}

/**
 * Runs jobs at the same time.
 *
 * @param uri Where.
 * @param jobs What.
 * @returns A result for each.
 */
export async function fio(
  uri: string,
  jobs: readonly FioJob[],
): Promise<FioResult[]> {
  const output = await run("fio", [
    ...["--ioengine=nbd", `--uri=${uri}`, "--output-format=json"],
    // The same requests each time; the data need not differ.
    ...["--randrepeat=1", "--scramble_buffers=0"],
    ...["--unified_rw_reporting=1", "--group_reporting"],
    ...jobs.flatMap(jobOptions),
  ]);
  // fio says first that it is connected.
  const parsed = JSON.parse(output.slice(output.indexOf("{")));
  const results: readonly FioJson[] = parsed.jobs;
  return results.map(resultOf);
}

function jobOptions(job: FioJob, index: number): string[] {
  return [
    ...[`--name=job${index}`, "--new_group", `--rw=${job.pattern}`],
    ...[`--bs=${job.blockSize}`, `--iodepth=${job.depth}`],
    ...[`--numjobs=${job.connections}`, `--size=${job.size}`],
    `--runtime=${Math.round(job.seconds * 1000)}ms`,
    ...job.once ? [] : ["--time_based", "--norandommap"],
    ...job.options ?? [],
  ];
}

function resultOf(job: FioJson): FioResult {
  const { mixed } = job;
  const latency = mixed["clat_ns"] as { percentile?: Record<string, number> };
  const percentile = (name: string) =>
    (latency.percentile?.[name] ?? NaN) / 1000;
  // Percents of the run times of all connections together.
  const percents = Number(job["usr_cpu"]) + Number(job["sys_cpu"]);
  return {
    iops: Number(mixed["iops"]),
    requests: Number(mixed["total_ios"]),
    seconds: Number(mixed["runtime"]) / 1000,
    p50: percentile("50.000000"),
    p99: percentile("99.000000"),
    clientCpu: percents / 100 * Number(job["job_runtime"]) / 1000,
  };
}
