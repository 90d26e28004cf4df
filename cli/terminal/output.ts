/**
 * The output of the command line: results go to standard output, everything
 * else to standard error. No other file of the project prints.
 *
 * @module
 */

import { counted, printable, VirstorError } from "../../errors.ts";
import {
  EVENT_LEVELS,
  type EventName,
  LOG_LEVELS,
  type LogLevel,
} from "./event_levels.ts";
import { withPriority } from "./journal.ts";
import { QueuedOutput } from "./queued_output.ts";
import { cutText } from "./text_width.ts";

/** The style of lines on standard error. */
export interface LogStyle {
  /** Lines of this level and more important ones are written. */
  readonly level: LogLevel;
  /** Plain text, or one JSON object a line. */
  readonly format: "text" | "json";
  /** Whether text names the pool of a line; JSON always does. */
  readonly showPools: boolean;
}

/** The context of a log line, where it is known. */
export interface LogDetails {
  /** The line's level, if not that of {@linkcode EVENT_LEVELS}. */
  readonly level?: LogLevel;
  /** The name of the pool. */
  readonly pool?: string;
  /** The number of the client. */
  readonly client?: number;
  /** The client's address. */
  readonly peer?: string;
}

/** Standard output is closed: its reader has exited. */
export class OutputClosedError extends Error {
  override readonly name = "OutputClosedError";
}

/** Moves to the start of the terminal's line, and clears the line. */
const START_OF_LINE = "\r\x1b[K";
/** The most lines that {@linkcode printNotices} writes. */
const NOTICES_MAX = 12;
/** The assumed columns of a terminal that does not report its size. */
const COLUMNS = 80;
/** Seconds between two lines of progress where there is no terminal. */
const QUIET_PROGRESS_SECONDS = 10;

/** Milliseconds that the end of the process waits for a reader of the log. */
const FINISH_MS = 1000;

const encoder = new TextEncoder();
/** Set in a server: it does not wait for the reader of its log. */
let queuedErrors: QueuedOutput | undefined;
/** Whether the terminal shows a progress line, which will be overwritten. */
let isLineOpen = false;
/** The process has one standard error, and so one style. */
let style: LogStyle = { level: "info", format: "text", showPools: false };

/**
 * Sets how lines on standard error are written from now on.
 *
 * @param wanted The style.
 */
export function setLogStyle(wanted: LogStyle): void {
  style = wanted;
}

/** The level of the lines that are written: it and more important ones. */
export function logLevel(): LogLevel {
  return style.level;
}

/**
 * Sets which lines are written from now on.
 *
 * @param level Lines of this level and more important ones.
 */
export function setLogLevel(level: LogLevel): void {
  style = { ...style, level };
}

/**
 * From now on standard error waits for its reader, and this process does not: a
 * terminal that is held, or a full pipe, holds up no client of a server.
 *
 * @param hasRoom Tells whether standard error takes 4096 bytes at once; waits
 *   for that for so many milliseconds.
 */
export function queueErrors(hasRoom: (waitMs: number) => boolean): void {
  queuedErrors = new QueuedOutput({
    write: (bytes) => Deno.stderr.writeSync(bytes),
    hasRoom,
    textForLost: (count) =>
      lineOf("notice", {
        message: `The log lacks ${counted(count, "line")} here: nothing read ` +
          "standard error for too long",
      }) ?? "",
  });
}

/** Gives the reader of standard error a moment, before the process ends. */
export function finishErrors(): void {
  queuedErrors?.finish(FINISH_MS);
}

function writeAll(
  stream: { writeSync(bytes: Uint8Array): number },
  text: string,
): void {
  let bytes = encoder.encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
}

/**
 * Escapes what a terminal would obey, such as an escape sequence in a name.
 * Line breaks stay: the caller escapes those of names with `printable`.
 */
function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

/**
 * Writes one line, or several, to standard output.
 *
 * @param text Without a line break at the end.
 * @throws {OutputClosedError} If the reader of standard output has exited.
 * @throws {VirstorError} `io` if writing fails, for instance on a full disk.
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
 * Clears the screen, if standard output is a terminal.
 *
 * @returns Whether it is one.
 */
