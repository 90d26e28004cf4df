/**
 * Disks that can lose power: a volatile cache over durable bytes.
 *
 * What is assumed of real ones (docs/architecture.md) is all that these keep:
 * a sector of 512 bytes is old or new after a cut; what was flushed is there;
 * of the rest each sector of each write is kept or lost on its own, in any
 * combination. Operations can be made to fail from the Nth on, once or for
 * ever.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { ComponentDevice, OpenDevice } from "../../pool/core/mod.ts";
import { Random } from "./random.ts";
import { SimulatedDevice } from "./simulated_device.ts";
import { SECTOR, SimulatedFile } from "./simulated_file.ts";
import { turn } from "./turns.ts";

/** A flush takes up to so many steps of the microtask queue, or a turn. */
const FLUSH_STEPS = 6;

/** What is left of writes that were not flushed when the power goes. */
export type Survivors =
  | "all" // as after SIGKILL: the page cache lives on
  | "none"
  | "some"; // each sector of each write by chance

/** Which operations fail. */
export interface Fault {
  /** The kind that is counted and fails. `full`: a write to a hole. */
  readonly kind: "read" | "change" | "flush" | "full";
  /** The first that fails, from 0, counted from now on. */
  readonly first: number;
  /** Whether all later ones of the kind fail, too. */
  readonly persistent: boolean;
}

/**
 * Whether a flush is left out.
 *
 * @param flush Its number in this run, from 0.
 * @param askers The call stacks of its callers.
 */
export type SkipsFlush = (
  flush: number,
  askers: readonly string[],
) => boolean;

/** All files of one machine. */
export class SimulatedDisk {
  /** Whether holes can be punched. */
  readonly punches: boolean;
  /** Changes of files so far: a crash may come before each. */
  changes = 0;
  /** Leaves out flushes, to see whether a check notices. */
  skipsFlush: SkipsFlush | undefined;
  /** Whether reads may have to wait for the disk. */
  hasColdReads = false;
  /** Whether a test looks: then no read has to wait. */
  isPeeking = false;
  /** The most turns of the event loop that a flush takes. */
  flushTurns = 1;
  /** The most turns of the event loop that a cold read takes beside that. */
  coldTurns = 0;
  /** Operations so far, of whatever kind: whether anything happens. */
  operations = 0;
  /** Files whose file systems have no room for what is a hole now. */
  readonly full = new Set<string>();
  /** Called for each operation that is admitted. */
  onOperation: (() => void) | undefined;
  /** Called before each change, while the power is on. */
  beforeChange: (() => void) | undefined;

  readonly #files = new Map<string, SimulatedFile>();
  readonly #random = new Random(1);
  #flushes = 0;
  #crashAt = Infinity;
  #fault: Fault | undefined;
  #faultCount = 0;
  #epoch = 0;
  #misuse = "";
  /** What was lent to lanes, by its number. */
  readonly #lent: SimulatedDevice[] = [];

  /**
   * Creates a machine without files.
   *
   * @param options Whether holes can be punched.
   */
  constructor(options: { punches: boolean }) {
    this.punches = options.punches;
  }

