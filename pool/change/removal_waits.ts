/**
 * Waits for components to leave the pool. Each wait ends: the component has
 * left, it stays, the evacuation has stopped, or the pool has.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { Component } from "../core/mod.ts";

/** The callers that wait for components to leave a pool. */
export class RemovalWaits {
  readonly #pool: { readonly name: string };
  readonly #waits = new Map<Component, PromiseWithResolvers<void>>();
  /** Paths of all components that have left since the pool was opened. */
  readonly #left = new Set<string>();
  #ended: VirstorError | undefined;

  /**
   * Creates an object without waits.
   *
   * @param pool The pool's name now, for errors.
   */
  constructor(pool: { readonly name: string }) {
    this.#pool = pool;
  }

  /**
   * Tells whether a component has left since the pool was opened.
   *
   * @param path The path of the component, as its status has it.
   * @returns Whether it has left; it may have been added again since.
   */
  hasLeft(path: string): boolean {
    return this.#left.has(path);
  }

  /**
   * Waits for a component to leave.
   *
   * @param component The component; it is being removed.
   * @param stopped Why its evacuation is stopped; undefined if it is not.
   * @returns Resolves when the component has left.
   * @throws {VirstorError} `cancelled` if it stays, `io` if the evacuation is
   *   stopped, `failed` or `shutdown` if the pool is.
   */
  async wait(
    component: Component,
    stopped: string | undefined,
  ): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended;
    if (stopped !== undefined) throw this.#stopError(component, stopped);
    let wait = this.#waits.get(component);
    if (wait === undefined) {
      wait = Promise.withResolvers();
      this.#waits.set(component, wait);
    }
    await wait.promise;
  }

  /**
   * Resolves the waits for components that have left.
   *
   * @param components The components.
   */
  removed(components: readonly Component[]): void {
    for (const one of components) {
      this.#left.add(one.device.path);
      this.#take(one)?.resolve();
    }
  }

  /**
   * Rejects the waits for components that stay.
   *
   * @param components The components.
   */
  kept(components: readonly Component[]): void {
    for (const one of components) {
      const what = "its removal was cancelled, it stays";
      this.#take(one)?.reject(this.#error("cancelled", one, what));
    }
  }

  /**
   * Rejects all waits, because an error has stopped the evacuation.
   *
   * @param reason The error, in one line.
   */
  stopped(reason: string): void {
    for (const one of [...this.#waits.keys()]) {
      this.#take(one)?.reject(this.#stopError(one, reason));
    }
  }

  /**
   * Rejects all waits, and all later ones: no component leaves any more.
   *
   * @param error Why; later calls change nothing.
   */
  end(error: VirstorError): void {
    this.#ended ??= error;
    for (const one of [...this.#waits.keys()]) this.#take(one)?.reject(error);
  }

  #take(component: Component): PromiseWithResolvers<void> | undefined {
    const wait = this.#waits.get(component);
    this.#waits.delete(component);
    return wait;
  }

  #stopError(component: Component, reason: string): VirstorError {
    return this.#error("io", component, `the evacuation stopped: ${reason}`);
  }

  #error(
    code: "cancelled" | "io",
    { device }: Component,
    what: string,
  ): VirstorError {
    const message =
      `Cannot remove "${device.path}" from pool "${this.#pool.name}"`;
    return new VirstorError(code, `${message}: ${what}`);
  }
}
