/**
 * The far side of a remote component, with an eye on how long it leaves requests
 * without an answer.
 *
 * @module
 */

import type { Completion, WriteZeroesOptions } from "../../device/block/mod.ts";
import type { FarAnswers } from "../core/mod.ts";
import type { FarDisk, FarWriteOptions } from "./far_disk.ts";

/** Milliseconds without an answer after which a far side is silent. */
export const SILENT_MS = 10_000;

/** A far side that is watched. */
export class WatchedFar implements FarDisk, FarAnswers {
  /** Bytes. */
  readonly size: number;
  readonly #far: FarDisk;
  readonly #flushAll: () => Completion;
  /** Reads and writes without an answer. */
  #pending = 0;
  /** When one of them was answered last, or the first of them began. */
  #since = 0;
  /** When the flush without an answer began. */
  #flushing: number | undefined;
  #reaching: Promise<void> | undefined;
  readonly #onSilence: ((isSilent: boolean) => void) | undefined;
  /** Looks whether it is silent, while it owes an answer. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isSilent = false;
  #isClosed = false;

  /**
   * Watches a far side.
   *
   * @param far The far side.
   * @param flushAll Makes durable there what was written so far.
   * @param onSilence Called when it is silent for long, and when it answers
   *   again.
   */
  constructor(
    far: FarDisk,
    flushAll: () => Completion,
    onSilence?: (isSilent: boolean) => void,
  ) {
    this.#onSilence = onSilence;
    this.size = far.size;
    this.#far = far;
    this.#flushAll = flushAll;
  }

  /**
   * For how long nothing was answered, or a flush was not, milliseconds; 0 if
   * nothing waits for an answer. So a far side that takes long for much is not
   * silent.
   */
  get silentMs(): number {
    const now = performance.now();
    const waited = this.#pending === 0 ? 0 : now - this.#since;
    return Math.max(waited, now - (this.#flushing ?? now));
  }

  /**
   * Waits until the far side has everything so far, durably, and has answered.
   * Never fails: it ends, too, when the component fails, or is closed.
   *
   * @returns Done then.
   */
  reached(): Promise<void> {
    this.#reaching ??= this.#reach().finally(() => this.#reaching = undefined);
    return this.#reaching;
  }

  /** As the far side does. */
  read(target: Uint8Array, offset: number): Completion {
    return this.#watched(this.#far.read(target, offset));
  }

  /** As the far side does. */
  write(
    source: Uint8Array,
    offset: number,
    options?: FarWriteOptions,
  ): Completion {
    return this.#watched(this.#far.write(source, offset, options));
  }

  /** As the far side does. */
  writeZeroes(
    offset: number,
    length: number,
    options?: WriteZeroesOptions,
  ): Completion {
    return this.#watched(this.#far.writeZeroes(offset, length, options));
  }

  /** As the far side does. */
  flush(): Completion {
    const pending = this.#far.flush();
    if (pending === undefined) return undefined;
    // One flush runs at a time.
    this.#flushing = performance.now();
    const ended = () => {
      this.#flushing = undefined;
      this.#answered();
    };
    pending.then(ended, ended);
    this.#owes();
    return pending;
  }

  /** As the far side does. What ends with it is no answer, and no news. */
  close(waitMs?: number): Completion {
    clearTimeout(this.#timer);
    this.#isClosed = true;
    return waitMs === undefined ? this.#far.close() : this.#far.close(waitMs);
  }

  async #reach(): Promise<void> {
    try {
      await this.#flushAll();
      // There may have been nothing to flush.
      await this.read(new Uint8Array(1), 0);
    } catch {
      // The change that wants to know finds out by itself.
    }
  }

  #watched(pending: Completion): Completion {
    if (pending === undefined) return undefined;
    if (this.#pending === 0) this.#since = performance.now();
    this.#pending += 1;
    pending.then(this.#onAnswer, this.#onAnswer);
    this.#owes();
    return pending;
  }

  readonly #onAnswer = (): void => {
    this.#pending -= 1;
    this.#since = performance.now();
    this.#answered();
  };

  /** Begins to look whether it is silent. */
  #owes(): void {
    if (this.#onSilence === undefined || this.#isClosed) return;
    this.#timer ??= setTimeout(() => this.#look(), SILENT_MS);
  }

  #look(): void {
    this.#timer = undefined;
    const { silentMs } = this;
    if (silentMs === 0 || this.#isSilent) return;
    if (silentMs < SILENT_MS) {
      this.#timer = setTimeout(() => this.#look(), SILENT_MS - silentMs);
      return;
    }
    this.#isSilent = true;
    this.#onSilence?.(true);
  }

  #answered(): void {
    if (!this.#isSilent || this.#isClosed) return;
    if (this.silentMs >= SILENT_MS) return;
    this.#isSilent = false;
    this.#onSilence?.(false);
    if (this.silentMs > 0) this.#owes();
  }
}