  /**
   * To be given to what opens components: a process that begins now, and ends
   * with the next crash.
   */
  get open(): (...how: Parameters<OpenDevice>) => ComponentDevice {
    const epoch = this.#epoch;
    return (path, how) => {
      if (epoch !== this.#epoch) throw cutError();
      return new SimulatedDevice(this, this.file(path), how);
    };
  }

  /** Whether a file system is full. */
  get isAnyFull(): boolean {
    return this.full.size > 0;
  }

  /** Tells devices apart that were opened before a crash and after it. */
  get epoch(): number {
    return this.#epoch;
  }

  /** All files. */
  get files(): SimulatedFile[] {
    return [...this.#files.values()];
  }

  /** Whether operations are made to fail. */
  get isFaulty(): boolean {
    return this.#fault !== undefined;
  }

  /** Whether one of them did. */
  get hasFailed(): boolean {
    return this.#fault !== undefined && this.#faultCount > this.#fault.first;
  }

  /**
   * Makes a file with durable content.
   *
   * @param path Its path.
   * @param content Its bytes, whole sectors.
   */
  create(path: string, content: Uint8Array): void {
    this.#files.set(path, SimulatedFile.of(path, content));
  }

  /**
   * Finds a file.
   *
   * @param path Its path.
   * @returns The file.
   */
  file(path: string): SimulatedFile {
    const file = this.#files.get(path);
    if (file === undefined) {
      throw new VirstorError("not-found", `There is no "${path}"`);
    }
    return file;
  }

  /**
   * Cuts the power before a change.
   *
   * @param change Its number, counted from the first of all.
   */
  crashAt(change: number): void {
    this.#crashAt = change;
  }

  /**
   * Makes operations fail.
   *
   * @param fault Which; undefined: none any more.
   */
  setFault(fault: Fault | undefined): void {
    this.#fault = fault;
    this.#faultCount = 0;
  }

  /** Whether the power is cut. */
  get isDown(): boolean {
    return this.changes >= this.#crashAt;
  }

  /**
   * What is on the disks once the machine is up again, or after the process
   * was killed. All devices that were open are dead.
   *
   * @param survivors What is left of what was not flushed.
   * @param random Decides what survives by chance.
   */
  restart(survivors: Survivors, random: Random): void {
    this.#epoch++;
    this.#crashAt = Infinity;
    this.#fault = undefined;
    for (const file of this.#files.values()) {
      file.writer = undefined;
      // A killed process leaves the cache as it is, and no more durable.
      if (survivors === "all") continue;
      file.lose(() => survivors === "some" && random.chance(50));
    }
  }

  /**
   * A copy of this machine as it is now, with its own fate.
   *
   * @returns The copy; nothing is open on it.
   */
  clone(): SimulatedDisk {
    const other = new SimulatedDisk({ punches: this.punches });
    other.hasColdReads = this.hasColdReads;
    other.flushTurns = this.flushTurns;
    for (const [path, file] of this.#files) {
      other.#files.set(path, file.clone());
    }
    return other;
  }

  /**
   * Whether another machine's disks hold the same, and nothing in a cache.
   *
   * @param other A copy of this machine, or of the one that this is a copy of.
   * @returns Whether that is so.
   */
  isSame(other: SimulatedDisk): boolean {
    return this.files.every((file) => file.isSame(other.file(file.path)));
  }

  /**
   * Called before each operation of a device.
   *
   * @param kind What kind.
   * @param epoch When the device was opened.
   * @throws {VirstorError} `io`, `no-space` if it is not to be.
   */
  admit(kind: Fault["kind"], epoch: number): void {
    if (epoch !== this.#epoch || this.isDown) throw cutError();
    this.operations++;
    this.onOperation?.();
    const fault = this.#fault;
    if (fault?.kind === kind) {
      const count = this.#faultCount++;
      if (count === fault.first || (count > fault.first && fault.persistent)) {
        throw kind === "full"
          ? new VirstorError("no-space", "The simulated file system is full")
          : new VirstorError("io", `A simulated ${kind} failed`);
      }
    }
    if (kind !== "change") return;
    this.beforeChange?.();
    this.changes++;
  }

  /**
   * Looks at what there is, at once.
   *
   * @param look Reads of devices in it do not wait.
   * @returns What it returns.
   */
  peek<T>(look: () => T): T {
    const { hasColdReads } = this;
    this.hasColdReads = false;
    this.isPeeking = true;
    try {
      return look();
    } finally {
      this.hasColdReads = hasColdReads;
      this.isPeeking = false;
    }
  }

  /** Takes the time that a flush takes. */
  async flushTime(): Promise<void> {
    const steps = this.#random.below(FLUSH_STEPS + 1);
    if (steps === FLUSH_STEPS) {
      const turns = this.flushTurns > 1
        ? 1 + this.#random.below(this.flushTurns)
        : 1;
      for (let i = 0; i < turns; i++) await turn();
      return;
    }
    for (let i = 0; i < steps; i++) await Promise.resolve();
  }

  /** Takes the time that a cold read takes. */
  async coldTime(): Promise<void> {
    await this.flushTime();
    if (this.coldTurns === 0) return;
    const turns = this.#random.below(this.coldTurns + 1);
    for (let i = 0; i < turns; i++) await turn();
  }

  /**
   * How much of what is read is in the page cache.
   *
   * @param length Bytes that are read.
   * @returns Bytes, from the first on.
   */
  cachedBytes(length: number): number {
    if (!this.hasColdReads) return length;
    const half = Math.floor(length / 2 / SECTOR) * SECTOR;
    return this.#random.pick([0, half, length]);
  }

  /**
   * Records that something was done that must never be.
   *
   * @param what A sentence.
   */
  misuse(what: string): void {
    if (this.#misuse === "") this.#misuse = `${what}: ${new Error().stack}`;
  }

  /** The first thing that was done and must never be; "" if there is none. */
  get misused(): string {
    return this.#misuse;
  }

  /**
   * Lends a file to lanes.
   *
   * @param device The file, open.
   * @returns Its number.
   */
  lend(device: SimulatedDevice): number {
    return this.#lent.push(device) - 1;
  }

  /**
   * Finds what was lent.
   *
   * @param descriptor Its number.
   * @returns The file; it may be closed by now.
   */
  lent(descriptor: number): SimulatedDevice {
    const device = this.#lent[descriptor];
    if (device === undefined) throw new Error(`Nothing is ${descriptor}`);
    return device;
  }

  /**
   * Whether a flush that was admitted does nothing.
   *
   * @param askers The call stacks of its callers.
   * @returns Whether it is left out.
   */
  leavesOut(askers: readonly string[]): boolean {
    return this.skipsFlush?.(this.#flushes++, askers) ?? false;
  }
}

function cutError(): VirstorError {
  return new VirstorError("io", "The power is cut");
}
