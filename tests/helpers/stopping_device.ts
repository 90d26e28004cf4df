/**
 * Files that stop after a number of writes: later writes do not reach them, as
 * after SIGKILL; or only flushed writes are kept, as after a power cut.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  type Completion,
  type DeviceCapabilities,
  type Extent,
  FileDevice,
  type WriteOptions,
  type WriteZeroesOptions,
} from "../../device/mod.ts";
import type { FlushObserver } from "../../device/file/mod.ts";
import { VirstorError } from "../../errors.ts";
import type { ComponentDevice, OpenDevice } from "../../pool/core/mod.ts";

/** Bytes of a page of a file, which is a hole if they are all zeroes. */
const PAGE = 4096;
const ZEROES = new Uint8Array(PAGE);

/** A change of a file that is not durable yet. */
interface Change {
  readonly offset: number;
  readonly length: number;
  /** Undefined: zeroes. */
  readonly bytes: Uint8Array | undefined;
}

/** A file as a power cut would leave it. */
interface Shadow {
  /** What is durable. */
  readonly durable: Uint8Array;
  /** What is not, in order; with how many there have been before. */
  readonly pending: Change[];
  flushed: number;
}

/** All files of a test, which stop together. */
export class StoppingFiles {
  /** To be given to whatever opens components. */
  readonly open: OpenDevice;
  /** Changes of files since the last {@linkcode stopAfter}. */
  writes = 0;

  readonly #shadows = new Map<string, Shadow>();
  readonly #devices = new Set<StoppingDevice>();
  #allowed = Infinity;
  #isStopped = false;
  #failsOnce = false;

