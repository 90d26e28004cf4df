/**
 * Medians and ratios of the measurements, as data and as text tables.
 *
 * @module
 */

import type { Machine } from "./machine.ts";
import type { CaseResult, Outcome, Sample } from "./run.ts";
import { MIB, type ServerName, SERVERS } from "./servers.ts";

/** What came of one server in one case: the median of each figure. */
export interface ServerReport {
  /** Which server. */
  readonly server: ServerName;
  /** In the unit of the case. */
  readonly value: number;
  /** The same of each round, in order. */
  readonly values: readonly number[];
  /** From the least to the most of them, in percents of the median. */
  readonly spread: number | null;
  /**
   * How many times as good the first server of the case is, which is virstor:
   * above 1 it is the better one. Missing where there is no ratio to be had.
   */
  readonly ratio: number | null;
  /** Latency of the median request, microseconds. */
  readonly p50: number | null;
  /** Latency that one request of a hundred exceeds, microseconds. */
  readonly p99: number | null;
  /** Processor time of the server for its work, microseconds. */
  readonly cpu: number;
  /** Processor time of the client for the same, microseconds. */
  readonly clientCpu: number | null;
  /** The most memory that the server held, MiB. */
  readonly rss: number;
}

/** What came of a case. */
export interface CaseReport {
  /** Its short name. */
  readonly name: string;
  /** What was measured. */
  readonly title: string;
  /** The unit of the figures. */
  readonly unit: string;
  /** Which figures are the better ones. */
  readonly better: "higher" | "lower";
  /** The unit of processor time. */
  readonly work: string;
  /** The servers that were measured. */
  readonly servers: readonly ServerReport[];
  /** The servers that were left out, and why. */
  readonly leftOut: readonly { server: ServerName; reason: string }[];
}

/** What came of a run. */
export interface Report {
  /** Where. */
  readonly machine: Machine;
  /** When it began, ISO 8601. */
  readonly date: string;
  /** How often each server was measured. */
  readonly rounds: number;
  /** How long each load lasted, seconds. */
  readonly seconds: number;
  /** The cases, in order. */
  readonly cases: readonly CaseReport[];
}

/**
 * Brings the rounds of a case together.
 *
 * @param result What was measured.
 * @returns What came of it.
 */
export function reportCase(result: CaseResult): CaseReport {
  const { name, title, unit, better, work } = result.case;
  const measured = result.outcomes.filter(({ leftOut }) =>
    leftOut === undefined
  );
  const own = measured.find(({ server }) => server.startsWith("virstor"));
  const ownValue = own === undefined ? null : median(own.samples, "value");
  return {
    ...{ name, title, unit, better, work },
    servers: measured.map((outcome) =>
      reportServer(outcome, outcome === own ? null : ownValue, better)
    ),
    leftOut: result.outcomes.flatMap(({ server, leftOut }) =>
      leftOut === undefined ? [] : [{ server, reason: leftOut }]
    ),
  };
}

function reportServer(
  { server, samples }: Outcome,
  own: number | null,
  better: "higher" | "lower",
): ServerReport {
  const values = samples.map((sample) => sample.value);
  const value = medianOf(values) ?? NaN;
  const times = (own ?? NaN) / value;
  const ratio = better === "higher" ? times : 1 / times;
  const clientCpu = samples.map((sample) =>
    (sample.clientCpu ?? NaN) * 1e6 / sample.work
  );
  return {
    server,
    value: round(value),
    values: values.map(round),
    spread: values.length < 2
      ? null
      : round(100 * (Math.max(...values) - Math.min(...values)) / value),
    ratio: Number.isFinite(ratio) ? Math.round(ratio * 100) / 100 : null,
    p50: rounded(median(samples, "p50")),
    p99: rounded(median(samples, "p99")),
    cpu: round(median(samples, "cpu") ?? NaN),
    clientCpu: rounded(medianOf(clientCpu)),
    rss: round((median(samples, "rss") ?? NaN) / MIB),
  };
}

/** The median of a figure; `null` if there is none. */
function median(
  samples: readonly Sample[],
  field: "value" | "p50" | "p99" | "cpu" | "rss",
): number | null {
  return medianOf(samples.map((sample) => sample[field] ?? NaN));
}

/**
 * The number in the middle, or the mean of the two there.
 *
 * @param values The numbers; those that are none are passed over.
 * @returns It, or `null` if there is none.
 */
