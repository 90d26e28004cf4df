/**
 * How long the requests of each export took.
 *
 * @module
 */

import { RequestTimes } from "./request_times.ts";

/**
 * Exports with figures of their own. Those of snapshots come and go; the
 * figures of an export that went count for the server only, when there are
 * more.
 */
const EXPORTS_MAX = 1000;

/** The durations of requests, by the name of the export. */
export class ExportTimes {
  readonly #isUsed: (name: string) => boolean;
  readonly #byName = new Map<string, RequestTimes>();
  /** Those of exports that have no figures of their own any more. */
  readonly #others = new RequestTimes();

  /**
   * Begins with no requests.
   *
   * @param isUsed Tells whether an export has clients, by its name.
   */
  constructor(isUsed: (name: string) => boolean) {
    this.#isUsed = isUsed;
  }

  /**
   * The figures of an export.
   *
   * @param name The name of the export.
   * @returns Where its requests are noted, as long as it has clients.
   */
  of(name: string): RequestTimes {
    let times = this.#byName.get(name);
    if (times === undefined) {
      if (this.#byName.size >= EXPORTS_MAX) this.#forgetOne();
      this.#byName.set(name, times = new RequestTimes());
    }
    return times;
  }

  /**
   * Copies the figures.
   *
   * @returns A copy for each export, and one that others are to be added to.
   */
  copy(): { byExport: Map<string, RequestTimes>; others: RequestTimes } {
    const copyOf = (times: RequestTimes) => {
      const copy = new RequestTimes();
      copy.add(times);
      return copy;
    };
    const byExport = new Map<string, RequestTimes>();
    for (const [name, times] of this.#byName) byExport.set(name, copyOf(times));
    return { byExport, others: copyOf(this.#others) };
  }

  #forgetOne(): void {
    for (const [name, times] of this.#byName) {
      if (this.#isUsed(name)) continue;
      this.#others.add(times);
      this.#byName.delete(name);
      return;
    }
  }
}
