/**
 * The error of a wrong command line, and what may have been meant.
 *
 * @module
 */

/** An unknown command or option, a missing or malformed argument. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  /** What to do, one line, which the program prints below the message. */
  readonly hint: string;

  /**
   * Creates an error.
   *
   * @param message What is wrong, one line.
   * @param hint What to do, one line.
   */
  constructor(message: string, hint: string = 'Try "virstor --help"') {
    super(message);
    this.hint = hint;
  }
}

/**
 * Finds the word that is nearest to a misspelt one.
 *
 * @param word The word that is not known.
 * @param words The words that are known.
 * @returns `Did you mean "...?" ` with the nearest word, the first of several;
 *   "" if none differs by so little that it may be meant: two letters at most,
 *   and a third of them.
 */
export function didYouMean(word: string, words: readonly string[]): string {
  let best = Math.min(2, Math.floor(word.length / 3)) + 1;
  let found = "";
  for (const one of words) {
    const distance = differences(word, one);
    if (distance < best) [best, found] = [distance, one];
  }
  return found === "" ? "" : `Did you mean "${found}"? `;
}

/** Letters to insert, leave out, replace, or exchange with the next one. */
function differences(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      const isSwapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(Math.min(
        (row[j - 1] ?? 0) + 1,
        (last[j] ?? 0) + 1,
        (last[j - 1] ?? 0) + (isSame ? 0 : 1),
        isSwapped ? (beforeLast[j - 2] ?? 0) + 1 : Infinity,
      ));
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