export function clearScreen(): boolean {
  if (!Deno.stdout.isTerminal()) return false;
  writeAll(Deno.stdout, "\x1b[H\x1b[2J");
  return true;
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
 * Writes a line to standard error. Ignores a failure: a server continues when
 * its terminal is gone.
 *
 * @param text Without a line break at the end.
 */
export function printError(text: string): void {
  const message = text.replace(/^virstor: /, "");
  writeLine("failed", message, {}, text);
}

/**
 * Writes what the user should know about a successful command. Of many notices
 * it writes the first twelve at most, and the number of the rest.
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
 * Writes which side effects of a successful command failed.
 *
 * @param warnings One line each.
 */
export function printWarnings(warnings: readonly string[]): void {
  for (const warning of warnings) {
    writeLine("warning", warning, {}, `virstor: Warning: ${warning}`);
  }
}

/**
 * Writes a bug of virstor, with the place in the code.
 *
 * @param error What was thrown.
 */
export function printInternalError(error: unknown): void {
  const text = error instanceof Error && error.stack !== undefined
    ? error.stack
    : String(error);
  printError(`virstor: Internal error, please report it: ${text}`);
  finishErrors();
}

/**
 * Writes an event to standard error, with the time.
 *
 * @param event The kind of event, which has a level.
 * @param message One line.
 * @param details The context, such as pool and client.
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

/** Writes one line in the current style, unless its level is suppressed. */
function writeLine(
  event: EventName,
  message: string,
  details: LogDetails,
  text: string,
): void {
  const line = lineOf(event, { message, text, ...details });
  if (line === undefined) return;
  const start = isLineOpen ? START_OF_LINE : "";
  isLineOpen = false;
  writeErrorText(start + line);
}

/** A line in the current style; undefined if its level is suppressed. */
function lineOf(
  event: EventName,
  { message, text, ...details }: LogDetails & {
    readonly message: string;
    readonly text?: string;
  },
): string | undefined {
  const { level = EVENT_LEVELS[event], ...about } = details;
  if (LOG_LEVELS.indexOf(level) > LOG_LEVELS.indexOf(style.level)) return;
  const lines = style.format === "text"
    ? printableLines(text ?? `${timeNow()} ${event}: ${message}`)
    : JSON.stringify({ time: timeNow(), level, event, ...about, message });
  return `${withPriority(level, lines)}\n`;
}

/** Now, to the second, ISO 8601. */
function timeNow(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}

/**
 * Asks the user a question, if standard input and standard error are a
 * terminal.
 *
 * @param question The question, with a space at its end.
 * @returns The answer, one line; `undefined` without a terminal.
 */
export async function ask(question: string): Promise<string | undefined> {
  if (!Deno.stdin.isTerminal() || !Deno.stderr.isTerminal()) return undefined;
  writeErrorText(printable(question));
  const decoder = new TextDecoder();
  let text = "";
  for await (
    const bytes of Deno.stdin.readable.values({ preventCancel: true })
  ) {
    text += decoder.decode(bytes, { stream: true });
    if (text.includes("\n")) break;
  }
  return text.split(/\r?\n/)[0] ?? "";
}

/**
 * Waits for a promise, and reports progress on standard error: on a terminal
 * every second, in one line that changes; elsewhere after the first second, and
 * with `detail` again every ten seconds.
 *
 * @param what What is being done, for instance `Checking pool "demo"`.
 * @param promise The work to wait for.
 * @param detail Returns the progress as text.
 * @returns The value of the promise.
 */
export async function withProgress<T>(
  what: string,
  promise: Promise<T>,
  detail?: () => string,
): Promise<T> {
  const terminal = style.format === "text" && Deno.stderr.isTerminal();
  let seconds = 0;
  const report = () => {
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
  };
  let timer: ReturnType<typeof setInterval> | undefined;
  // Most work is done before: the runtime takes long to load its timers.
  const first = AbortSignal.timeout(1000);
  const begin = () => {
    timer = setInterval(report, 1000);
    report();
  };
  first.addEventListener("abort", begin);
  try {
    return await promise;
  } finally {
    first.removeEventListener("abort", begin);
    clearInterval(timer);
    if (isLineOpen) writeErrorText("\n");
    isLineOpen = false;
  }
}

/**
 * Cuts a line to the terminal's width. Asks for the width each time, since the
 * window may have changed.
 */
function fitted(line: string): string {
  let columns = 0;
  try {
    ({ columns } = Deno.consoleSize());
  } catch {
    // The terminal does not report its size.
  }
  // The last column stays free: some terminals wrap there.
  return cutText(line, (columns || COLUMNS) - 1);
}

function writeErrorText(text: string): void {
  if (queuedErrors !== undefined) return queuedErrors.write(text);
  try {
    writeAll(Deno.stderr, text);
  } catch {
    // Standard error is gone, too.
  }
}
