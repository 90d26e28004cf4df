/**
 * Flushes of a remote component: each covers all changes that came before it,
 * also those that wait for room in the journal. One runs at a time; those that
 * arrive meanwhile share the next one.
 *
 * While changes wait, the far side is flushed again and again to make room.
 * Such a flush covers only what the journal has, so the observer, which knows
 * of changes and not of the journal, does not hear of it.
 *
 * @module
 */

import type { FlushObserver } from "../../device/file/mod.ts";
import { FlushTurns } from "./flush_turns.ts";
import type { RoomQueue } from "./room_queue.ts";

/** What flushes of a remote component work with. */
export interface ComponentFlushOptions {
  /** Flushes what the journal has. */
  readonly far: Pick<FlushTurns, "flush">;
  /** The changes that wait for room. */
  readonly room: Pick<RoomQueue, "last">;
  /** Receives the beginning and the end of each flush. */
  readonly observer: () => FlushObserver | undefined;
}

/**
 * Prepares the flushes of a remote component: each makes all changes so far
 * durable on the far side.
 *
 * @param options What they work with.
 * @returns The flushes; they fail with `io`, for good.
 */
export function componentFlushes(options: ComponentFlushOptions): FlushTurns {
  return new FlushTurns(() => flushOnce(options));
}

async function flushOnce(
  { far, room, observer }: ComponentFlushOptions,
): Promise<void> {
  observer()?.flushBegins();
  // A change that fails has been seen by reads, and is not durable.
  const { last } = room;
  if (last !== undefined) await last;
  await far.flush();
  observer()?.flushEnds();
}
