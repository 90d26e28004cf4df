/**
 * Judges what a server has answered to a conversation, mutated or not.
 *
 * @module
 */

import { check, Cursor, EndOfBytes } from "./cursor.ts";
import type { Transcript } from "./delivery.ts";
import { HandshakeJudge } from "./judge_handshake.ts";
import { type Exchange, judgeRequests } from "./judge_requests.ts";

/**
 * Judges a transcript. What was not received is not judged, unless all was to
 * be received.
 *
 * @param transcript What was said.
 * @returns The requests that were answered, in the order of the replies.
 * @throws {Error} If an answer is wrong, or missing.
 */
export async function judge(
  { sent, received, complete }: Transcript,
): Promise<readonly Exchange[]> {
  const out = new Cursor(sent);
  const back = new Cursor(received);
  let exchanges: readonly Exchange[] = [];
  try {
    const agreement = new HandshakeJudge(out, back).judge();
    if (agreement !== undefined) {
      const verdict = await judgeRequests(out, back, agreement);
      exchanges = verdict.exchanges;
      check(!complete || verdict.complete, "requests have no answer");
    }
  } catch (error) {
    if (!(error instanceof EndOfBytes)) throw error;
    check(!complete, "an answer is missing");
  }
  check(!complete || back.left === 0, `${back.left} bytes answer nothing`);
  return exchanges;
}