  /** Creates a set of files of which none is open. */
  constructor() {
    this.open = (path, options) => {
      const file = new FileDevice(path, options);
      const device = new StoppingDevice(file, this, this.#shadowOf(path));
      this.#devices.add(device);
      return device;
    };
  }

  /** Whether a change was refused. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** How many of the devices are still open. */
  get openCount(): number {
    return this.#devices.size;
  }

  /**
   * Lets some more changes through and refuses all that come after them.
   *
   * @param writes How many: each write, discard and zeroing counts.
   */
  stopAfter(writes: number): void {
    this.#allowed = writes;
    this.#failsOnce = false;
    this.writes = 0;
  }

  /** Refuses all changes and flushes from now on. */
  stop(): void {
    this.#isStopped = true;
  }

  /**
   * Lets some more changes through, refuses the next one, and then lets all
   * through again.
   *
   * @param writes How many before the one that fails.
   */
  failOnceAfter(writes: number): void {
    this.stopAfter(writes);
    this.#failsOnce = true;
  }

  /**
   * Asks whether a change may be made.
   *
   * @throws {VirstorError} Code `io`, if the files are stopped.
   */
  beforeWrite(): void {
    if (this.writes >= this.#allowed) {
      if (this.#failsOnce) {
        this.#allowed = Infinity;
        throw new VirstorError("io", "Failed by the test");
      }
      this.#isStopped = true;
    }
    this.beforeFlush();
    this.writes++;
  }

  /**
   * Asks whether a flush may be made.
   *
   * @throws {VirstorError} Code `io`, if the files are stopped.
   */
  beforeFlush(): void {
    if (this.#isStopped) throw new VirstorError("io", "Stopped by the test");
  }

  /**
   * Forgets a device that was closed.
   *
   * @param device Which.
   */
  closed(device: StoppingDevice): void {
    this.#devices.delete(device);
  }

  /** Closes what is still open, as the end of a process does. */
  async closeAll(): Promise<void> {
    for (const device of this.#devices) await device.close();
  }

  /**
   * Makes every file what a power cut would leave of it. Nothing is written
   * any more.
   *
   * @param keeps Whether a change that was not made durable survives;
   *   called with its first byte.
   */
  powerCut(keeps: (offset: number) => boolean): void {
    for (const [path, { durable, pending }] of this.#shadows) {
      for (const change of pending) {
        if (keeps(change.offset)) apply(durable, change);
      }
      writeSparse(path, durable);
    }
    this.#shadows.clear();
  }

  #shadowOf(path: string): Shadow {
    let shadow = this.#shadows.get(path);
    if (shadow === undefined) {
      const durable = Deno.readFileSync(path);
      shadow = { durable, pending: [], flushed: 0 };
      this.#shadows.set(path, shadow);
    }
    return shadow;
  }
}

/** A file that can be stopped. */
class StoppingDevice implements ComponentDevice {
  readonly path: string;
  readonly identity: string;
  readonly blockSize: number;
  readonly capabilities: DeviceCapabilities;
  observer: FlushObserver | undefined;

  readonly #file: FileDevice;
  readonly #files: StoppingFiles;
  readonly #shadow: Shadow;

  constructor(file: FileDevice, files: StoppingFiles, shadow: Shadow) {
    this.path = file.path;
    this.identity = file.identity;
    this.blockSize = file.blockSize;
    this.capabilities = file.capabilities;
    this.#file = file;
    this.#files = files;
    this.#shadow = shadow;
    file.observer = this.#watchFlushes();
  }

  get size(): number {
    return this.#file.size;
  }

  get length(): FileDevice["length"] {
    return this.#file.length;
  }

  read(target: Uint8Array, offset: number): Completion {
    return this.#file.read(target, offset);
  }

  write(
    source: Uint8Array,
    offset: number,
    options?: WriteOptions,
  ): Completion {
    this.#files.beforeWrite();
    this.#changed(offset, source.length, source.slice());
    const pending = this.#file.write(source, offset);
    return options?.fua === true ? this.flush() : pending;
  }

  flush(): Completion {
    this.#files.beforeFlush();
    return this.#file.flush();
  }

  discard(
    offset: number,
    length: number,
    options?: WriteOptions,
  ): Completion {
    this.#files.beforeWrite();
    this.#changed(offset, length);
    this.#file.discard(offset, length);
    return options?.fua === true ? this.flush() : undefined;
  }

  writeZeroes(
    offset: number,
    length: number,
    options?: WriteZeroesOptions,
  ): Completion {
    this.#files.beforeWrite();
    this.#changed(offset, length);
    const { fua, ...rest } = options ?? {};
    const pending = this.#file.writeZeroes(offset, length, rest);
    if (fua !== true) return pending;
    return pending === undefined
      ? this.flush()
      : pending.then(() => this.flush());
  }

  extents(offset: number, length: number): Extent[] {
    return this.#file.extents(offset, length);
  }

  close(): Completion {
    this.#files.closed(this);
    return this.#file.close();
  }

  /** What a flush covers is durable when it ends, and nothing later. */
  #watchFlushes(): FlushObserver {
    const shadow = this.#shadow;
    let end = 0;
    return {
      flushBegins: () => {
        end = shadow.flushed + shadow.pending.length;
        this.observer?.flushBegins();
      },
      flushEnds: () => {
        const count = Math.max(0, end - shadow.flushed);
        for (const change of shadow.pending.splice(0, count)) {
          apply(shadow.durable, change);
        }
        shadow.flushed += count;
        this.observer?.flushEnds();
      },
    };
  }

  #changed(offset: number, length: number, bytes?: Uint8Array): void {
    this.#shadow.pending.push({ offset, length, bytes });
  }
}

function apply(target: Uint8Array, change: Change): void {
  const { offset, length, bytes } = change;
  if (bytes === undefined) target.fill(0, offset, offset + length);
  else target.set(bytes, offset);
}

/** Gives a file another content; what is zeroes becomes holes. */
function writeSparse(path: string, bytes: Uint8Array): void {
  using file = Deno.openSync(path, {
    write: true,
    create: true,
    truncate: true,
  });
  file.truncateSync(bytes.length);
  for (let at = 0; at < bytes.length; at += PAGE) {
    const page = bytes.subarray(at, at + PAGE);
    if (Buffer.compare(page, ZEROES.subarray(0, page.length)) === 0) continue;
    file.seekSync(at, Deno.SeekMode.Start);
    file.writeSync(page);
  }
}

/** The content of files, to start from again and again. */
export class Snapshot {
  readonly #files = new Map<string, Uint8Array>();

  /**
   * Takes a copy of files.
   *
   * @param paths Which; of those that are not there nothing is kept.
   */
  constructor(paths: readonly string[]) {
    for (const path of paths) {
      try {
        this.#files.set(path, Deno.readFileSync(path));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }

  /** Makes the files again what they were. */
  restore(): void {
    for (const [path, bytes] of this.#files) writeSparse(path, bytes);
  }

  /**
   * Which files have changed since.
   *
   * @returns Their paths.
   */
  changed(): string[] {
    return [...this.#files]
      .filter(([path, bytes]) =>
        Buffer.compare(Deno.readFileSync(path), bytes) !== 0
      )
      .map(([path]) => path);
  }
}
