/**
 * The queue of changes: adding and removing components, resizing the disk.
 * One change runs at a time, while requests go on. A change that writes first
 * holds the evacuation. So no chunk is half moved while the members, the size
 * or the set of evacuating components changes.
 *
 * @module
 */

import { counted, inBytes, nameOf, VirstorError } from "../../errors.ts";
import type { Component, Finding, PoolEvent } from "../core/mod.ts";
import { Evacuation } from "./evacuation.ts";
import { applySettings, type LiveSettings } from "./live_settings.ts";
import type { AddOptions, AddResult } from "./adding.ts";
import { growComponent, type GrowResult } from "./growing.ts";
import { Additions } from "./additions.ts";
import { FarWaits, Turn } from "./far_waits.ts";
import {
  cancelRemoval,
  memberAt,
  removeComponents,
  removeEmpty,
  type RemoveOptions,
  type RemoveResult,
} from "./membership.ts";
import type { PoolBase } from "../io/mod.ts";
import { RemovalWaits } from "./removal_waits.ts";
import { type ResizeOptions, resizePool } from "./resize.ts";
import { volumeNamed } from "./volume_list.ts";

/** What a change needs from the pool. */
export interface ControlHooks {
  /**
   * Refuses a change of a pool that is closed, failed or read-only.
   *
   * @param reading Whether the change writes nothing.
   * @throws {VirstorError} `shutdown`, `failed`, `read-only`.
   */
  admit(reading: boolean): void;
  /** The list of components has changed. */
  membersChanged(): void;
}

/** The changes of an open pool, one at a time. */
export class PoolControl {
  /** Moves chunks off components that are to be removed. */
  readonly evacuation: Evacuation;

  /** The callers that wait for components to leave. */
  readonly waits: RemovalWaits;

  readonly #parts: PoolBase;
  readonly #hooks: ControlHooks;
  readonly #additions: Additions;
  readonly #far: FarWaits;
  #changing: Promise<unknown> = Promise.resolve();
  #isRemovalAsked = false;

