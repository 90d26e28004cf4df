/**
 * The device of a component: a block device with a path.
 *
 * @module
 */

import {
  type BlankRanges,
  FileDevice,
  type FileDeviceOptions,
  fileIdentity,
  type FileLength,
  type FlushObserver,
  type HostSpace,
} from "../../device/file/mod.ts";
import {
  type BlockDevice,
  type Completion,
  type DeviceDurations,
  type DeviceErrors,
  joinParts,
} from "../../device/block/mod.ts";
import type { LentDescriptor, SyncLine } from "../../device/leases/mod.ts";
import type { OpenElsewhere } from "../../device/linux/mod.ts";
import { assert, isUri } from "../../errors.ts";
import type { RemoteStatus } from "./remote_status.ts";

/** The device of a component: a block device with a path. */
export interface ComponentDevice extends BlockDevice {
  /** The path that it was opened with. */
  readonly path: string;
  /** Equal for two devices if and only if they are the same file. */
  readonly identity: string;
  /** Whether it lies on a rotating disk; absent if unknown. */
  readonly rotational?: boolean;
  /**
   * Which other user had it open when it was locked exclusively; absent if
   * there can be none.
   */
  readonly openElsewhere?: OpenElsewhere;
  /** How long the disk took; absent if that is not measured. */
  readonly durations?: DeviceDurations;
  /** How often the disk has failed; absent if that is not counted. */
  readonly errors?: Readonly<DeviceErrors>;
  /** Receives the beginning and the end of each flush. */
  observer: FlushObserver | undefined;
  /**
   * Finds the next byte that is not in a hole, where the system reports holes.
   *
   * @param offset Where to start, bytes.
   * @returns The offset of that byte; the device's size if there is none;
   *   `offset` if unknown.
   */
  nextData?(offset: number): number;
  /**
   * Reads as much of `target` as is available without waiting for the disk.
   *
   * @param target The buffer to fill from its start; not empty.
   * @param offset The offset of the first byte.
   * @returns Bytes that were read. `readCold`, which is present whenever this
   *   method is, reads the rest.
   */
  readCached?(target: Uint8Array, offset: number): number;
  /**
   * Reads without blocking the event loop. `close` waits for it.
   *
   * @param target The buffer to fill.
   * @param offset The offset of the first byte of `target`.
   * @param done Bytes at the start of `target` that `readCached` has read.
   * @returns Rejects with `io`.
   */
  readCold?(target: Uint8Array, offset: number, done?: number): Promise<void>;
  /**
   * Lends the descriptor to other threads, which use it while they hold leases.
   *
   * @returns The descriptor, if there is one to lend.
   */
  lend?(): LentDescriptor | undefined;
  /** Notes that another thread has written, so that the next flush runs. */
  touched?(): void;
  /**
   * Lets other threads make it durable, too, until it is closed.
   *
   * @param line What they and the device share.
   * @returns Whether they may. Absent if never.
   */
  shareSync?(line: SyncLine): boolean;
  /**
   * Asks the file system for its space, without blocking the event loop.
   *
   * @returns The space; undefined if unknown.
   */
  hostSpace?(): Promise<HostSpace | undefined>;
  /** How much of it is used; absent where it cannot grow while it is open. */
  readonly length?: Pick<FileLength, "now" | "use">;
  /** The ranges known to hold no data; absent if unknown. */
  readonly blanks?: Blanks | undefined;
  /**
   * Reads the end of the component once, so that reads there finish at once from
   * now on. Absent where they always do.
   *
   * @param start The first byte.
   * @returns Rejects with `io`.
   */
  keep?(start: number): Promise<void>;
  /**
   * Takes the ownership of a component on another machine: until then nothing is
   * written there. Absent if there is nothing to take.
   *
   * *Requires*: the label is that of a pool of format 2, or what the component
   * holds is not needed.
   *
   * @returns The device to use from now on, in place of this one.
   * @throws {VirstorError} `busy`, `failed`, `io`; this device stays open.
   */
  claim?(): Promise<ComponentDevice>;
  /**
   * Notes that it belongs to no pool any more: its close removes what this
   * machine keeps for it, once the far side has everything, durably. Absent
   * where nothing is kept.
   */
  leave?(): void;
  /**
   * Whether it is on another machine. Then a read may come later, after any time.
   * A write, a discard or zeroes always take effect before the call returns, so
   * that reads see them; but they may be complete later.
   */
  readonly isRemote?: boolean;
  /** How the far side of a component on another machine answers. */
  readonly farSide?: FarAnswers;
  /** Whether changes are slow for now, so that new chunks are better elsewhere. */
  readonly isStalled?: boolean;
  /**
   * Set while changes are not complete: settles when those made so far are, and
   * rejects if one never will be. Absent where all are when their calls return.
   */
  readonly behind?: Promise<void> | undefined;
  /** The changes that are not complete; absent where there are never any. */
  readonly waitingChanges?: WaitingChanges;
  /**
   * Ends all that waits for another machine, with `io`: no change is taken any
   * more, and what is not there stays in the journal.
   *
   * @param reason Why, as in `the pool is stopped`.
   */
  giveUp?(reason: string): void;
  /**
   * Ends the opening of a component on another machine. From now on requests
   * wait for the far side as long as it is away, before they fail after a time.
   */
  inUse?(): void;
  /**
   * The state of a component on another machine; absent for others.
   *
   * @returns The state now.
   */
  remoteStatus?(): RemoteStatus;
}

