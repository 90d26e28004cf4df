/**
 * Zeroing by writing zeroes, where no hole can be punched.
 *
 * @module
 */

import { type BlockDevice, type Completion, turns } from "../block/mod.ts";

/** Bytes of one write of zeroes. */
const PIECE_BYTES = 1 << 20;
/** Zero bytes that are written in one turn of the event loop. */
const TURN_BYTES = 4 << 20;

const zeroes = new Uint8Array(PIECE_BYTES);

/**
 * Writes zeroes.
 *
 * @param device The device, whose writes are done at once.
 * @param offset First byte of the range.
 * @param length Bytes of the range.
 * @returns A promise if the range takes more than one turn of the event loop.
 */
export function zeroByWriting(
  device: BlockDevice,
  offset: number,
  length: number,
): Completion {
  if (length > TURN_BYTES) return writeInTurns(device, offset, length);
  writePieces(device, offset, length);
  return undefined;
}

function writePieces(
  device: BlockDevice,
  offset: number,
  length: number,
): void {
  for (let done = 0; done < length; done += PIECE_BYTES) {
    const piece = Math.min(PIECE_BYTES, length - done);
    device.write(zeroes.subarray(0, piece), offset + done);
  }
}

async function writeInTurns(
  device: BlockDevice,
  offset: number,
  length: number,
): Promise<void> {
  for (let done = 0; done < length; done += TURN_BYTES) {
    writePieces(device, offset + done, Math.min(TURN_BYTES, length - done));
    await turns.next(device);
  }
}
