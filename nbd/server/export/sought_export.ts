/**
 * The name of an export that a client asked for in vain: what most often is
 * wrong with a client that does not get through.
 *
 * @module
 */

/** So much of a name is told, characters: a client may send 4096 bytes. */
const TOLD_MAX = 80;

/**
 * A name that a client has sent, so that it cannot spoil the line it is in.
 *
 * @param name The name; undefined if it is not UTF-8.
 * @returns The name in quotes, shortened, with control characters escaped.
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
 * What is said of a client that asked for an export that there is not.
 *
 * @param name Its name, as {@linkcode quotedName} has it; undefined if the
 *   client asked for none.
 * @returns The end of a sentence, or "".
 */
export function soughtText(name: string | undefined): string {
  return name === undefined ? "" : `; it asked for export ${name}, and there ` +
    "is none";
}
