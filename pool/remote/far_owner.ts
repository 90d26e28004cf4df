/**
 * The ownership of a remote component, so that two processes never write to one
 * far side: NBD has no locks. It works as the multi-mount protection of ext4.
 *
 * The owner rewrites its block twice in each interval, and looks first whether
 * the block is still its own. A process that finds a component in use watches
 * the block for two intervals. The owner sends nothing unless it has seen its
 * block within the last interval, so it stops before another process goes on,
 * however long it was suspended or cut off.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";
import { type ErrorCode, messageOf, VirstorError } from "../../errors.ts";
import {
  decodeFlushMark,
  decodeOwnerBlock,
  encodeFlushMark,
  encodeOwnerBlock,
  FLUSH_MARK_SIZE,
  flushMarkPosition,
  OWNER_BLOCK_ROOM,
  OWNER_BLOCK_SIZE,
  type OwnerBlock,
  ownerBlockPosition,
} from "../../metadata/journal/mod.ts";
import { OwnerBusyError } from "../core/mod.ts";
import type { Span } from "./journal_record.ts";
import { type OwnedDisk, readOwnerBlock } from "./owner_block.ts";
import { Signal } from "./signal.ts";

/** So often in a row the far disk may refuse to show its block. */
const REFUSALS_MAX = 5;
/** Milliseconds that giving up a component may take, at most. */
const RELEASE_MS = 5000;

/**
 * Watches a component that another opening has not given up.
 *
 * @param path The path of the component, for messages.
 * @param far The far disk.
 * @param block Its owner block.
 * @param signal Ends the watch.
 * @throws {VirstorError} `busy` if the owner is alive; the reason of the signal.
 */
export async function watchOwner(
  path: string,
  far: OwnedDisk,
  block: OwnerBlock,
  signal?: AbortSignal,
): Promise<void> {
  await pause(2 * block.intervalMs, signal);
  signal?.throwIfAborted();
  const now = await readOwnerBlock(far);
  if (now?.ownerUuid === block.ownerUuid && now.beat === block.beat) return;
  throw new OwnerBusyError(
    `Cannot open "${path}": it is in use on ${hostOf(now ?? block)}`,
  );
}

/** The ownership of a far disk. */
export class FarOwner {
  /** The bytes of the component that the block takes. */
  readonly room: Span;
  /** Called once if another process has taken the component. */
  onLost: (error: VirstorError) => void = () => {};
  readonly #far: OwnedDisk;
  readonly #position: number;
  #block: OwnerBlock;
  /** The beat that the far side has for certain, also after a power cut. */
  #durableBeat = 0;
  /** The flush mark that it has for certain; undefined before a flush. */
  #durableMark: number | undefined;
  #seen: readonly [number, number] = [-Infinity, -Infinity];
  #looking: Promise<void> | undefined;
  #refusals = 0;
  #failure: VirstorError | undefined;
  #isGivenUp = false;
  readonly #ending = new Signal();
  #beating: Promise<void> | undefined;

  private constructor(far: OwnedDisk, block: OwnerBlock) {
    this.#far = far;
    this.#position = ownerBlockPosition(far.size);
    this.#block = block;
    const start = this.#position;
    this.room = { start, end: start + OWNER_BLOCK_ROOM };
  }

  /**
   * Takes a component, durably.
   *
   * *Requires*: no other process owns it; what lies in its owner block is not
   * needed.
   *
   * @param far The far disk.
   * @param block The new block.
   * @param settles Whether to wait for an interval, and look whether another
   *   process has taken the component at the same time.
   * @param signal Ends that wait: then the component is given up again.
   * @returns The ownership.
   * @throws {VirstorError} `busy`, `io`; the reason of the signal.
   */
  static async take(
    far: OwnedDisk,
    block: OwnerBlock,
    settles: boolean,
    signal?: AbortSignal,
  ): Promise<FarOwner> {
    const owner = new FarOwner(far, block);
    const seen = clocks();
    await owner.#write(block, true);
    owner.#durableBeat = block.beat;
    if (settles) {
      await pause(block.intervalMs, signal);
      await owner.#look();
      if (owner.#failure !== undefined) throw owner.#failure;
      if (signal?.aborted === true) {
        await owner.end(true);
        throw signal.reason;
      }
    } else owner.#seen = seen;
    owner.#beating = owner.#beat();
    return owner;
  }

  /** The block, as it was written last. */
  get block(): OwnerBlock {
    return this.#block;
  }

  /**
   * To be called before each request to the far disk, and after each read.
   *
   * @returns A promise if the block has to be looked at first.
   * @throws {VirstorError} `busy` if another process has taken the component.
   */
  admit(): Completion {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isFresh) return undefined;
    return this.#lookUntilFresh();
  }

