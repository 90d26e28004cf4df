/**
 * The errors of virstor: one class and one table of codes for all layers.
 *
 * An {@linkcode AssertionError} reports a bug, and the process should stop. A
 * {@linkcode VirstorError} with a code reports everything that may happen to a
 * correct program: a damaged label, a full pool, a failing disk. Two tables
 * translate the codes: `nbd/wire/errno.ts` and `cli/terminal/exit_code.ts`.
 *
 * Messages are one line: what was being done, what was found, what to do.
 *
 * @module
 */

/**
 * The kinds of failure.
 *
 * - `cancelled`: the caller withdrew the request before it was done
 * - `corrupt`: the contents of a disk contradict themselves or the format
 * - `no-space`: no free chunk, and the policy is not to wait
 * - `io`: a read, write or flush failed in the operating system
 * - `read-only`: a write to a device or pool that is open read-only
 * - `failed`: the pool takes no more writes after an earlier error
 * - `invalid`: an invalid argument or request
 * - `not-found`, `exists`, `busy`: the state of a pool, a component or a lock
 * - `shutdown`: the pool is being stopped
 * - `unsupported`: not supported by this format, device or system
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
   * @param message One line: the action, what was found, what to do. The
   *   constructor escapes line breaks and the like, for instance in a file name
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
 * a terminal shows others: control and format characters (including marks of
 * writing direction and characters without width), line and paragraph
 * separators, halves of surrogate pairs.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Escapes a text so that a terminal shows it as one line: a name in the text
 * can neither begin another line nor control the terminal.
 *
 * @param text Any text, for instance a file name.
 * @returns The text, with `\n`, `\u001b` and the like in place of characters
 *   that do not show.
 */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, escapeCharacter);
}

/**
 * Hides the password of a URI, or of a text that was meant as one.
 *
 * @param text Any text.
 * @returns The text with `***` in place of a password.
 */
export function hidePassword(text: string): string {
  // Digits before a slash are a port.
  return text.replace(
    /(:\/\/[^/?#@:]*):(?!\d*(?:\/|$))[^?#]*@/,
    "$1:***@",
  );
}

/**
 * Tells whether a component is named by a URI, not by a path.
 *
 * @param path A path, or a URI.
 * @returns Whether it begins with a scheme and `://`.
 */
export function isUri(path: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(path);
}

/**
 * Splits the URIs of one component that is reached in several ways.
 *
 * @param uris One or more URIs of the same disk, joined with commas.
 * @returns The URIs, in the order in which they are to be tried.
 */
export function splitUris(uris: string): string[] {
  // A comma inside a URI is not followed by a scheme.
  return uris.split(/,(?=[a-z][a-z0-9+.-]*:\/\/)/i);
}

/**
 * The name of a component in messages, in the status and in the registry.
 *
 * @param path A path, or URIs.
 * @returns The path; the URIs without passwords.
 */
export function shownPath(path: string): string {
  if (!isUri(path)) return path;
  return splitUris(path).map(hidePassword).join(",");
}

function escapeCharacter(character: string): string {
  const quoted = JSON.stringify(character).slice(1, -1);
  if (quoted !== character) return quoted;
  return Array.from(
    { length: character.length },
    (_, i) => "\\u" + character.charCodeAt(i).toString(16).padStart(4, "0"),
  ).join("");
}

/**
 * Tells whether a name survives the runtime. The runtime replaces bytes that
 * are not UTF-8 by U+FFFD, and would then open or create another file.
 *
 * @param name A path, or a part of one.
 * @returns False if the name contains U+FFFD or a lone surrogate.
 */
export function isFaithfulName(name: string): boolean {
  return name.isWellFormed() && !name.includes("\ufffd");
}

/** The most names that a sentence lists. */
const NAMES_TOLD = 8;

/** A bug: an invariant of virstor itself does not hold. */
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
 * Throws unless an invariant holds. Assertions stay on in production: a program
 * that continues from an impossible state loses data.
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

/** The message of the runtime's error without a permission. */
const NOT_CAPABLE = "Deno allows it only to a program with all permissions, " +
  "run virstor with VIRSTOR_ALLOW_ALL=1";

/**
 * The message of a thrown value, on one line.
 *
 * @param error The value that was caught, an `Error` or anything else.
 * @returns The message, without line breaks and as {@linkcode printable} text.
 */
export function messageOf(error: unknown): string {
  // The runtime's own advice is an option that virstor does not have.
  if (error instanceof Error && error.name === "NotCapable") return NOT_CAPABLE;
  const text = error instanceof Error ? error.message : String(error);
  return printable(text.replaceAll(/\s*\n\s*/g, " "));
}

/**
 * What a caught value is as an error of this project.
 *
 * @param error The value that was caught, an `Error` or anything else.
 * @returns The error itself, or an `io` error of its message.
 */
export function asVirstorError(error: unknown): VirstorError {
  return error instanceof VirstorError
    ? error
    : new VirstorError("io", messageOf(error), { cause: error });
}

/**
 * Formats a number with its noun, singular or plural.
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
 * The form of "to be" for a number.
 *
 * @param count How many there are.
 * @returns `is` for exactly one, else `are`.
 */
export function isOrAre(count: number): string {
  return count === 1 ? "is" : "are";
}

/**
 * Formats a number of bytes, to the byte.
 *
 * @param count How many, 0 or more.
 * @returns For instance `1 byte`, `4096 bytes`.
 */
export function inBytes(count: number): string {
  return counted(count, "byte");
}

/**
 * The name of a volume or a snapshot as users type it.
 *
 * @param pool The name of the pool.
 * @param volume The name of the volume; empty for the first one.
 * @param snapshot The name of a snapshot of it; the volume itself by default.
 * @returns `POOL`, `POOL/VOLUME`, and with a snapshot `@SNAPSHOT` behind it.
 */
export function nameOf(pool: string, volume: string, snapshot = ""): string {
  const name = volume === "" || volume === pool ? pool : `${pool}/${volume}`;
  return snapshot === "" ? name : `${name}@${snapshot}`;
}

/**
 * The name of a volume or a snapshot as users type it.
 *
 * @param pool The name of the pool.
 * @param name `VOLUME` or `VOLUME@SNAPSHOT`.
 * @returns The same with `POOL/` in front, unless it is of the first volume,
 *   which has the name of its pool.
 */
export function nameInPool(pool: string, name: string): string {
  const isOfFirst = name === pool || name.startsWith(`${pool}@`);
  return isOfFirst ? name : `${pool}/${name}`;
}

/**
 * Lists names in a sentence.
 *
 * @param names The names of volumes or snapshots, as users type them.
 * @returns The names, quoted; of many the first ones.
 */
export function quoted(names: readonly string[]): string {
  const told = names.slice(0, NAMES_TOLD).map((name) => `"${name}"`);
  const more = names.length - told.length;
  return told.join(", ") + (more === 0 ? "" : ` and ${more} more`);
}