export function medianOf(values: readonly number[]): number | null {
  const sorted = values.filter(Number.isFinite).toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  if (upper === undefined) return null;
  return sorted.length % 2 === 1
    ? upper
    : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** To a tenth; large numbers to the whole. */
function round(value: number): number {
  return Math.abs(value) >= 1000
    ? Math.round(value)
    : Math.round(value * 10) / 10;
}

function rounded(value: number | null): number | null {
  return value === null ? null : round(value);
}

/**
 * A run as pages for people, in Markdown.
 *
 * @param report The run.
 * @returns Lines.
 */
export function formatReport(report: Report): string {
  const { machine, rounds, seconds, date } = report;
  const programs = Object.entries(machine.programs)
    .map(([program, version]) => `${program} ${version}`).join(", ");
  const memory = Math.round(machine.memory / MIB / 1024);
  return [
    `${date}: ${machine.cores} cores of ${machine.processor}, ${memory} GiB, ` +
    `${machine.kernel}, ${machine.fileSystem}, load before ${machine.load}; ` +
    `${programs}; rounds: ${rounds}, of ${seconds} s.`,
    "",
    ...report.cases.flatMap(formatCase),
    ...formatSizes(report.cases),
  ].join("\n").trimEnd();
}

/** A case that is measured for several sizes of chunks: its name ends so. */
const SIZED = /^(.*)-(\d+)k$/;

/** One table of what depends on the size of chunks, if that was measured. */
function formatSizes(cases: readonly CaseReport[]): string[] {
  const sized = cases.flatMap((one) => {
    const [, name = "", kib = ""] = SIZED.exec(one.name) ?? [];
    return name === "" ? [] : [{ ...one, name, kib: Number(kib) }];
  });
  const sizes = [...new Set(sized.map(({ kib }) => kib))]
    .toSorted((a, b) => a - b);
  if (sizes.length < 2) return [];
  const rows = Map.groupBy(
    sized.flatMap(({ name, kib, unit, servers }) =>
      servers.map(({ server, value }) => ({
        ...{ kib, value: number(value) },
        row: `${name}, ${unit}: ${server}`,
      }))
    ),
    ({ row }) => row,
  );
  const valueOf = (row: string, size: number) =>
    rows.get(row)?.find(({ kib }) => kib === size)?.value ?? "";
  return [
    "### Sizes of chunks",
    "",
    ...formatTable([
      ["chunks of", ...sizes.map((kib) => `${kib} KiB`)],
      ...Array.from(
        rows.keys(),
        (row) => [row, ...sizes.map((size) => valueOf(row, size))],
      ),
    ]),
    "",
  ];
}

function formatCase(result: CaseReport): string[] {
  const { name, title, unit, better, work } = result;
  const rows = result.servers.map((one) => [
    one.server,
    number(one.value),
    number(one.spread),
    one.ratio === null ? "" : `${one.ratio.toFixed(2)}x`,
    number(one.p50),
    number(one.p99),
    number(one.cpu),
    number(one.clientCpu),
    number(one.rss),
  ]);
  const head = [
    "server",
    unit,
    "spread %",
    "virstor is",
    "p50 µs",
    "p99 µs",
    `CPU µs/${work}`,
    "client's",
    "peak RSS MiB",
  ];
  return [
    `### ${name}: ${title} (${better} is better)`,
    "",
    ...formatTable([head, ...rows]),
    ...result.leftOut.map(({ server, reason }) =>
      `\nLeft out: ${server}, ${reason}.`
    ),
    "",
  ];
}

/** A table in Markdown, the first column to the left, the others right. */
function formatTable(rows: readonly string[][]): string[] {
  const columns = rows[0]?.length ?? 0;
  const widths = Array.from(
    { length: columns },
    (_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)),
  );
  const lines = rows.map((row) => {
    const cells = row.map((cell, i) =>
      i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)
    );
    return `| ${cells.join(" | ")} |`;
  });
  const rule = widths.map((width, i) =>
    i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`
  );
  return [lines[0] ?? "", `| ${rule.join(" | ")} |`, ...lines.slice(1)];
}

/** With commas between thousands; nothing for nothing. */
function number(value: number | null): string {
  if (value === null || Number.isNaN(value)) return "";
  return value.toLocaleString("en-US", { maximumFractionDigits: 1 });
}

/**
 * What the servers are.
 *
 * @returns A line for each.
 */
export function formatServers(): string {
  return Object.entries(SERVERS)
    .map(([name, { title }]) => `- ${name}: ${title}`).join("\n");
}
