/**
 * How much room text takes on a terminal.
 *
 * Names may hold any character. East Asian ones and emoji take two columns, and
 * combining ones none, so a table that counts letters is ragged. What takes two
 * columns is known to the JavaScript engine by script, which spares a table of
 * our own, and a package that the launcher would have to fetch at first.
 *
 * @module
 */

/**
 * How many columns a text takes on a terminal.
 *
 * @param text One line.
 * @returns Columns, 0 or more.
 */
export function textWidth(text: string): number {
  if (isPlain(text)) return text.length;
  const { segmenter, widthOf } = ruler();
  let width = 0;
  for (const { segment } of segmenter.segment(text)) width += widthOf(segment);
  return width;
}

/**
 * Fills a text up with spaces.
 *
 * @param text One line.
 * @param width Columns that it is to take; a longer text stays as it is.
 * @param side Where the spaces go.
 * @returns The text with them.
 */
export function padText(
  text: string,
  width: number,
  side: "start" | "end" = "end",
): string {
  const spaces = " ".repeat(Math.max(0, width - textWidth(text)));
  return side === "start" ? spaces + text : text + spaces;
}

/**
 * As much of a text as fits, in whole characters.
 *
 * @param text One line.
 * @param width Columns that there are.
 * @returns Its beginning.
 */
export function cutText(text: string, width: number): string {
  if (isPlain(text)) return text.slice(0, Math.max(0, width));
  const { segmenter, widthOf } = ruler();
  let left = width;
  let end = 0;
  for (const { segment, index } of segmenter.segment(text)) {
    left -= widthOf(segment);
    if (left < 0) break;
    end = index + segment.length;
  }
  return text.slice(0, end);
}

/** Whether every character is a printable one of ASCII. */
function isPlain(text: string): boolean {
  return /^[ -~]*$/.test(text);
}

/** Splits text into graphemes, and measures each. */
interface Ruler {
  readonly segmenter: Intl.Segmenter;
  /** Columns of a grapheme: 0, 1 or 2. */
  readonly widthOf: (grapheme: string) => number;
}

let made: Ruler | undefined;

/** The ruler, made at its first use: that takes longer than most commands. */
function ruler(): Ruler {
  return made ??= makeRuler();
}

function makeRuler(): Ruler {
  // Characters of two columns: the Unicode property East_Asian_Width, W and F.
  const wide = new RegExp(
    "^[" +
      "\\p{Script=Bopomofo}\\p{Script=Han}\\p{Script=Hangul}\\p{Script=Hiragana}" +
      "\\p{Script=Katakana}\\p{Script=Khitan_Small_Script}\\p{Script=Nushu}" +
      "\\p{Script=Tangut}\\p{Script=Yi}" +
      // Brackets, punctuation, marks, squares and forms of no script.
      "\\u2329\\u232a\\u2ff0-\\u2fff\\u3000-\\u303e\\u3099-\\u30ff\\u3190-\\u31ef\\u3200-\\u3247" +
      "\\u3250-\\u33ff\\ufe10-\\ufe19\\ufe30-\\ufe6b" +
      "\\uff01-\\uff60\\uffe0-\\uffe6\\u{1f200}-\\u{1f265}" +
      "]",
    "u",
  );
  // Of those scripts, what was made to fit into one column.
  const half = /^[\u02ea\u02eb\u303f\u1160-\u11ff\ud7b0-\ud7ff\uff61-\uffdc]/u;
  // Drawn as a picture: flags, families, what has a variation selector.
  const emoji = /^(?:\p{Emoji_Presentation}|\p{RGI_Emoji}$|.\ufe0f)/v;
  // Takes no room of its own.
  const nothing =
    /^[\p{Mn}\p{Me}\p{Cc}\p{Cf}\u{1160}-\u{11ff}\u{d7b0}-\u{d7ff}]+$/u;
  return {
    segmenter: new Intl.Segmenter("en", { granularity: "grapheme" }),
    widthOf(grapheme: string): number {
      if (nothing.test(grapheme)) return 0;
      if (emoji.test(grapheme)) return 2;
      return wide.test(grapheme) && !half.test(grapheme) ? 2 : 1;
    },
  };
}
