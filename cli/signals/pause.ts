/**
 * A wait that a signal ends.
 *
 * @module
 */

/**
 * Waits, or returns early when the signal is aborted.
 *
 * @param ms How long, milliseconds.
 * @param signal Ends the wait, also if it was aborted before.
 */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const end = Promise.withResolvers<void>();
  const timer = setTimeout(end.resolve, ms);
  const abort = () => end.resolve();
  signal.addEventListener("abort", abort, { once: true });
  await end.promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", abort);
}