  /**
   * Looks no more: what waits to be admitted fails, and so does what comes later.
   *
   * @param error The error.
   */
  abandon(error: VirstorError): void {
    this.#failure ??= error;
    this.#ending.raise();
  }

  /**
   * Writes the flush mark, which a flush makes durable with what it covers.
   *
   * A mark that becomes durable before that does no harm: the journal has the
   * record, unless this machine loses its power.
   *
   * @param sequence The number of the last record that the flush covers.
   * @throws {VirstorError} `busy` if another process has taken the component,
   *   `io`.
   */
  async mark(sequence: number): Promise<void> {
    const pending = this.admit();
    if (pending !== undefined) await pending;
    const { componentUuid, ownerUuid, journalUuid, epoch } = this.#block;
    const mark = { componentUuid, ownerUuid, journalUuid, epoch, sequence };
    const position = flushMarkPosition(this.#far.size);
    await this.#far.write(encodeFlushMark(mark, position), position);
  }

  /**
   * Flushes the far disk, which has the block durably then, as it was before,
   * and the flush mark. *Requires*: the mark is written.
   *
   * @param flush Flushes it.
   * @param sequence The number in the mark.
   */
  async flushed(flush: () => Completion, sequence: number): Promise<void> {
    const { beat } = this.#block;
    await flush();
    this.#durableBeat = Math.max(this.#durableBeat, beat);
    this.#durableMark = sequence;
  }

  /**
   * Identifies the far disk after a reconnect, for `NbdDisk`.
   *
   * @param read Reads from the new connection.
   * @returns "" if the component is still owned by this opening; else what lies
   *   there in its place.
   * @throws {VirstorError} `busy` if another process has taken the component.
   */
  async identify(
    read: (offset: number, length: number) => Promise<Uint8Array>,
  ): Promise<string> {
    const length = OWNER_BLOCK_SIZE + FLUSH_MARK_SIZE;
    const bytes = await read(this.#position, length);
    const sector = bytes.subarray(0, OWNER_BLOCK_SIZE);
    const block = decodeOwnerBlock(sector, this.#position);
    if (typeof block === "string") return `no component: ${block}`;
    if (block.ownerUuid === this.#block.ownerUuid) {
      // What was flushed since that state is in no journal any more.
      const mark = bytes.subarray(OWNER_BLOCK_SIZE);
      return block.beat < this.#durableBeat || this.#isOlder(mark)
        ? "an older state of this component"
        : "";
    }
    const text = `in use on ${hostOf(block)}`;
    if (block.componentUuid !== this.#block.componentUuid) {
      return `another component, ${text}`;
    }
    throw new VirstorError("busy", `The component is ${text}`);
  }

  /**
   * Ends the ownership.
   *
   * @param isComplete Whether the far disk has everything, durably: then the
   *   component is given up, and any journal may follow.
   * @returns Whether it is given up, durably.
   */
  async end(isComplete: boolean): Promise<boolean> {
    this.#ending.raise();
    if (isComplete) {
      await this.#giveUpWithin(() =>
        encodeOwnerBlock({ ...this.#next(), isInUse: false }, this.#position)
      );
    }
    this.#failure ??= closedError();
    return this.#isGivenUp;
  }

  /**
   * Ends the ownership as if it had never been taken.
   *
   * *Requires*: nothing was written under it.
   *
   * @param before What the sector of the block held.
   * @returns Whether it holds that again, durably.
   */
  async undo(before: Uint8Array): Promise<boolean> {
    this.#ending.raise();
    await this.#giveUpWithin(() => before);
    this.#failure ??= closedError();
    return this.#isGivenUp;
  }

  /** Gives the component up, within a time. */
  async #giveUpWithin(sector: () => Uint8Array): Promise<void> {
    const done = new Signal();
    // If it fails, the next opening watches the block before it goes on.
    this.#giveUp(sector).then(() => done.raise(), () => done.raise());
    await done.nextWithin(RELEASE_MS);
  }

  /**
   * Writes the sector of the block for the last time, if the component is still
   * our own: after a suspension, or a clock that was set, another process may
   * own it.
   */
  async #giveUp(sector: () => Uint8Array): Promise<void> {
    // A look in flight would write a block that is in use behind this one.
    while (this.#looking !== undefined || !this.#isFresh) {
      if (this.#failure !== undefined) return;
      await this.#look();
    }
    if (this.#failure !== undefined) return;
    // From here on nothing looks.
    this.#failure = closedError();
    await this.#far.write(sector(), this.#position, { fua: true });
    this.#isGivenUp = true;
  }

  /** Waits until nothing is in flight. *Requires*: the far disk is closed. */
  async settled(): Promise<void> {
    await this.#looking;
    await this.#beating;
  }

  /** Whether a sector holds another mark than the last durable one, or later. */
  #isOlder(sector: Uint8Array): boolean {
    if (this.#durableMark === undefined) return false;
    const mark = decodeFlushMark(sector, flushMarkPosition(this.#far.size));
    return typeof mark === "string" ||
      mark.ownerUuid !== this.#block.ownerUuid ||
      mark.sequence < this.#durableMark;
  }

  get #isFresh(): boolean {
    return this.#isWithinInterval(this.#seen);
  }

  #isWithinInterval(since: readonly [number, number]): boolean {
    const { intervalMs } = this.#block;
    // The monotonic clock stands still while the machine is suspended.
    return performance.now() - since[0] < intervalMs &&
      Math.abs(Date.now() - since[1]) < intervalMs;
  }

  async #lookUntilFresh(): Promise<void> {
    while (!this.#isFresh) {
      await this.#look();
      if (this.#failure !== undefined) throw this.#failure;
    }
  }

  /** Rewrites the block twice in each interval, until the end. */
  async #beat(): Promise<void> {
    while (this.#failure === undefined) {
      await this.#ending.nextWithin(this.#block.intervalMs / 2);
      if (this.#failure === undefined) await this.#look();
    }
  }

  #look(): Promise<void> {
    this.#looking ??= this.#lookNow().finally(() => this.#looking = undefined);
    return this.#looking;
  }

  /** Looks whether the block is still our own, and rewrites it. Never fails. */
  async #lookNow(): Promise<void> {
    const seen = clocks();
    try {
      const block = await readOwnerBlock(this.#far);
      if (this.#failure !== undefined) return;
      if (block?.ownerUuid !== this.#block.ownerUuid) {
        this.#lose(
          block === undefined
            ? "its owner block is gone: the far side has lost what was " +
              "written there, or another program has overwritten it"
            : `another process has taken it, on ${hostOf(block)}`,
        );
        return;
      }
      // After a stall another process may have taken it since.
      if (!this.#isWithinInterval(seen)) return;
      const next = this.#next();
      await this.#write(next, false);
      this.#block = next;
      this.#seen = seen;
      this.#refusals = 0;
    } catch (error) {
      if (this.#failure !== undefined) return;
      // A far disk that is away does not refuse: it lets the request wait.
      this.#refusals += 1;
      const isDamaged = error instanceof VirstorError &&
        error.code === "corrupt";
      if (isDamaged || this.#refusals > REFUSALS_MAX) {
        this.#lose(messageOf(error), isDamaged ? "corrupt" : "io");
      } else await this.#ending.nextWithin(this.#block.intervalMs / 10);
    }
  }

  #lose(reason: string, code: ErrorCode = "busy"): void {
    this.#failure = new VirstorError(
      code,
      `Cannot write to the component any more: ${reason}`,
    );
    this.onLost(this.#failure);
  }

  #next(): OwnerBlock {
    return { ...this.#block, beat: this.#block.beat + 1 };
  }

  async #write(block: OwnerBlock, fua: boolean): Promise<void> {
    const bytes = encodeOwnerBlock(block, this.#position);
    await this.#far.write(bytes, this.#position, { fua });
  }
}

/** The time by the monotonic clock and by the wall clock, milliseconds. */
function clocks(): readonly [number, number] {
  return [performance.now(), Date.now()];
}

function closedError(): VirstorError {
  return new VirstorError("io", "The component is closed");
}

function hostOf({ host }: OwnerBlock): string {
  return host === "" ? "another host" : `host "${host}"`;
}

/** Waits for a time, or until the signal comes. */
function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, signal?.aborted === true ? 0 : ms);
    signal?.addEventListener("abort", end);
  });
}
