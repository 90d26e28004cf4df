/**
 * `virstor ping`: measures how long an NBD server takes to answer.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { featuresOf, NbdDisk } from "../../nbd/client/mod.ts";
import {
  type Environment,
  EXIT_FAILED,
  EXIT_OK,
  type Invocation,
  numberOption,
  print,
  printError,
  printJson,
} from "../terminal/mod.ts";
import { handleSignals, pause } from "../signals/mod.ts";
import { uriOperand } from "./remote_uri.ts";

const HINT = 'Try "virstor ping --help"';
/** Milliseconds without an answer after which the connection is given up. */
const SILENCE_MS = 5000;

/** What was measured, milliseconds each. */
interface Times {
  readonly read: number[];
  readonly flush: number[];
  failed: number;
}

/**
 * Reads a block and flushes, again and again, and says how long that took.
 *
 * @param invocation The command line.
 * @param _environment Not used.
 * @returns 1 if nothing was answered, else 0.
 * @throws {VirstorError} If the server cannot be reached at first.
 */
export async function run(
  invocation: Invocation,
  _environment: Environment,
): Promise<number> {
  const uri = uriOperand(invocation.operands[0] ?? "");
  const count = numberOption(
    invocation,
    "count",
    /^[1-9]\d*$/,
    HINT,
    "1 or more",
  );
  const seconds = numberOption(invocation, "interval", /^\d+(\.\d+)?$/, HINT);
  const isJson = invocation.flag("json");
  await using disk = await NbdDisk.connect(uri, {
    connections: 1,
    unsafeNoFlush: true,
    whileAway: "fail",
    silenceMs: SILENCE_MS,
  });
  const stop = new AbortController();
  const release = handleSignals({ begin: () => stop.abort() });
  try {
    const times: Times = { read: [], flush: [], failed: 0 };
    for (let i = 1; i <= (count ?? Infinity) && !stop.signal.aborted; i++) {
      if (i > 1) await pause((seconds ?? 1) * 1000, stop.signal);
      if (stop.signal.aborted) break;
      const line = await pingOnce(disk, times);
      if (!isJson) print(`${i}: ${line}`);
    }
    if (isJson) printJson(summary(disk, times));
    else print(summaryText(times));
    return times.read.length > 0 ? EXIT_OK : EXIT_FAILED;
  } finally {
    release();
  }
}

/** One round; returns what it took, in words. */
async function pingOnce(disk: NbdDisk, times: Times): Promise<string> {
  try {
    const target = new Uint8Array(Math.min(disk.info.minimumBlock, disk.size));
    const read = await timed(() => disk.read(target, 0));
    times.read.push(read);
    const isReadOnly = disk.capabilities.readOnly;
    if (isReadOnly || !featuresOf(disk.info).canFlush) {
      return `read ${inMs(read)}`;
    }
    const flush = await timed(() => disk.flush());
    times.flush.push(flush);
    return `read ${inMs(read)}, flush ${inMs(flush)}`;
  } catch (error) {
    if (!(error instanceof VirstorError)) throw error;
    times.failed += 1;
    printError(`virstor: ${error.message}`);
    return "no answer";
  }
}

async function timed(
  act: () => void | Promise<void>,
): Promise<number> {
  const start = performance.now();
  await act();
  return performance.now() - start;
}

function inMs(ms: number): string {
  return `${ms.toFixed(3)} ms`;
}

/** Least, mean, 99th percentile and most. */
function statistics(
  all: readonly number[],
): Record<"least" | "mean" | "p99" | "most", number> {
  const sorted = all.toSorted((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? 0;
  return {
    least: inMicroseconds(at(0)),
    mean: inMicroseconds(
      all.reduce((sum, ms) => sum + ms, 0) / Math.max(1, all.length),
    ),
    p99: inMicroseconds(at(Math.ceil(0.99 * all.length) - 1)),
    most: inMicroseconds(at(all.length - 1)),
  };
}

/** Whole microseconds: the rest is noise. */
function inMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

function summary(disk: NbdDisk, times: Times): object {
  return {
    uri: disk.info.uri,
    answered: times.read.length,
    failed: times.failed,
    reconnects: disk.status().reconnects,
    readMs: statistics(times.read),
    flushMs: statistics(times.flush),
  };
}

function summaryText(times: Times): string {
  const line = (name: string, all: readonly number[]) => {
    if (all.length === 0) return [];
    const { least, mean, p99, most } = statistics(all);
    const words = [
      `least ${inMs(least)}`,
      `mean ${inMs(mean)}`,
      `p99 ${inMs(p99)}`,
      `most ${inMs(most)}`,
    ];
    return [`${name}: ${words.join(", ")}`];
  };
  return [
    `${times.read.length} answered, ${times.failed} failed`,
    ...line("read", times.read),
    ...line("flush", times.flush),
  ].join("\n");
}
