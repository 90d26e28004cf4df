/**
 * Goal: a long WRITE reaches the disk in pieces that end where large pages of
 * the page cache do, and no wait for more bytes lasts for ever. Method: the
 * rule itself, with bytes that come in portions of any size into a buffer that
 * is full at last.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { pieceLength } from "../../../nbd/server/transmission/large_write.ts";
import {
  RECEIVE_BUFFER_SIZE,
  WRITE_PIECE_SIZE,
} from "../../../nbd/wire/limits.ts";

/** Lengths of the pieces of a write. */
function piecesOf(offset: number, length: number, portion: number): number[] {
  const pieces: number[] = [];
  let [at, rest, available, sent] = [offset, length, 0, 0];
  while (rest > 0) {
    const piece = pieceLength(at, rest, available);
    if (piece === 0) {
      const room = RECEIVE_BUFFER_SIZE - available;
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
  for (const portion of [1000, 4096]) {
    assertEquals(piecesOf(0, 4 * whole, portion), Array(4).fill(whole));
    const pieces = piecesOf(5000, 3 * whole, portion);
    assertEquals(pieces, [whole - 5000, whole, whole, 5000]);
  }
});

Deno.test("a long WRITE is taken as it comes, but for the last bytes", () => {
  const [whole, most] = [WRITE_PIECE_SIZE, RECEIVE_BUFFER_SIZE];
  // What a Unix socket holds, a little more than three pieces.
  const held = 3 * whole + 10_000;
  assertEquals(piecesOf(0, 7 * whole, held), [3 * whole, 3 * whole, whole]);
  assertEquals(piecesOf(0, 3 * most, most), Array(3).fill(most));
});
