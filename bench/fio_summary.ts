/**
 * Medians and ratios of what was measured, and a table of them.
 *
 * @module
 */

/** What fio does. */
export interface Job {
  /** fio's name of the pattern. */
  readonly pattern: "randread" | "randwrite" | "randrw";
  /** Requests in flight. */
  readonly depth: number;
}

/** What came out of one job on one server. */
export interface Measurement {
  /** Who served. */
  readonly server: "virstor" | "nbdkit";
  /** What was done. */
  readonly job: Job;
  /** Requests a second. */
  readonly iops: number;
  /** Processor time of the server for a request, microseconds. */
  readonly cpu: number;
}

/** What came out of all rounds of one job. */
export interface SummaryRow {
  /** What was done, e.g. `randread`. */
  readonly pattern: string;
  /** Requests in flight. */
  readonly depth: number;
  /** Requests a second that virstor served. */
  readonly virstorIops: number;
  /** Requests a second that nbdkit served. */
  readonly nbdkitIops: number;
  /** The first over the second. */
  readonly ratio: number;
  /** Processor time of virstor for a request, microseconds. */
  readonly virstorCpu: number;
  /** Processor time of nbdkit for a request, microseconds. */
  readonly nbdkitCpu: number;
}

/**
 * Brings the rounds of each job together.
 *
 * @param jobs The jobs, in order.
 * @param measurements What was measured.
 * @returns A row for each job.
 */
export function summarize(
  jobs: readonly Job[],
  measurements: readonly Measurement[],
): SummaryRow[] {
  return jobs.map((job) => {
    const of = (server: string, field: "iops" | "cpu") =>
      median(
        measurements.filter((one) => one.server === server && one.job === job)
          .map((one) => one[field]),
      );
    const virstorIops = of("virstor", "iops");
    const nbdkitIops = of("nbdkit", "iops");
    return {
      pattern: job.pattern,
      depth: job.depth,
      virstorIops: Math.round(virstorIops),
      nbdkitIops: Math.round(nbdkitIops),
      ratio: Math.round(virstorIops / nbdkitIops * 100) / 100,
      virstorCpu: Math.round(of("virstor", "cpu") * 10) / 10,
      nbdkitCpu: Math.round(of("nbdkit", "cpu") * 10) / 10,
    };
  });
}

/**
 * A table for people.
 *
 * @param rows The rows.
 * @returns Lines.
 */
export function formatTable(rows: readonly SummaryRow[]): string {
  const head =
    "4 KiB      depth  virstor/s  nbdkit/s  ratio  CPU us/request: virstor  nbdkit";
  return [
    head,
    ...rows.map((row) =>
      row.pattern.padEnd(11) +
      String(row.depth).padStart(5) +
      String(row.virstorIops).padStart(11) +
      String(row.nbdkitIops).padStart(10) +
      row.ratio.toFixed(2).padStart(7) +
      row.virstorCpu.toFixed(1).padStart(25) +
      row.nbdkitCpu.toFixed(1).padStart(8)
    ),
  ].join("\n");
}

/** The one in the middle, or the mean of the two there. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1
    ? upper
    : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}
