/**
 * Fair turns of the event loop.
 *
 * Long work runs a slice at a time. Between two slices the event loop accepts
 * connections, serves sockets that are ready, and runs timers. Each turn of
 * the event loop runs one slice; owners with pending work take turns, so an owner with a thousand jobs delays another owner's
 * job by one slice, not by a thousand.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/** How long a slice lasts before its owner should ask for another one. */
export const SLICE_MS = 2;
/** Without a bell: how often the event loop goes to sleep, milliseconds. */
const SLEEP_EVERY_MS = 8;

/**
 * Lets the event loop look at all sockets.
 *
 * @returns Fulfilled when it has. May reject; then it is not rung again.
 */
export type Bell = () => Promise<void>;

/** Slices that are pending, by owner. */
export class Turns {
  /** In the order in which the owners have their next slice. */
  readonly #owners = new Map<object, Pending>();
  readonly #bells: Bell[] = [];
  #isArmed = false;
  #sleptAt = -Infinity;

  /** How many owners wait for a slice. */
  get pending(): number {
    return this.#owners.size;
  }

  /**
   * Waits for the next slice.
   *
   * @param owner Whose work it is: a connection, or a part of a pool. Owners
   *   have one slice each in turn; the slices of one owner run in order.
   * @returns Fulfilled when the slice begins. It ends when its owner awaits
   *   anything, at the latest after about {@linkcode SLICE_MS}.
   */
  next(owner: object): Promise<void> {
    return new Promise((resolve) => {
      let pending = this.#owners.get(owner);
      if (pending === undefined) {
        this.#owners.set(owner, pending = new Pending());
      }
      pending.add(resolve);
      this.#arm();
    });
  }

  /**
   * Takes a bell, for as long as it can be rung.
   *
   * @param bell The bell. One that comes later is rung in place of it.
   */
  addBell(bell: Bell): void {
    this.#bells.push(bell);
  }

  /**
   * Takes a bell away.
   *
   * @param bell What {@linkcode addBell} was given.
   */
  removeBell(bell: Bell): void {
    const index = this.#bells.indexOf(bell);
    if (index >= 0) this.#bells.splice(index, 1);
  }

  #arm(): void {
    if (this.#isArmed || this.#owners.size === 0) return;
    this.#isArmed = true;
    const bell = this.#bells[this.#bells.length - 1];
    if (bell === undefined) return this.#comeRound();
    bell().then(this.#run, () => {
      this.removeBell(bell);
      this.#comeRound();
    });
  }

  /**
   * The runtime looks at sockets when it has nothing else to do, or once in
   * many turns. To sleep makes it look, and takes two milliseconds; so it is
   * not done each time.
   */
  #comeRound(): void {
    const now = performance.now();
    if (now - this.#sleptAt < SLEEP_EVERY_MS) {
      setImmediate(this.#run);
      return;
    }
    setTimeout(() => {
      this.#sleptAt = performance.now();
      this.#run();
    });
  }

  readonly #run = (): void => {
    this.#isArmed = false;
    for (const [owner, pending] of this.#owners) {
      this.#owners.delete(owner);
      const begin = pending.take();
      if (!pending.isEmpty) this.#owners.set(owner, pending);
      begin();
      break;
    }
    this.#arm();
  };
}

/** The slices of this thread. */
export const turns: Turns = new Turns();

/** A queue whose ends both cost the same at any length. */
class Pending {
  #incoming: (() => void)[] = [];
  /** In reverse order. */
  #outgoing: (() => void)[] = [];

  get isEmpty(): boolean {
    return this.#incoming.length === 0 && this.#outgoing.length === 0;
  }

  add(begin: () => void): void {
    this.#incoming.push(begin);
  }

  /** Requires that it is not empty. */
  take(): () => void {
    if (this.#outgoing.length === 0) {
      this.#outgoing = this.#incoming.reverse();
      this.#incoming = [];
    }
    return this.#outgoing.pop() ?? (() => {});
  }
}

/** A look at the clock that finds more than this asks for closer looks. */
const CLOSE_MS = 0.5;

/**
 * How much of a slice is left. It looks at the clock only every so many steps,
 * since a look costs more than a cheap step; and oftener where steps turn out
 * to be slow, as those are that wait for a disk.
 */
export class Slice {
  readonly #stepsMax: number;
  #stepsALook: number;
  #steps = 0;
  #since = -Infinity;
  #lookedAt = -Infinity;

  /**
   * Creates a slice that counts as over until {@linkcode begin}.
   *
   * @param stepsALook Steps between two looks at the clock, at most.
   * @param firstSteps Steps before the first look.
   */
  constructor(stepsALook: number, firstSteps: number = stepsALook) {
    this.#stepsMax = stepsALook;
    this.#stepsALook = firstSteps;
  }

  /** A slice begins now. */
  begin(): void {
    this.#steps = 0;
    this.#since = this.#lookedAt = performance.now();
  }

  /**
   * Notes work.
   *
   * @param steps How many steps it was worth, a whole number.
   * @returns Whether the slice is over: the owner should wait for the next one.
   */
  spend(steps: number): boolean {
    this.#steps += steps;
    if (this.#steps < this.#stepsALook) return false;
    this.#steps = 0;
    const now = performance.now();
    this.#stepsALook = now - this.#lookedAt > CLOSE_MS
      ? Math.max(1, this.#stepsALook >> 2)
      : Math.min(this.#stepsMax, this.#stepsALook * 2);
    this.#lookedAt = now;
    return now - this.#since >= SLICE_MS;
  }
}
