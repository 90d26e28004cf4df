/**
 * Flushes of the far side. One runs at a time; those that arrive meanwhile share
 * the next one.
 *
 * A flush writes the flush mark to the far side while the journal drains, and
 * then flushes the far side: so that has the mark and what it covers, durably,
 * at the end. If this machine loses its power, the mark shows whether the journal
 * still has all of that; if not, it is not replayed (`flush_mark.ts`).
 *
 * A component without an owner has no mark. There a flush makes the journal
 * durable, too. A failed flush is final.
 *
 * @module
 */

import { asVirstorError, type VirstorError } from "../../errors.ts";
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
  readonly owner: Pick<FarOwner, "flushed" | "mark"> | undefined;
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
  const { journal, drain, owner, onFailure } = options;
  const { last } = journal;
  try {
    // With a mark, a power cut may leave the journal behind the far side.
    const synced = owner === undefined ? journal.sync() : undefined;
    const marked = owner?.mark(last.sequence);
    // They are awaited below; until then they may fail unseen.
    synced?.catch(() => {});
    marked?.catch(() => {});
    await drain.upTo(last.sequence);
    await flushFar(options, last.sequence, marked);
    await synced;
  } catch (error) {
    const failure = asVirstorError(error);
    onFailure(failure);
    throw failure;
  }
  journal.release(last);
  // The space of a journal that flushes make durable is freed there.
  if (owner === undefined) return;
  journal.tidy()?.catch((error) => onFailure(asVirstorError(error)));
}

async function flushFar(
  { far, owner, drain }: FarFlushOptions,
  sequence: number,
  first: Promise<void> | undefined,
): Promise<void> {
  const flush = () => far.flush();
  let marked = first;
  for (let tries = 0;; tries++) {
    try {
      await marked;
      await (owner === undefined ? flush() : owner.flushed(flush, sequence));
      return;
    } catch (error) {
      await drain.backOff(tries, error);
    }
    marked = owner?.mark(sequence);
  }
}
