/**
 * The additions of components that are under way. Each one is prepared beside
 * the queue of changes, and then takes its turn in it.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  type ComponentDevice,
  type OpenPatience,
  STOP_SECONDS,
} from "../core/mod.ts";
import { closeOthers } from "../member/mod.ts";
import type { PoolBase } from "../io/mod.ts";
import type { Turn } from "./far_waits.ts";
import {
  type AddOptions,
  type AddResult,
  drop,
  join,
  type NewComponent,
  prepare,
} from "./adding.ts";

/**
 * Milliseconds that a far side has to answer when an addition is called off:
 * then it is given up cleanly.
 */
const GIVE_UP_MS = 2000;

/** An addition that is under way. */
interface Addition {
  /** Ends the waits that send nothing. */
  readonly cancelled: AbortController;
  /** Ends also what waits for an answer. */
  readonly givenUp: AbortController;
  /** Whether its turn has come. */
  isJoining: boolean;
  /** Its turn. */
  readonly turn: Turn;
}

/** What an addition needs of the pool. */
export interface AdditionHooks {
  /**
   * Refuses an addition to a pool that is closed, failed or read-only.
   *
   * @throws {VirstorError} `shutdown`, `failed`, `read-only`.
   */
  admit(): void;
  /**
   * Runs a change when those before it have ended.
   *
   * @param change The change.
   * @param turn Its turn.
   * @param devices The components that join.
   * @returns What it returns.
   */
  run(
    change: () => Promise<AddResult>,
    turn: Turn,
    devices: readonly ComponentDevice[],
  ): Promise<AddResult>;
  /** Chunks may be allocated on the new components. */
  added(): void;
}

/** The additions of components that are under way. */
export class Additions {
  readonly #parts: PoolBase;
  readonly #hooks: AdditionHooks;
  readonly #running = new Map<Addition, Promise<unknown>>();

  /**
   * Begins with none.
   *
   * @param parts The pool's parts.
   * @param hooks What they need of the pool.
   */
  constructor(parts: PoolBase, hooks: AdditionHooks) {
    this.#parts = parts;
    this.#hooks = hooks;
  }

  /**
   * Adds components.
   *
   * @param paths Which ones.
   * @param options How.
   * @param turn The turn of the change.
   * @returns The components that were added.
   * @throws {VirstorError} `failed` if the state on disk is unknown; with any
   *   other code nothing has changed.
   */
  add(
    paths: readonly string[],
    options: AddOptions,
    turn: Turn,
  ): Promise<AddResult> {
    const one: Addition = {
      cancelled: new AbortController(),
      givenUp: new AbortController(),
      isJoining: false,
      turn,
    };
    const adding = this.#add(one, paths, options);
    const ended = adding.then(() => {}, () => {});
    this.#running.set(one, ended.then(() => this.#running.delete(one)));
    return adding;
  }

  /**
   * Calls off what has no turn yet, and waits until all have ended. A far side
   * that does not answer delays that for seconds only.
   *
   * *Requires*: `admit` refuses every addition from now on.
   */
  async settle(): Promise<void> {
    const { stopSeconds = STOP_SECONDS } = this.#parts.settings;
    const timers = Array.from(this.#running.keys(), (one) => {
      if (!one.isJoining) one.cancelled.abort();
      return setTimeout(
        () => one.givenUp.abort(),
        Math.min(one.isJoining ? Infinity : GIVE_UP_MS, stopSeconds * 1000),
      );
    });
    for (const ended of [...this.#running.values()]) await ended;
    timers.forEach(clearTimeout);
  }

  async #add(
    one: Addition,
    paths: readonly string[],
    options: AddOptions,
  ): Promise<AddResult> {
    this.#hooks.admit();
    const prepared = await this.#prepared(one, paths, options);
    try {
      return await this.#hooks.run(
        () => {
          one.isJoining = true;
          return join(this.#parts, prepared, () => this.#hooks.added());
        },
        one.turn,
        prepared.map(({ device }) => device),
      );
    } catch (error) {
      const isClean = error instanceof VirstorError && error.code !== "failed";
      if (isClean || !one.isJoining) await drop(prepared);
      else await closeOthers(prepared, this.#parts.format.members);
      throw error;
    }
  }

  async #prepared(
    { cancelled, givenUp }: Addition,
    paths: readonly string[],
    options: AddOptions,
  ): Promise<NewComponent[]> {
    const patience: OpenPatience = {
      cancelled: cancelled.signal,
      givenUp: givenUp.signal,
    };
    try {
      const prepared = await prepare(this.#parts, paths, options, patience);
      for (const { device } of prepared) device.inUse?.();
      return prepared;
    } catch (error) {
      // Why it was called off says more than where.
      if (cancelled.signal.aborted) this.#hooks.admit();
      throw error;
    }
  }
}
