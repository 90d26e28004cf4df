/**
 * Disks that can be cut off: a volatile cache over durable bytes.
 *
 * What is assumed of real ones (docs/architecture.md) is all that these keep:
 * a sector of 512 bytes is old or new after a cut; what was flushed is there;
 * of the rest each sector of each write is kept or lost on its own, in any
 * combination. Operations can be made to fail from the Nth on, once or for
 * ever.
 *
 * @module
 */

import type {
  Completion,
  DeviceCapabilities,
  Extent,
} from "../../device/mod.ts";
import { VirstorError } from "../../errors.ts";
import type { ComponentDevice, OpenDevice } from "../../pool/mod.ts";
import type { Random } from "./random.ts";

const SECTOR = 512;

/** What is left of writes that were not flushed when the power goes. */
export type Survivors =
  | "all" // as after SIGKILL: the page cache lives on
  | "none"
  | "some"; // each sector of each write by chance

/** Which operations fail. */
export interface Fault {
  /** The kind that is counted and fails. */
  readonly kind: "read" | "change" | "flush";
  /** The first that fails, from 0, counted from now on. */
  readonly first: number;
  /** Whether all later ones of the kind fail, too. */
  readonly persistent: boolean;
}

/** A change that is not durable. */
interface Change {
  readonly offset: number;
  /** The bytes; a copy. */
  readonly bytes: Uint8Array;
}

/** One simulated file. */
interface SimulatedFile {
  readonly path: string;
  readonly durable: Uint8Array;
  /** What reads see. */
  readonly current: Uint8Array;
  /** In order. */
  pending: Change[];
}

/** All files of one machine. */
export class SimulatedDisk {
  /** To be given to whatever opens components. */
  readonly open: OpenDevice;
  /** Changes of files so far: a crash may come before each. */
  changes = 0;
  /** Flushes so far. */
  flushes = 0;
  /** Leaves out flushes, to see whether anybody notices. */
  skipsFlush: (flush: number) => boolean = () => false;

  readonly #files = new Map<string, SimulatedFile>();
  readonly #punches: boolean;
  #crashAt = Infinity;
  #fault: Fault | undefined;
  #faultCount = 0;
  /** Devices that were opened before the last crash are dead. */
  #epoch = 0;

  /**
   * Creates a machine without files.
   *
   * @param options Whether holes can be punched.
   */
  constructor(options: { punches: boolean }) {
    this.#punches = options.punches;
    this.open = (path) => new SimulatedDevice(this, this.file(path), path);
  }

  /** Whether holes can be punched. */
  get punches(): boolean {
    return this.#punches;
  }

  /** Tells devices apart that were opened before a crash and after it. */
  get epoch(): number {
    return this.#epoch;
  }

  /** The paths of all files. */
  get paths(): string[] {
    return [...this.#files.keys()];
  }

  /**
   * Makes a file with durable content.
   *
   * @param path Its path.
   * @param content Its bytes.
   */
  create(path: string, content: Uint8Array): void {
    this.#files.set(path, {
      path,
      durable: content.slice(),
      current: content.slice(),
      pending: [],
    });
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
    // A killed process leaves the cache as it is, and no more durable.
    if (survivors === "all") return;
    for (const file of this.#files.values()) {
      for (const change of file.pending) {
        keep(file.durable, change, survivors, random);
      }
      file.pending = [];
      file.current.set(file.durable);
    }
  }

  /**
   * A copy of this machine as it is now, with its own fate.
   *
   * @returns The copy; nothing is open on it.
   */
  clone(): SimulatedDisk {
    const other = new SimulatedDisk({ punches: this.#punches });
    for (const file of this.#files.values()) {
      other.#files.set(file.path, {
        path: file.path,
        durable: file.durable.slice(),
        current: file.current.slice(),
        pending: [...file.pending],
      });
    }
    return other;
  }

  /**
   * Called before each operation of a device.
   *
   * @param kind What kind.
   * @param epoch When the device was opened.
   */
  admit(kind: Fault["kind"], epoch: number): void {
    if (epoch !== this.#epoch || this.isDown) {
      throw new VirstorError("io", "The power is cut");
    }
    const fault = this.#fault;
    if (fault?.kind === kind) {
      const count = this.#faultCount++;
      if (count === fault.first || (count > fault.first && fault.persistent)) {
        throw new VirstorError("io", `A simulated ${kind} failed`);
      }
    }
    if (kind !== "change") return;
    this.changes++;
    if (this.changes > this.#crashAt) {
      throw new VirstorError("io", "The power is cut");
    }
  }
}

function keep(
  durable: Uint8Array,
  change: Change,
  survivors: Survivors,
  random: Random,
): void {
  if (survivors === "none") return;
  const { offset, bytes } = change;
  const end = offset + bytes.length;
  for (let at = offset; at < end;) {
    const stop = Math.min(end, (Math.floor(at / SECTOR) + 1) * SECTOR);
    if (random.chance(50)) {
      durable.set(bytes.subarray(at - offset, stop - offset), at);
    }
    at = stop;
  }
}

/** A simulated file, open. */
class SimulatedDevice implements ComponentDevice {
  readonly path: string;
  readonly identity: string;
  readonly size: number;
  readonly blockSize = 1;
  readonly capabilities: DeviceCapabilities;
  readonly #disk: SimulatedDisk;
  readonly #file: SimulatedFile;
  readonly #epoch: number;

  constructor(disk: SimulatedDisk, file: SimulatedFile, path: string) {
    this.#disk = disk;
    this.#file = file;
    this.#epoch = disk.epoch;
    this.path = path;
    this.identity = path;
    this.size = file.current.length;
    const { punches } = disk;
    this.capabilities = {
      readOnly: false,
      discard: punches,
      fastZeroes: punches,
    };
  }

  read(target: Uint8Array, offset: number): undefined {
    this.#disk.admit("read", this.#epoch);
    target.set(this.#file.current.subarray(offset, offset + target.length));
  }

  write(source: Uint8Array, offset: number): undefined {
    try {
      this.#disk.admit("change", this.#epoch);
    } catch (error) {
      // As much as there was room for, say, is written all the same.
      if (!this.#disk.isDown) this.#put(source.slice(0, SECTOR), offset);
      throw error;
    }
    this.#put(source.slice(), offset);
  }

  #put(bytes: Uint8Array, offset: number): void {
    this.#file.current.set(bytes, offset);
    this.#file.pending.push({ offset, bytes });
  }

  flush(): Completion {
    const file = this.#file;
    if (file.pending.length === 0) return undefined;
    const covered = new Set(file.pending);
    return Promise.resolve().then(() => {
      this.#disk.admit("flush", this.#epoch);
      if (this.#disk.skipsFlush(this.#disk.flushes++)) return;
      for (const { offset, bytes } of covered) file.durable.set(bytes, offset);
      file.pending = file.pending.filter((change) => !covered.has(change));
    });
  }

  discard(offset: number, length: number): undefined {
    if (this.#disk.punches) this.write(new Uint8Array(length), offset);
  }

  writeZeroes(offset: number, length: number): undefined {
    this.write(new Uint8Array(length), offset);
  }

  /** As file systems: a hole is what reads as zeroes now, durably or not. */
  extents(offset: number, length: number): Extent[] {
    const bytes = this.#file.current.subarray(offset, offset + length);
    const isHole = this.#disk.punches && bytes.every((byte) => byte === 0);
    return [{ length, kind: isHole ? "hole" : "data" }];
  }

  close(): undefined {
    return undefined;
  }
}