  /**
   * Creates the queue of an open pool.
   *
   * @param parts The pool's parts.
   * @param hooks The pool's hooks for changes.
   */
  constructor(parts: PoolBase, hooks: ControlHooks) {
    this.#parts = parts;
    this.#hooks = hooks;
    this.waits = new RemovalWaits(parts.settings);
    this.#far = new FarWaits(parts);
    this.evacuation = new Evacuation(parts, {
      empty: () => this.#removeEvacuated(),
      stopped: (reason) => this.waits.stopped(reason),
    });
    this.#additions = new Additions(parts, {
      admit: () => hooks.admit(false),
      run: (change, turn, devices) =>
        this.#far.joining(devices, () =>
          // What has begun to join is not dropped: the caller alone is refused.
          this.#change(() => this.#joined(change), turn, "waiting")),
      added: () => hooks.membersChanged(),
    });
  }

  /**
   * Adds components. Other changes go on while they are opened.
   *
   * @param paths Paths of the new components.
   * @param options How to add them.
   * @returns The components that were added.
   * @throws {VirstorError} As {@linkcode Additions.add}.
   */
  add(paths: readonly string[], options: AddOptions): Promise<AddResult> {
    const turn = new Turn();
    const adding = this.#additions.add(paths, options, turn);
    return this.#far.bounded(adding, turn, "running");
  }

  /**
   * Takes in what a component got.
   *
   * @param path The path of the component.
   * @returns What it got.
   * @throws {VirstorError} As {@linkcode growComponent}.
   */
  grow(path: string): Promise<GrowResult> {
    return this.#change(async () => {
      const result = await growComponent(
        this.#parts,
        path,
        () => this.#hooks.membersChanged(),
      );
      const { size, before } = result;
      const message = `Grew "${result.path}" from ${inBytes(before)} to ` +
        inBytes(size);
      this.#emit({ kind: "added", message, paths: [result.path] });
      return result;
    });
  }

  /**
   * Removes components that hold no chunk, or starts to evacuate the others.
   *
   * @param paths Paths of the components.
   * @param options How to evacuate them.
   * @returns Which components were removed, and which are being evacuated.
   * @throws {VirstorError} As {@linkcode removeComponents}.
   */
  remove(
    paths: readonly string[],
    options: RemoveOptions,
  ): Promise<RemoveResult> {
    return this.#change(() =>
      removeComponents(this.#parts, paths, options, {
        removeNow: (empty) => this.#removeNow(empty),
        evacuate: () =>
          this.evacuation.start(options.bytesPerSecond ?? 0, options.mayLose),
      })
    );
  }

  /**
   * Cancels the removal of components that are being evacuated.
   *
   * @param paths Paths of the components.
   * @returns The paths of the components that stay.
   * @throws {VirstorError} As {@linkcode cancelRemoval}.
   */
  cancelRemove(paths: readonly string[]): Promise<{ kept: string[] }> {
    return this.#change(async () => {
      const { kept } = await cancelRemoval(this.#parts, paths);
      this.evacuation.detach(kept);
      this.#hooks.membersChanged();
      this.waits.kept(kept);
      const names = kept.map(({ device }) => device.path);
      const message = `Kept ${names.join(", ")}`;
      this.#emit({ kind: "evacuation", message, paths: names });
      return { kept: names };
    });
  }

  /**
   * Waits for a component to leave. Changes that are queued come first.
   *
   * @param path The path of a component that is being removed.
   * @returns Resolves when the component has left. If the caller drops the
   *   promise, its rejection counts as handled.
   * @throws {VirstorError} `shutdown` if the pool is closed; `invalid` if the
   *   component is not being removed; else as {@linkcode RemovalWaits.wait}.
   */
  evacuated(path: string): Promise<void> {
    const left = this.#changing.then(async () => {
      const { format, settings } = this.#parts;
      const isMember = format.members.some((one) => one.device.path === path);
      if (!isMember && this.waits.hasLeft(path)) return;
      this.#hooks.admit(true);
      const member = memberAt("wait for", this.#parts, path);
      if (member.evacuating) {
        await this.waits.wait(member, this.evacuation.stopReason);
        return;
      }
      throw new VirstorError(
        "invalid",
        `Cannot wait for "${member.device.path}" to leave pool ` +
          `"${settings.name}": it is not being removed`,
      );
    });
    left.catch(() => {});
    return left;
  }

  /**
   * Resizes a volume.
   *
   * @param name The name of the volume.
   * @param wanted The new size, bytes; rounded up to whole chunks.
   * @param options Whether the disk may shrink.
   * @returns The new size, bytes.
   * @throws {VirstorError} As {@linkcode resizePool}.
   */
  resize(
    name: string,
    wanted: number,
    options: ResizeOptions,
  ): Promise<{ virtualSize: number }> {
    return this.#change(async () => {
      const volume = volumeNamed(this.#parts, name, "resize volume");
      const virtualSize = await resizePool(volume, wanted, options);
      const { record: { id } } = volume;
      const { name: pool } = this.#parts.settings;
      const disk = id === 0 ? "The disk" : `Volume "${nameOf(pool, name)}"`;
      const message = `${disk} now has ${inBytes(virtualSize)}`;
      this.#emit({ kind: "resized", message, volume: name, virtualSize });
      return { virtualSize };
    });
  }

  /**
   * Replaces settings, at once: it waits for no change.
   *
   * @param live The settings to replace.
   * @returns Rejects as {@linkcode applySettings} throws.
   */
  set(live: LiveSettings): Promise<void> {
    return Promise.try(() => {
      this.#hooks.admit(false);
      applySettings(this.#parts, this.evacuation, live);
    });
  }

  /**
   * Compares the state on disk with the state in memory. Holds nothing: a check
   * runs beside the evacuation.
   *
   * @returns The differences, and damage that was found on the way.
   */
  check(): Promise<Finding[]> {
    const turn = new Turn("check");
    const checked = this.#queued(() => {
      turn.begin();
      const { format, volumes, removed } = this.#parts;
      const open = volumes.map(({ map }) => [map.volume, map] as const);
      return format.check(new Map([...removed, ...open]));
    }, true);
    return this.#far.isNeeded
      ? this.#far.bounded(checked, turn, "waiting")
      : checked;
  }

  /**
   * Ends the evacuation, calls off additions that are being prepared, and waits
   * for the change that is running. `admit` refuses the changes that are waiting.
   *
   * *Requires*: `admit` refuses every change from now on.
   *
   * @returns Settles when all have ended for good.
   */
  async settle(): Promise<void> {
    const added = this.#additions.settle();
    await this.evacuation.end();
    await added;
    await this.#changing;
  }

  /**
   * Runs a change of the volumes when those before it have ended.
   *
   * @param change The change.
   * @returns What it returns.
   * @throws {VirstorError} `shutdown`, `failed`, `read-only`.
   */
  run<T>(change: () => Promise<T>): Promise<T> {
    return this.#change(change);
  }

  /**
   * Runs a change that no caller waits for, as {@linkcode run} does. While a far
   * side is silent it takes no turn.
   *
   * @param change The change.
   * @returns What it returns.
   * @throws {VirstorError} `shutdown`, `failed`, `read-only`.
   */
  runBeside<T>(change: () => Promise<T>): Promise<T> {
    return this.#far.isNeeded
      ? this.#far.unlessSilent().then(() => this.#queued(change))
      : this.#queued(change);
  }

  /** Queues the removal of evacuated components that are empty by then. */
  #removeEvacuated(): void {
    if (this.#isRemovalAsked) return;
    this.#isRemovalAsked = true;
    const removed = this.runBeside(async () => {
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
    this.waits.removed(empty);
    const paths = empty.map(({ device }) => device.path);
    const message = `Removed ${paths.join(", ")}`;
    this.#emit({ kind: "removed", message, paths });
  }

  async #joined(change: () => Promise<AddResult>): Promise<AddResult> {
    const result = await change();
    const paths = result.components.map(({ path }) => path);
    const message = `Added ${counted(paths.length, "component")}`;
    this.#emit({ kind: "added", message, paths });
    return result;
  }

  /**
   * Runs a change when those before it have ended, and each far side has
   * answered.
   *
   * @param only As for {@linkcode FarWaits.bounded}.
   */
  #change<T>(
    change: () => Promise<T>,
    turn = new Turn(),
    only: "all" | "waiting" = "all",
  ): Promise<T> {
    return this.#far.isNeeded
      ? this.#far.bounded(this.#whenReached(change, turn), turn, only)
      : this.#queued(() => {
        turn.begin();
        return change();
      });
  }

  async #whenReached<T>(change: () => Promise<T>, turn: Turn): Promise<T> {
    this.#hooks.admit(false);
    await this.#far.reached();
    try {
      const result = await this.#queued(() => {
        turn.begin();
        return change();
      });
      this.#far.ended(turn);
      return result;
    } catch (error) {
      this.#far.ended(turn, error);
      throw error;
    }
  }

  /**
   * Runs one change at a time, with the evacuation held. If the change leaves
   * the state on disk unknown, the pool takes no more writes.
   *
   * @param reading The change writes nothing, so the evacuation is not held.
   */
  #queued<T>(change: () => Promise<T>, reading = false): Promise<T> {
    const run = this.#changing.then(async () => {
      this.#hooks.admit(reading);
      if (reading) return await change();
      await this.evacuation.hold();
      try {
        // The pool may have been closed, or have failed, during the hold.
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

  #emit(event: PoolEvent): void {
    this.#parts.settings.onEvent(event);
  }
}
