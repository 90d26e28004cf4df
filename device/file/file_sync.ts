/**
 * Makes a file durable. One `fdatasync` runs at a time, off the event loop:
 * disks can be slow, and can hang. The thread of a lane may run one, too, for a
 * client that waits for nothing else (`SyncLine`).
 *
 * A failed `fdatasync` is final: the kernel may have marked the lost pages
 * clean, so that a second one would succeed and mean nothing.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";
import type { Completion, DeviceErrors } from "../block/mod.ts";
import { DURATION_NUMBERS, type Durations } from "../measures/mod.ts";
import { SyncLine } from "../leases/mod.ts";

/**
 * Learns when writes become durable: an owner of structures that must not
 * overwrite their last durable version.
 */
export interface FlushObserver {
  /** A flush begins: it covers what was written so far, and nothing later. */
  flushBegins(): void;
  /** It is done. Not called if it failed: none will succeed after that. */
  flushEnds(): void;
}

/** What is made durable. */
export interface SyncedFile {
  /** Where it was found. */
  readonly path: string;
  /** Bytes when it was opened. */
  readonly size: number;
  /**
   * Begins an `fdatasync`.
   *
   * @param ended Receives its error, or null. Called later, or not at all if
   *   this throws.
   */
  sync(ended: (error: unknown) => void): void;
  /**
   * Says why a successful `fdatasync` means nothing.
   *
   * @returns The reason: the file was deleted or cut; else "".
   */
  loss(): string;
}

/** What has to be made durable of one file, and how. */
export class FileSync {
  /** Called for each `fdatasync` that the owner runs. */
  observer: FlushObserver | undefined;

  readonly #file: SyncedFile;
  /** The lock of the file, and whether a write may have to be made durable. */
  #line = new SyncLine();
  readonly #durations: Durations | undefined;
  readonly #errors: DeviceErrors | undefined;
  #isShared = false;
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;
  #failure: VirstorError | undefined;

  /**
   * Begins with a file.
   *
   * @param file The file.
   * @param isDirty Whether anything may have to be made durable.
   * @param durations Where the duration of each `fdatasync` is noted.
   * @param errors Where a failure is counted.
   */
  constructor(
    file: SyncedFile,
    isDirty: boolean,
    durations?: Durations,
    errors?: DeviceErrors,
  ) {
    this.#file = file;
    this.#durations = durations;
    this.#errors = errors;
    this.#line.isDirty = isDirty;
  }

  /** Notes a write, which may still be about to happen. */
  wrote(): void {
    this.#line.isDirty = true;
  }

  /**
   * Lets other threads sync the file, too, until {@linkcode end}.
   *
   * @param line The line of the file, from now on.
   * @param descriptor The descriptor of the file.
   * @returns Whether they may: not while the line is another file's.
   */
  share(line: SyncLine, descriptor: number): boolean {
    if (this.#isShared) return true;
    if (this.#failure !== undefined) return false;
    const { isDirty } = this.#line;
    const isHeld = this.#syncing !== undefined;
    const { size } = this.#file;
    const durations = this.#durations;
    const isShared = line.begin(descriptor, size, isDirty, isHeld, durations);
    if (!isShared) return false;
    this.#line = line;
    this.#isShared = true;
    return true;
  }

  /**
   * Ends the use of the file.
   *
   * @returns A promise while an `fdatasync` runs, or is to come; never rejects.
   */
  end(): Promise<void> | undefined {
    const pending = this.#nextSync ?? this.#syncing;
    if (pending === undefined) return this.#endShare();
    return pending.catch(() => {}).then(() => this.#endShare());
  }

  /**
   * Makes earlier writes durable. Calls that come while one `fdatasync` runs
   * share the next one.
   *
   * @returns A promise if there is anything to wait for.
   * @throws {VirstorError} `io`, for ever after the first failure; also if the
   *   file was deleted or truncated meanwhile.
   */
  flush(): Completion {
    if (this.#failure !== undefined) throw this.#failure;
    // Also when the running one has just ended and this one is about to begin.
    if (this.#nextSync !== undefined) return this.#nextSync;
    if (this.#syncing === undefined) return this.#syncWhenFree();
    // The running one covers only what was written before it began.
    if (!this.#line.isDirty) return this.#syncing;
    this.#nextSync = this.#syncing.then(() => {
      this.#nextSync = undefined;
      return this.#syncWhenFree();
    });
    return this.#nextSync;
  }

  #endShare(): Promise<void> | undefined {
    if (!this.#isShared) return undefined;
    this.#isShared = false;
    const line = this.#line;
    this.#line = new SyncLine();
    return line.end(() =>
      this.#durations?.moveTo(new Float64Array(DURATION_NUMBERS))
    );
  }

  /** Syncs when no other thread does; what that one does may be enough. */
  #syncWhenFree(): Completion {
    if (this.#line.tryLock()) return this.#syncIfDirty();
    this.#nextSync = this.#line.lockLater().then(() => {
      this.#nextSync = undefined;
      return this.#syncIfDirty();
    });
    return this.#nextSync;
  }

  /** *Requires*: the owner holds the lock, which is given back. */
  #syncIfDirty(): Completion {
    const line = this.#line;
    if (line.hasFailed) {
      line.unlock();
      throw this.#fail(this.#file.loss() || "the system refused", undefined);
    }
    if (!line.isDirty) return line.unlock();
    line.isDirty = false;
    this.observer?.flushBegins();
    const since = performance.now();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#syncing = promise;
    const end = (error: unknown) => {
      this.#syncing = undefined;
      this.#durations?.note(performance.now() - since);
      try {
        resolve(this.#end(error));
      } catch (failure) {
        reject(failure);
      }
    };
    try {
      this.#file.sync(end);
    } catch (error) {
      end(error);
    }
    return promise;
  }

  #end(error: unknown): undefined {
    const reason = error ? messageOf(error) : this.#file.loss();
    if (reason !== "") this.#line.fail();
    this.#line.unlock();
    if (reason !== "") throw this.#fail(reason, error);
    this.observer?.flushEnds();
  }

  #fail(reason: string, cause: unknown): VirstorError {
    if (this.#errors !== undefined) this.#errors.flushes++;
    this.#failure = new VirstorError(
      "io",
      `Cannot make "${this.#file.path}" durable: ${reason}`,
      { cause },
    );
    return this.#failure;
  }
}
