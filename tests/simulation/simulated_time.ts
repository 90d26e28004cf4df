/**
 * Time that passes by turns of the event loop: the simulation takes millions of
 * them, and nothing in it waits for a real clock.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/** How much time passes with a turn of the event loop, milliseconds. */
const TURN_MS = 1;

/** Time in a simulation. */
export interface SimulatedTime extends Disposable {
  /** How many timers wait. */
  readonly timers: number;
  /** How many timers were ever set. */
  readonly set: number;
  /**
   * How much time passes with each look at the clock, milliseconds; 0 at first.
   * Work that is bounded by time then ends its turn after a few steps.
   */
  lookMs: number;
}

let current: SimulatedTime | undefined;

/**
 * The time of the simulation that runs.
 *
 * @returns It.
 */
export function simulatedTime(): SimulatedTime {
  if (current === undefined) throw new Error("No simulation runs");
  return current;
}

/**
 * From now on `performance.now()` and timers follow simulated time: a timer
 * without a delay comes with the next turn of the event loop, in order, and
 * another one after as many turns as its delay has milliseconds.
 *
 * @returns The time; its disposal restores the real clock.
 */
export function simulateTime(): SimulatedTime {
  const { setTimeout: realSetTimeout, clearTimeout: realClear } = globalThis;
  const waiting = new Map<unknown, { at: number; callback: () => void }>();
  // Numbers of real timers are above 0.
  let last = 0;
  let now = 0;
  let ticks = false;

  function fire(id: unknown): void {
    const timer = waiting.get(id);
    if (timer === undefined) return;
    waiting.delete(id);
    timer.callback();
  }

  /** Runs once a turn for as long as a timer has a delay. */
  function tick(): void {
    now += TURN_MS;
    const due = [...waiting].filter(([, { at }]) => at <= now);
    for (const [id] of due) fire(id);
    ticks = waiting.values().some(({ at }) => at < Infinity);
    if (ticks) setImmediate(tick);
  }

  globalThis.setTimeout = ((callback: () => void, delay = 0) => {
    const id = --last;
    if (delay <= 0) {
      waiting.set(id, { at: Infinity, callback });
      setImmediate(() => fire(id));
      return id;
    }
    waiting.set(id, { at: now + delay, callback });
    if (!ticks) setImmediate(tick);
    ticks = true;
    return id;
  }) as unknown as typeof setTimeout;
  globalThis.clearTimeout = (id) => {
    if (Number(id) >= 0 || id === undefined) return realClear(id);
    waiting.delete(id);
  };
  performance.now = () => {
    now += time.lookMs;
    return now;
  };
  const time: SimulatedTime = {
    get timers() {
      return waiting.size;
    },
    get set() {
      return -last;
    },
    lookMs: 0,
    [Symbol.dispose]() {
      globalThis.setTimeout = realSetTimeout;
      globalThis.clearTimeout = realClear;
      Reflect.deleteProperty(performance, "now");
      current = undefined;
    },
  };
  current = time;
  return time;
}
