/**
 * The end of a pool waits for other machines, but not for ever.
 *
 * @module
 */

import { counted, VirstorError } from "../../errors.ts";
import type { Component } from "./component.ts";
import type { PoolSettings } from "./settings.ts";

/** Seconds that a stop waits for remote components by default. */
export const STOP_SECONDS = 30;

/** What a stop is and waits for. */
type Stop = Pick<PoolSettings, "name" | "stopSeconds">;

/** Gives up the remote components that keep a stop waiting. */
export class StopPatience {
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #name: string;
  readonly #givenUp: string[] = [];

  /**
   * Begins to wait.
   *
   * @param pool Its components at any time.
   * @param stop The name of the pool, and how long it waits.
   */
  constructor(
    pool: { readonly members: readonly Component[] },
    { name, stopSeconds = STOP_SECONDS }: Stop,
  ) {
    this.#name = name;
    this.#timer = setTimeout(() => {
      for (const { device } of pool.members) {
        if (device.giveUp === undefined) continue;
        this.#givenUp.push(device.path);
        const seconds = counted(stopSeconds, "second");
        device.giveUp(`a stop has waited ${seconds} for it`);
      }
    }, stopSeconds * 1000);
  }

  /**
   * Ends the wait.
   *
   * @throws {VirstorError} `io` if a component was given up.
   */
  end(): void {
    clearTimeout(this.#timer);
    const [first] = this.#givenUp;
    if (first === undefined) return;
    const paths = this.#givenUp.map((path) => `"${path}"`).join(", ");
    throw new VirstorError(
      "io",
      `Cannot bring everything to ${paths} at the stop of pool ` +
        `"${this.#name}": the rest is in the journal, and the next start of ` +
        "the pool goes on with it",
    );
  }
}
