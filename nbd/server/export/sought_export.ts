/**
 * Describes the unknown export that a client asked for. A wrong name is the
 * most frequent reason why a client does not connect.
 *
 * @module
 */

/** Characters of a name that the log shows; a client may send 4096 bytes. */
const TOLD_MAX = 80;

/**
 * Quotes a name that a client sent, so that it cannot break or forge log lines.
 *
 * @param name The name; `undefined` if it is not UTF-8.
 * @returns The name in quotes, cut after 80 characters, with control characters
 *   escaped.
 */
export function quotedName(name: string | undefined): string {
  if (name === undefined) return "with a name that is not UTF-8";
  const characters = [...name];
  const told = characters.slice(0, TOLD_MAX).join("");
  const more = characters.length > TOLD_MAX ? " and so on" : "";
  const escaped = JSON.stringify(told).replaceAll(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return `${escaped}${more}`;
}

/**
 * Describes the unknown export that a client asked for, for a log line.
 *
 * @param name The name as {@linkcode quotedName} returns it; `undefined` if the
 *   client asked for no unknown export.
 * @returns The end of a sentence, or "".
 */
export function soughtText(name: string | undefined): string {
  return name === undefined ? "" : `; it asked for export ${name}, and there ` +
    "is none";
}
