/**
 * Where the command line writes: results to standard output, everything else
 * to standard error. Nothing else in the project prints.
 *
 * @module
 */

import { printable, VirstorError } from "../../errors.ts";
import {
  EVENT_LEVELS,
  type EventName,
  LOG_LEVELS,
  type LogLevel,
} from "./event_levels.ts";
import { cutText } from "./text_width.ts";

/** How lines on standard error are written. */
export interface LogStyle {
  /** What is told. */
  readonly level: LogLevel;
  /** Text for people, or one JSON object a line. */
  readonly format: "text" | "json";
  /** Text says which pool a line is about; JSON always does. */
  readonly showPools: boolean;
}

/** What a line of the log is about, where that is known. */
export interface LogDetails {
  /** How much it matters, if not as much as its event usually does. */
  readonly level?: LogLevel;
  /** The pool, which is the export too. */
  readonly pool?: string;
  /** The number of the client. */
  readonly client?: number;
  /** Where the client came from. */
  readonly peer?: string;
}

/** Standard output is gone: whoever read it has seen enough. */
export class OutputClosedError extends Error {
  override readonly name = "OutputClosedError";
}

/** Goes to the start of the terminal's line, and empties it. */
const START_OF_LINE = "\r\x1b[K";
/** So many notices are written at once. */
const NOTICES_MAX = 12;
/** Columns of a terminal that does not tell how many it has. */
const COLUMNS = 80;
/** Where nobody looks on, progress is told again so often, seconds. */
const QUIET_PROGRESS_SECONDS = 10;

const encoder = new TextEncoder();
/** Whether the terminal shows a line that is going to change. */
let isLineOpen = false;
/** Standard error is one for the whole process, and so is its style. */
let style: LogStyle = { level: "info", format: "text", showPools: false };

/**
 * Sets how lines on standard error are written from now on.
 *
 * @param wanted The style.
 */
export function setLogStyle(wanted: LogStyle): void {
  style = wanted;
}

function writeAll(
  stream: { writeSync(bytes: Uint8Array): number },
  text: string,
): void {
  let bytes = encoder.encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
}

/**
 * Lines as terminals may show them: what a name in them holds, say an escape
 * sequence, is shown and not obeyed. A line break in a name is the one thing
 * that cannot be known here; `printable` has to be asked for it before.
 */
function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

/**
 * Writes one line, or several, to standard output.
 *
 * @param text Without a line break at the end.
 * @throws {OutputClosedError} If nobody reads it any more.
 * @throws {VirstorError} `io` if it cannot be written, for instance because
 *   it goes to a full disk.
 */
export function print(text: string): void {
  try {
    writeAll(Deno.stdout, printableLines(text) + "\n");
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) {
      throw new OutputClosedError("Standard output is closed");
    }
    throw new VirstorError(
      "io",
      `Cannot write to standard output: ${
        error instanceof Error ? error.message : error
      }`,
      { cause: error },
    );
  }
}

/**
 * Writes a value as JSON to standard output, for scripts.
 *
 * @param value Anything that JSON can hold.
 * @throws {OutputClosedError} As {@linkcode print}.
 */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/**
 * Writes a line to standard error. That it cannot be written is no reason to
 * stop: a server goes on when its terminal is gone.
 *
 * @param text Without a line break at the end.
 */
export function printError(text: string): void {
  const message = text.replace(/^virstor: /, "");
  writeLine("failed", message, {}, text);
}

/**
 * Writes what the user should know of a thing that was done. Of a great many
 * the first ones are written, and how many there are besides.
 *
 * @param notices One line each.
 */
export function printNotices(notices: readonly string[]): void {
  const told = notices.length <= NOTICES_MAX ? notices : [
    ...notices.slice(0, NOTICES_MAX - 1),
    `There are ${notices.length - NOTICES_MAX + 1} more notices like these`,
  ];
  for (const notice of told) {
    const line = printable(notice);
    writeLine("notice", line, {}, `virstor: Notice: ${line}`);
  }
}

/**
 * Writes what did not work beside a thing that was done.
 *
 * @param warnings One line each.
 */
export function printWarnings(warnings: readonly string[]): void {
  for (const warning of warnings) {
    writeLine("warning", warning, {}, `virstor: Warning: ${warning}`);
  }
}

/**
 * Writes what nobody expected, with the place in the code.
 *
 * @param error What was thrown.
 */
export function printInternalError(error: unknown): void {
  const text = error instanceof Error && error.stack !== undefined
    ? error.stack
    : String(error);
  printError(`virstor: Internal error, please report it: ${text}`);
}

/**
 * Writes an event to standard error, with the time.
 *
 * @param event What it is about; tells how much it matters.
 * @param message One line.
 * @param details What it is about.
 */
export function log(
  event: EventName,
  message: string,
  details: LogDetails = {},
): void {
  const { pool, client, peer } = details;
  const parts = [`${timeNow()} ${event}`];
  if (style.showPools && pool !== undefined) parts.push(`pool "${pool}"`);
  if (client !== undefined) parts.push(`${client} (${peer ?? ""})`);
  writeLine(event, message, details, [...parts, message].join(": "));
}

/** One line in the style that is set, if its level is told. */
function writeLine(
  event: EventName,
  message: string,
  details: LogDetails,
  text: string,
): void {
  const { level = EVENT_LEVELS[event], ...about } = details;
  if (LOG_LEVELS.indexOf(level) > LOG_LEVELS.indexOf(style.level)) return;
  const start = isLineOpen ? START_OF_LINE : "";
  isLineOpen = false;
  const line = style.format === "text"
    ? printableLines(text)
    : JSON.stringify({ time: timeNow(), level, event, ...about, message });
  writeErrorText(`${start}${line}\n`);
}

/** Now, to the second, ISO 8601. */
function timeNow(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}

/**
 * Waits for something, and after the first second says every second on
 * standard error that it is still being done: on a terminal in one line that
 * changes. Elsewhere it says so once, or, if there is more to tell, now and
 * then.
 *
 * @param what What is being done, for instance `Checking pool "demo"`.
 * @param promise What to wait for.
 * @param detail Tells how far it is.
 * @returns What it gives.
 */
export async function withProgress<T>(
  what: string,
  promise: Promise<T>,
  detail?: () => string,
): Promise<T> {
  const terminal = style.format === "text" && Deno.stderr.isTerminal();
  let seconds = 0;
  const timer = setInterval(() => {
    seconds += 1;
    const far = detail?.() ?? "";
    const text = far === "" ? `${what} ...` : `${what}: ${far}`;
    if (terminal) {
      writeErrorText(
        START_OF_LINE + fitted(printable(`${text} (${seconds} s)`)),
      );
      isLineOpen = true;
    } else if (
      seconds === 1 ||
      (far !== "" && seconds % QUIET_PROGRESS_SECONDS === 0)
    ) {
      writeLine("progress", text, {}, text);
    }
  }, 1000);
  try {
    return await promise;
  } finally {
    clearInterval(timer);
    if (isLineOpen) writeErrorText("\n");
    isLineOpen = false;
  }
}

/**
 * As much of a line as the terminal shows without beginning another one, now:
 * its window may have changed since the line before.
 */
function fitted(line: string): string {
  let columns = 0;
  try {
    ({ columns } = Deno.consoleSize());
  } catch {
    // It does not say.
  }
  // The last column is left free: some terminals go on in the next line then.
  return cutText(line, (columns || COLUMNS) - 1);
}

function writeErrorText(text: string): void {
  try {
    writeAll(Deno.stderr, text);
  } catch {
    // Nobody is left to be told.
  }
}
