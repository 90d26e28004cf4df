/**
 * A value that requests set, several at once in any order: what it may be.
 *
 * A request that was acknowledged has set the value; one that is in flight may
 * have; one that was refused has not. Of requests that overlap, any may have
 * been the last.
 *
 * @module
 */

/** What became of a request. */
export type Outcome =
  | "done"
  | "refused" // nothing has changed
  | "maybe"; // it failed in the middle, or the machine did

/** A request to set a value. */
export interface Setting<T> {
  /** The value that it sets. */
  readonly value: T;
  /** Requests that overlapped with it and may have come last. */
  readonly rivals: Set<Setting<T>>;
  /** Undefined while it is in flight. */
  outcome: Outcome | undefined;
}

/** A value, as far as it is known. */
export class Register<T> {
  /** What the value may be if nothing that is in flight has set it. */
  #settled: readonly T[];
  readonly #inFlight = new Set<Setting<T>>();

  /**
   * Creates a register.
   *
   * @param values What its value may be.
   */
  constructor(...values: readonly T[]) {
    this.#settled = values;
  }

  /** All that the value may be. */
  get allowed(): ReadonlySet<T> {
    const inFlight = [...this.#inFlight].map(({ value }) => value);
    return new Set([...this.#settled, ...inFlight]);
  }

  /** What the value was when nothing was in flight: one of them, if several. */
  get settled(): T {
    const [value] = this.#settled;
    if (value === undefined) throw new Error("A register has a value");
    return value;
  }

  /**
   * A request begins. From now on its value may be seen.
   *
   * @param value What it sets.
   * @returns The request.
   */
  begin(value: T): Setting<T> {
    const setting: Setting<T> = {
      value,
      rivals: new Set(this.#inFlight),
      outcome: undefined,
    };
    for (const other of this.#inFlight) other.rivals.add(setting);
    this.#inFlight.add(setting);
    return setting;
  }

  /**
   * A request ends.
   *
   * @param setting The request.
   * @param outcome What became of it.
   */
  end(setting: Setting<T>, outcome: Outcome): void {
    // The machine has started again meanwhile.
    if (!this.#inFlight.delete(setting)) return;
    setting.outcome = outcome;
    if (outcome === "maybe") {
      this.#settled = [...this.#settled, setting.value];
    } else if (outcome === "done") {
      const rivals = [...setting.rivals].filter((rival) =>
        rival.outcome === "done" || rival.outcome === "maybe"
      );
      this.#settled = [setting.value, ...rivals.map(({ value }) => value)];
    }
  }

  /**
   * What the value is, for certain. Requests in flight have no effect any more.
   *
   * @param value It.
   */
  settle(value: T): void {
    this.#settled = [value];
    this.#inFlight.clear();
  }

  /**
   * A copy with its own future, in which no request in flight ever ends.
   *
   * @returns The copy.
   */
  clone(): Register<T> {
    return new Register(...this.allowed);
  }
}
