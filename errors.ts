/**
 * The errors of virstor, one class and one table of codes for all layers.
 *
 * A programmer's mistake is an {@linkcode AssertionError}: the process should
 * stop. Everything that may happen to a correct program (a damaged label, a
 * full pool, a failing disk) is a {@linkcode VirstorError} with a code. Two
 * tables translate the codes outwards: `nbd/wire/errno.ts` and `cli/terminal/exit_code.ts`.
 *
 * Messages are one line: what was being done, what was found, what to do.
 *
 * @module
 */

/**
 * What kind of thing went wrong.
 *
 * - `cancelled`: the one who asked went away before it was done
 * - `corrupt`: what is on disk contradicts itself or the format
 * - `no-space`: no free chunk, and the policy is not to wait
 * - `io`: the operating system refused a read, write or flush
 * - `read-only`: a write to something opened read-only
 * - `failed`: the pool stopped taking writes after an earlier error
 * - `invalid`: an argument or a request that makes no sense
 * - `not-found`, `exists`, `busy`: of a pool, a component or a lock
 * - `shutdown`: the pool is being stopped
 * - `unsupported`: known, but not to be had here
 */
export type ErrorCode =
  | "busy"
  | "cancelled"
  | "corrupt"
  | "exists"
  | "failed"
  | "invalid"
  | "io"
  | "no-space"
  | "not-found"
  | "read-only"
  | "shutdown"
  | "unsupported";

/** An expected failure: bad input, a full pool, a failing or damaged disk. */
export class VirstorError extends Error {
  /** The kind of failure, for programs. */
  readonly code: ErrorCode;

  /**
   * Creates an error.
   *
   * @param code The kind of failure.
   * @param message One line for people: the action, what was found, what to do.
   *   Line breaks and the like, say in a file name, are escaped
   *   ({@linkcode printable}).
   * @param options The underlying error as `cause`, if there is one.
   */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(printable(message), options);
    this.name = "VirstorError";
    this.code = code;
  }
}

/**
 * Characters that a terminal obeys instead of showing them, or that change how
 * others are shown: control and format characters (the marks that turn the
 * direction of writing among them, and those of no width), line and paragraph
 * separators, halves of surrogate pairs.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Makes a text one line that shows on a terminal what it holds: a name in it
 * can neither begin another line nor give the terminal orders.
 *
 * @param text Any text, for instance a file name.
 * @returns The text, with `\n`, `\u001b` and the like in place of characters
 *   that do not show.
 */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, escapeCharacter);
}

function escapeCharacter(character: string): string {
  const quoted = JSON.stringify(character).slice(1, -1);
  if (quoted !== character) return quoted;
  return Array.from(
    { length: character.length },
    (_, i) => "\\u" + character.charCodeAt(i).toString(16).padStart(4, "0"),
  ).join("");
}

/** A programmer's mistake: an invariant of virstor itself does not hold. */
export class AssertionError extends Error {
  /**
   * Creates an error.
   *
   * @param message The invariant that does not hold.
   */
  constructor(message: string) {
    super(message);
    this.name = "AssertionError";
  }
}

/**
 * Throws unless an invariant holds. Always on, also in production: going on
 * from a state that cannot be is how disks lose data.
 *
 * @param condition The invariant.
 * @param message The invariant in words.
 * @throws {AssertionError} If `condition` is false.
 */
export function assert(
  condition: boolean,
  message: string,
): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/**
 * The text of anything that was thrown, on one line.
 *
 * @param error What was caught.
 * @returns Its message, without line breaks and as {@linkcode printable} text.
 */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return printable(text.replaceAll(/\s*\n\s*/g, " "));
}

/**
 * A number with its noun, in the form that English wants.
 *
 * @param count How many, 0 or more.
 * @param one The noun, or a phrase, for exactly one.
 * @param many The same for any other number; `one` with an "s" by default.
 * @returns For instance `1 chunk`, `0 chunks`, `2 entries`.
 */
export function counted(
  count: number,
  one: string,
  many: string = `${one}s`,
): string {
  return `${count} ${count === 1 ? one : many}`;
}

/**
 * The verb that goes with a number.
 *
 * @param count How many there are.
 * @returns `is` for exactly one, else `are`.
 */
export function isOrAre(count: number): string {
  return count === 1 ? "is" : "are";
}

/**
 * A number of bytes, to the byte.
 *
 * @param count How many, 0 or more.
 * @returns For instance `1 byte`, `4096 bytes`.
 */
export function inBytes(count: number): string {
  return counted(count, "byte");
}
