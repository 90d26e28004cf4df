/**
 * Flushes of the far side. One runs at a time; those that arrive meanwhile share
 * the next one.
 *
 * A flush makes the journal durable while it drains, and ends when both are
 * done and the far side has flushed. A failed flush is final.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";
import type { Drain } from "./drain.ts";
import type { FarDisk } from "./far_disk.ts";
import type { FarOwner } from "./far_owner.ts";
import { FlushTurns } from "./flush_turns.ts";
import type { Journal } from "./journal.ts";

/** What a flush needs. */
export interface FarFlushOptions {
  /** The far side. */
  readonly far: Pick<FarDisk, "flush">;
  /** Its ownership, if it has one. */
  readonly owner: Pick<FarOwner, "flushed"> | undefined;
  /** The journal. */
  readonly journal: Journal;
  /** Brings the records to the far side. */
  readonly drain: Drain;
  /** Called when a flush has failed. */
  readonly onFailure: (error: VirstorError) => void;
}

/**
 * Prepares the flushes of the far side: each makes what the journal has durable
 * there.
 *
 * @param options What they need.
 * @returns The flushes; they fail with `io`, for good.
 */
export function farFlushes(options: FarFlushOptions): FlushTurns {
  return new FlushTurns(() => flushOnce(options));
}

async function flushOnce(options: FarFlushOptions): Promise<void> {
  const { journal, drain, onFailure } = options;
  const { last } = journal;
  try {
    const synced = journal.sync();
    // It is awaited below; until then it may fail unseen.
    synced.catch(() => {});
    await drain.upTo(last.sequence);
    await flushFar(options);
    await synced;
  } catch (error) {
    const failure = error instanceof VirstorError
      ? error
      : new VirstorError("io", messageOf(error), { cause: error });
    onFailure(failure);
    throw failure;
  }
  journal.release(last);
}

async function flushFar(
  { far, owner, drain }: FarFlushOptions,
): Promise<void> {
  const flush = () => far.flush();
  for (let tries = 0;; tries++) {
    try {
      await (owner === undefined ? flush() : owner.flushed(flush));
      return;
    } catch (error) {
      await drain.backOff(tries, error);
    }
  }
}
