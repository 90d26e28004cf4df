/**
 * A signal that ends a copy: removes the file that was made for it, or says
 * what is left.
 *
 * @module
 */

import { hidePassword } from "../../errors.ts";
import { handleSignals } from "../signals/mod.ts";
import { printError } from "../terminal/mod.ts";

/** Ends the process in order when a signal comes during a copy. */
export class CopyStop implements Disposable {
  readonly #release: () => void;
  #undo: (() => boolean) | undefined;

  /**
   * Handles signals from now on.
   *
   * @param target The target of the copy, as the command line names it.
   */
  constructor(target: string) {
    this.#release = handleSignals({
      begin: (_signal, exitCode) => {
        printError(`virstor: The copy is interrupted${this.#left(target)}`);
        Deno.exit(exitCode);
      },
    });
  }

  /**
   * Notes that the target is open, and holds a part of the copy from now on.
   *
   * @param end The target.
   */
  opened(end: { undo(): boolean }): void {
    this.#undo = () => end.undo();
  }

  /** Leaves signals to the system again. */
  [Symbol.dispose](): void {
    this.#release();
  }

  #left(target: string): string {
    if (this.#undo === undefined) return "";
    const name = hidePassword(target);
    return this.#undo()
      ? `: "${name}" is removed`
      : `: "${name}" holds a part of it`;
  }
}
