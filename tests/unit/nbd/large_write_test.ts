/**
 * Goal: a long WRITE reaches the disk in pieces as large as the receive buffer,
 * and no wait for more bytes lasts for ever. Method: the rule itself, with
 * bytes that come in portions of any size into a buffer that is full at last.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { pieceLength } from "../../../nbd/server/transmission/large_write.ts";
import { WRITE_PIECE_SIZE } from "../../../nbd/wire/limits.ts";

/** Lengths of the pieces of a write. */
function piecesOf(offset: number, length: number, portion: number): number[] {
  const pieces: number[] = [];
  let [at, rest, available, sent] = [offset, length, 0, 0];
  while (rest > 0) {
    const piece = pieceLength(at, rest, available);
    if (piece === 0) {
      const room = WRITE_PIECE_SIZE - available;
      const count = Math.min(portion, room, length - sent);
      assert(count > 0, "there is room for what is waited for");
      sent += count;
      available += count;
      continue;
    }
    pieces.push(piece);
    at += piece;
    rest -= piece;
    available -= piece;
  }
  return pieces;
}

Deno.test("a long WRITE is taken in whole pieces of the disk", () => {
  const whole = WRITE_PIECE_SIZE;
  for (const portion of [1000, 65_536, whole]) {
    assertEquals(piecesOf(0, 4 * whole, portion), Array(4).fill(whole));
    const pieces = piecesOf(5000, 3 * whole, portion);
    assertEquals(pieces, [whole - 5000, whole, whole, 5000]);
  }
});
