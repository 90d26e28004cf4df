/**
 * Joins the parts of one request.
 *
 * @module
 */

import type { Completion } from "./block_device.ts";

/** Options of {@linkcode joinParts}. */
export interface JoinOptions {
  /**
   * Whether the request fails as soon as one part fails, while others may be in
   * flight. *Requires:* no part uses memory of the caller. Default: false.
   */
  readonly failsFast?: boolean;
}

/**
 * Starts the parts of a request, and joins their completions to one. Use
 * nothing else to combine completions.
 *
 * *Ensures:* no rejection stays unhandled, even if a part throws while others
 * are in flight. The request does not end before its last part, which may still
 * use the caller's buffer (unless `failsFast`).
 *
 * @param parts The parts, in the order of their start. After a part has thrown,
 *   no further part is started.
 * @param start Starts one part. It may throw.
 * @param options When the request fails: after its last part by default.
 * @returns `undefined` if all parts are done. Otherwise a promise that settles
 *   once every part that was started has ended, and rejects with the error
 *   that came first.
 * @throws What `start` throws, if no part is in flight by then.
 */
export function joinParts<Part>(
  parts: Iterable<Part>,
  start: (part: Part) => Completion,
  { failsFast = false }: JoinOptions = {},
): Completion {
  const inFlight: Promise<void>[] = [];
  let failure: { readonly error: unknown } | undefined;
  const noteFailure = (error: unknown) => {
    failure ??= { error };
  };
  try {
    for (const part of parts) {
      const completion = start(part);
      // Each rejection has its handler before the next part is started.
      completion?.catch(noteFailure);
      if (completion !== undefined) inFlight.push(completion);
    }
  } catch (error) {
    if (failsFast || inFlight.length === 0) throw error;
    noteFailure(error);
  }
  if (inFlight.length === 0) return undefined;
  // deno-lint-ignore virstor/joined-parts
  if (failsFast) return Promise.all(inFlight).then(() => undefined);
  return Promise.allSettled(inFlight).then(() => {
    if (failure !== undefined) throw failure.error;
  });
}