/** How the far side of a remote component answers. */
export interface FarAnswers {
  /**
   * For how long it has answered nothing, or not a flush, milliseconds; 0 if
   * nothing waits for an answer.
   */
  readonly silentMs: number;
  /**
   * Waits until it has everything so far, durably, and has answered. Never
   * rejects: it ends, too, when the component fails, or is closed.
   *
   * @returns Resolves then.
   */
  reached(): Promise<void>;
}

/** Changes of a remote component that wait for room in its journal. */
export interface WaitingChanges {
  /** How many wait. */
  readonly count: number;
  /** Bytes of them in memory. */
  readonly bytes: number;
  /** How many have waited since the component was opened. */
  readonly total: number;
}

/** The ranges of a device that hold no data. */
export type Blanks = Pick<BlankRanges, "isBlank" | "widen">;

/** Chunk I/O: each request lies inside one chunk. */
export type ChunkDevice = Pick<
  BlockDevice,
  "read" | "write" | "discard" | "writeZeroes"
>;

/** How long an opening waits for another machine: for ever by default. */
export interface OpenPatience {
  /**
   * Ends the waits that send nothing. What was taken is given up again, where
   * the far side answers.
   */
  readonly cancelled: AbortSignal;
  /** Ends also what waits for an answer, as `ComponentDevice.giveUp` does. */
  readonly givenUp: AbortSignal;
}

/** How the device of a component is opened. */
export interface OpenDeviceOptions extends FileDeviceOptions {
  /** How long to wait for another machine. */
  readonly patience?: OpenPatience | undefined;
}

/** Opens the device of a component; tests pass devices with faults. */
export type OpenDevice = (
  path: string,
  options: OpenDeviceOptions,
) => ComponentDevice | Promise<ComponentDevice>;

/**
 * The default {@linkcode OpenDevice}: opens a file or a block device.
 *
 * @param path The path of the file.
 * @param options How to open and lock it.
 * @returns The open device.
 */
export function openFileDevice(
  path: string,
  options: FileDeviceOptions,
): ComponentDevice {
  return new FileDevice(path, options);
}

/**
 * The identity of the component at a path or a URI, without opening it.
 *
 * @param path The path, or the URI without a password.
 * @returns Equal for two paths of one file; a URI stands for itself.
 * @throws {VirstorError} `not-found`, `io`.
 */
export function identityAt(path: string): string {
  return isUri(path) ? path : fileIdentity(path);
}

/**
 * Notes that a change has taken effect. `ComponentDevice.behind` tells whether it
 * is complete: look at it before the change is acknowledged.
 *
 * @param pending What the component's device returned for a write, a discard or
 *   zeroes.
 */
export function applied(pending: Completion): void {
  pending?.catch(() => {});
}

/**
 * Asserts that a component has finished a read at once.
 *
 * @param pending What the component's device returned.
 */
export function finished(pending: Completion): void {
  // Else its failure, later, would be the end of the process.
  pending?.catch(() => {});
  assert(pending === undefined, "this component finishes reads at once");
}

/**
 * Waits until what was done to components so far is complete.
 *
 * @param components The components.
 * @returns Undefined if it is; else rejects if a part of it never will be.
 */
export function caughtUp(
  components: Iterable<{ readonly device: ComponentDevice }>,
): Completion {
  return joinParts(components, ({ device }) => device.behind);
}
