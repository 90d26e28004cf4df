/**
 * Fair turns of the event loop.
 *
 * Long work runs a slice at a time. Between two slices the event loop accepts
 * connections, serves sockets that are ready, and runs timers. Each turn of the
 * event loop runs one slice. Owners with pending work take turns, so an owner
 * with a thousand jobs delays the job of another owner by one slice.
 *
 * @module
 */

/**
 * Milliseconds that a slice may last; then its owner should ask for the next.
 * Tuned: an owner waits for a slice of each other owner, and every slice costs
 * a turn of the event loop, about 15 µs.
 */
export const SLICE_MS = 2;
/**
 * Without a bell: milliseconds between two sleeps of the event loop. Tuned: a
 * sleep takes two of them, and sockets may wait for the next one.
 */
const SLEEP_EVERY_MS = 8;

/**
 * Makes the event loop poll all sockets.
 *
 * @returns Fulfilled when the event loop has polled them. If the promise
 *   rejects, the bell is not used again.
 */
export type Bell = () => Promise<void>;

/** The pending slices of all owners. */
export class Turns {
  /** In the order in which the owners get their next slice. */
  readonly #owners = new Map<object, Pending>();
  readonly #bells: Bell[] = [];
  #isArmed = false;
  #sleptAt = -Infinity;

  /** Number of owners that wait for a slice. */
  get pending(): number {
    return this.#owners.size;
  }

  /**
   * Waits for the next slice.
   *
   * *Requires:* the slice ends, with an `await` or a return, after about
   * {@linkcode SLICE_MS}.
   *
   * @param owner The object that the work belongs to: a connection, or a part
   *   of a pool. Owners get one slice each in turn; the slices of one owner run
   *   in the order of the calls.
   * @returns Fulfilled when the slice begins.
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
   * Adds a bell. The bell that was added last is rung for each slice, until it
   * rejects.
   *
   * @param bell The bell.
   */
  addBell(bell: Bell): void {
    this.#bells.push(bell);
  }

  /**
   * Removes a bell.
   *
   * @param bell A bell that was passed to {@linkcode addBell}.
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
   * Runs the next slice in a later turn, without a bell. The runtime polls
   * sockets when the event loop sleeps, or once in many turns. A sleep takes
   * two milliseconds, so only some turns begin with one.
   */
  #comeRound(): void {
    const now = performance.now();
    if (now - this.#sleptAt < SLEEP_EVERY_MS) {
      // Not imported: the runtime loads it at its first use. The thread of a
      // lane, which uses no turns, takes a seventh less time to start so.
      globalThis.setImmediate(this.#run);
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

/** The pending slices of one owner: a queue with cheap operations. */
class Pending {
  #incoming: (() => void)[] = [];
  /** The older slices, in reverse order. */
  #outgoing: (() => void)[] = [];

  get isEmpty(): boolean {
    return this.#incoming.length === 0 && this.#outgoing.length === 0;
  }

  add(begin: () => void): void {
    this.#incoming.push(begin);
  }

  /** Takes the oldest slice. *Requires:* `isEmpty` is false. */
  take(): () => void {
    if (this.#outgoing.length === 0) {
      this.#outgoing = this.#incoming.reverse();
      this.#incoming = [];
    }
    return this.#outgoing.pop() ?? (() => {});
  }
}

/**
 * Milliseconds between two readings of the clock above which the next reading
 * comes after fewer steps.
 */
const CLOSE_MS = 0.5;

/**
 * Tells when a slice is over. It reads the clock only after a number of steps,
 * because a reading costs more than a cheap step; after fewer steps while steps
 * are slow, such as steps that wait for a disk.
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
   * @param stepsALook Steps between two readings of the clock, at most.
   * @param firstSteps Steps before the first reading; `stepsALook` by default.
   */
  constructor(stepsALook: number, firstSteps: number = stepsALook) {
    this.#stepsMax = stepsALook;
    this.#stepsALook = firstSteps;
  }

  /** Begins a slice. */
  begin(): void {
    this.#steps = 0;
    this.#since = this.#lookedAt = performance.now();
  }

  /**
   * Adds work to the slice.
   *
   * @param steps Cost of the work in steps, a whole number.
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
