/**
 * The one queue of changes: components come and go, the disk gets another
 * size. One change at a time; requests go on meanwhile. A change begins by
 * holding the evacuation, so that no chunk is half way while the members, the
 * size or what is to leave changes.
 *
 * @module
 */

import { counted, inBytes, VirstorError } from "../../errors.ts";
import type { Component, Finding, PoolEvent } from "../core/mod.ts";
import { Evacuation } from "./evacuation.ts";
import {
  addComponents,
  type AddOptions,
  type AddResult,
  cancelRemoval,
  removeComponents,
  removeEmpty,
  type RemoveOptions,
  type RemoveResult,
} from "./membership.ts";
import type { PoolParts } from "../io/mod.ts";
import { type ResizeOptions, resizePool } from "./resize.ts";

/** What a change asks of the pool. */
export interface ControlHooks {
  /**
   * Refuses changes of a pool that is closed, or takes no writes.
   *
   * @param reading Whether nothing is to be written.
   * @throws {VirstorError} `shutdown`, `failed`, `read-only`.
   */
  admit(reading: boolean): void;
  /** The components are others. */
  membersChanged(): void;
}

/** Changes of an open pool. */
export class PoolControl {
  /** Moves chunks off components that are to leave. */
  readonly evacuation: Evacuation;

  readonly #parts: PoolParts;
  readonly #hooks: ControlHooks;
  #changing: Promise<unknown> = Promise.resolve();
  #isRemovalAsked = false;

  /**
   * Takes over an open pool.
   *
   * @param parts The pool.
   * @param hooks What is asked of it.
   */
  constructor(parts: PoolParts, hooks: ControlHooks) {
    this.#parts = parts;
    this.#hooks = hooks;
    this.evacuation = new Evacuation(parts, () => this.#removeEvacuated());
  }

  /**
   * Adds components.
   *
   * @param paths Where they are.
   * @param options How.
   * @returns What was added.
   */
  add(paths: readonly string[], options: AddOptions): Promise<AddResult> {
    return this.#change(async () => {
      const result = await addComponents(this.#parts, {
        ...options,
        paths,
        onCommit: () => this.#hooks.membersChanged(),
      });
      this.#emit(
        "added",
        `Added ${counted(result.components.length, "component")}`,
      );
      return result;
    });
  }

  /**
   * Removes components, or begins to.
   *
   * @param paths Which ones.
   * @param options How.
   * @returns What became of them.
   */
  remove(
    paths: readonly string[],
    options: RemoveOptions,
  ): Promise<RemoveResult> {
    return this.#change(() =>
      removeComponents(this.#parts, paths, {
        removeNow: (empty) => this.#removeNow(empty),
        evacuate: () => this.evacuation.start(options.bytesPerSecond ?? 0),
      })
    );
  }

  /**
   * Ends an evacuation: the components stay.
   *
   * @param paths Which ones.
   * @returns Which ones stay.
   */
  cancelRemove(paths: readonly string[]): Promise<{ kept: string[] }> {
    return this.#change(async () => {
      const { kept } = await cancelRemoval(this.#parts, paths);
      this.evacuation.detach(kept);
      this.#hooks.membersChanged();
      const names = kept.map(({ device }) => device.path);
      this.#emit("evacuation", `Kept ${names.join(", ")}`);
      return { kept: names };
    });
  }

  /**
   * Gives the disk another size.
   *
   * @param wanted Bytes.
   * @param options Whether it may become smaller.
   * @returns Its size.
   */
  resize(
    wanted: number,
    options: ResizeOptions,
  ): Promise<{ virtualSize: number }> {
    return this.#change(async () => {
      const virtualSize = await resizePool(this.#parts, wanted, options);
      this.#emit("resized", `The disk has ${inBytes(virtualSize)} now`);
      return { virtualSize };
    });
  }

  /**
   * Holds what is on disk against what is in memory.
   *
   * @returns What does not agree.
   */
  check(): Promise<Finding[]> {
    const { format, map } = this.#parts;
    return this.#change(() => format.check(map), true);
  }

  /**
   * Waits for the end of the change that has begun, and of the evacuation.
   * Changes that wait are refused by `admit`.
   *
   * @returns Done when neither goes on, for good.
   */
  async settle(): Promise<void> {
    await this.evacuation.end();
    await this.#changing;
  }

  /** Removes what is empty by now, and still to leave, when its turn comes. */
  #removeEvacuated(): void {
    if (this.#isRemovalAsked) return;
    this.#isRemovalAsked = true;
    const removed = this.#change(async () => {
      this.#isRemovalAsked = false;
      const empty = this.#parts.format.members.filter((one) =>
        one.evacuating && one.used === 0
      );
      if (empty.length > 0) await this.#removeNow(empty);
    });
    removed.catch((error) => {
      this.#isRemovalAsked = false;
      this.evacuation.stopFor(error);
    });
  }

  async #removeNow(empty: readonly Component[]): Promise<void> {
    await removeEmpty(
      this.#parts,
      empty,
      () => this.#hooks.membersChanged(),
    );
    const paths = empty.map(({ device }) => device.path);
    this.#emit("removed", `Removed ${paths.join(", ")}`);
  }

  /**
   * One change at a time, with nothing half way beside it; a failure that
   * leaves doubt stops the writes.
   *
   * @param reading It changes nothing, and nothing is held for it.
   */
  #change<T>(change: () => Promise<T>, reading = false): Promise<T> {
    const run = this.#changing.then(async () => {
      this.#hooks.admit(reading);
      if (reading) return await change();
      await this.evacuation.hold();
      try {
        // The pool may have been closed, or have failed, meanwhile.
        this.#hooks.admit(reading);
        return await change();
      } catch (error) {
        const inDoubt = error instanceof VirstorError &&
          error.code === "failed";
        throw inDoubt ? this.#parts.fail(error) : error;
      } finally {
        this.evacuation.release();
      }
    });
    this.#changing = run.catch(() => {});
    return run;
  }

  #emit(kind: PoolEvent["kind"], message: string): void {
    this.#parts.settings.onEvent({ kind, message });
  }
}
