/**
 * Runs cases: the servers in turns, round after round, so that other work of
 * the machine affects all of them.
 *
 * @module
 */

import type { Case } from "./case.ts";
import type { Measure } from "./measures.ts";
import { type Disk, type ServerName, whyNot } from "./servers.ts";
import { Session } from "./session.ts";

/** One measurement of one server. */
export interface Sample extends Measure {
  /** Processor time of the server for its work, microseconds. */
  readonly cpu: number;
  /** The most memory that the server held meanwhile, bytes. */
  readonly rss: number;
}

/** What came of one server in one case. */
export interface Outcome {
  /** Which server. */
  readonly server: ServerName;
  /** A sample for each round; none if it was left out. */
  readonly samples: Sample[];
  /** Why it was left out. */
  leftOut: string | undefined;
}

/** What came of a case. */
export interface CaseResult {
  /** The case. */
  readonly case: Case;
  /** Its servers, as the case has them. */
  readonly outcomes: readonly Outcome[];
}

/** How cases are run. */
export interface RunOptions {
  /** Each server is measured so often. */
  readonly rounds: number;
  /** The directory of the disks and the programs in C; the caller removes it. */
  readonly directory: string;
  /** Where this project's servers write CPU profiles, if they shall. */
  readonly profile: string | undefined;
  /** The checkout of this project that serves as `before`, if it shall. */
  readonly before: string | undefined;
  /** Ends the run before its end. */
  readonly signal: AbortSignal;
  /** Receives the progress, a line at a time. */
  readonly progress: (line: string) => void;
}

/** The servers on one disk, those that are running. */
type Sessions = Map<ServerName, Session>;

/**
 * Runs cases.
 *
 * @param cases What, those of one disk together.
 * @param options How.
 * @returns A result for each.
 * @throws {unknown} The reason of the signal, when everything is stopped.
 */
export async function runCases(
  cases: readonly Case[],
  options: RunOptions,
): Promise<CaseResult[]> {
  const results = cases.map((each) => ({
    case: each,
    outcomes: each.servers.map((server) => ({
      server,
      samples: [],
      leftOut: whyNot(server),
    })),
  }));
  for (const group of groupByDisk(results)) await runGroup(group, options);
  return results;
}

/** Neighbours that have the same disk and can share it. */
function groupByDisk(results: readonly CaseResult[]): CaseResult[][] {
  const groups: CaseResult[][] = [];
  for (const result of results) {
    const last = groups.at(-1);
    const neighbour = last?.[0]?.case;
    if (
      last !== undefined && neighbour !== undefined && !neighbour.fresh &&
      !result.case.fresh && isSameDisk(neighbour.disk, result.case.disk)
    ) {
      last.push(result);
    } else groups.push([result]);
  }
  return groups;
}

function isSameDisk(a: Disk, b: Disk): boolean {
  return a.virtualSize === b.virtualSize && a.chunkSize === b.chunkSize &&
    a.space === b.space && a.filled === b.filled;
}

/** Runs the cases of one disk. */
async function runGroup(
  group: readonly CaseResult[],
  options: RunOptions,
): Promise<void> {
  const sessions: Sessions = new Map();
  try {
    for (const result of group) {
      const { name, roundsMax = Infinity } = result.case;
      const rounds = Math.min(options.rounds, roundsMax);
      for (let round = 0; round < rounds; round++) {
        options.progress(`${name}, round ${round + 1} of ${rounds}`);
        for (const outcome of rotate(result.outcomes, round)) {
          await runOne(result.case, outcome, sessions, options);
          options.signal.throwIfAborted();
        }
      }
    }
  } finally {
    for (const session of sessions.values()) await session.close();
  }
}

/** Each value comes first in one of the rounds. */
function rotate<T>(values: readonly T[], by: number): T[] {
  const first = by % values.length;
  return [...values.slice(first), ...values.slice(0, first)];
}

/** One measurement; what goes wrong leaves the server out of the case. */
async function runOne(
  each: Case,
  outcome: Outcome,
  sessions: Sessions,
  options: RunOptions,
): Promise<void> {
  if (outcome.leftOut !== undefined) return;
  try {
    const sample = await measureOne(each, outcome.server, sessions, options);
    outcome.samples.push(sample);
    const value = sample.value.toFixed(1);
    options.progress(`  ${outcome.server}: ${value} ${each.unit}`);
  } catch (error) {
    const cause = error instanceof Error ? error : new Error(String(error));
    outcome.leftOut = cause.message;
    const why = [cause.message, messageOf(cause.cause)].join(" ").trim();
    options.progress(`  ${outcome.server} is left out: ${why}`);
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? `(${cause.message})` : "";
}

async function measureOne(
  each: Case,
  server: ServerName,
  sessions: Sessions,
  options: RunOptions,
): Promise<Sample> {
  let session = sessions.get(server);
  if (session === undefined) {
    session = await Session.open(server, {
      disk: each.disk,
      directory: `${options.directory}/disks/${server}`,
      programs: options.directory,
      profile: options.profile,
      before: server === "before" ? options.before : undefined,
    });
    sessions.set(server, session);
  }
  try {
    await session.settle();
    return await measured(each, session);
  } finally {
    if (each.fresh) {
      sessions.delete(server);
      await session.close();
    }
  }
}

/** A measurement, and what it cost the server. */
async function measured(each: Case, session: Session): Promise<Sample> {
  const before = session.process;
  before.resetPeak();
  const cpuBefore = before.cpuSeconds();
  const measure = await each.measure(session);
  // A server that was started meanwhile has used what it has used for that.
  const used = session.process.cpuSeconds() -
    (session.process === before ? cpuBefore : 0);
  return {
    ...measure,
    cpu: used * 1e6 / measure.work,
    rss: session.process.peakBytes(),
  };
}
