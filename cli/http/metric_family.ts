/**
 * Metric families as text, in version 0.0.4 of the format of Prometheus.
 *
 * Source: Prometheus documentation, "Exposition formats", "Metric and label
 * naming".
 *
 * @module
 */

/** The labels of a sample, by name. */
export type Labels = Readonly<Record<string, string>>;

/**
 * A number, and what it belongs to. Those of a histogram have an ending of their
 * name.
 */
export type Sample = readonly [
  labels: Labels,
  value: number,
  ending?: "_bucket" | "_sum" | "_count",
];

/** Samples of one name. */
export interface Family<Source> {
  /** The name; that of a counter ends in `_total`. */
  readonly name: string;
  /** What the numbers are: counters only grow until the process ends. */
  readonly type: "gauge" | "counter" | "histogram";
  /** What the numbers mean, one line. */
  readonly help: string;
  /**
   * Reads the samples from their source.
   *
   * @param source The source.
   * @returns The samples; their labels differ.
   */
  samples(source: Source): Iterable<Sample>;
}

/**
 * Formats families, a piece at a time. A family without samples is left out.
 *
 * @param families The families.
 * @param source The source of their samples.
 * @returns Lines with their line breaks.
 */
export function* linesOf<Source>(
  families: readonly Family<Source>[],
  source: Source,
): Generator<string> {
  for (const family of families) {
    const { name, type, help } = family;
    let head = `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n`;
    for (const [labels, value, ending = ""] of family.samples(source)) {
      yield `${head}${name}${ending}${labelText(labels)} ${value}\n`;
      head = "";
    }
  }
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) =>
    `${name}="${escaped(value).replaceAll('"', '\\"')}"`
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
