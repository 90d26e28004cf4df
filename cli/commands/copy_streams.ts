/**
 * Copies between disks and streams: standard input and output.
 *
 * @module
 */

import type { BlockDevice } from "../../device/block/mod.ts";
import { inBytes, VirstorError } from "../../errors.ts";
import { type CopyResult, inParallel, isZero } from "../../nbd/client/mod.ts";

/** Bytes of a piece. */
const PIECE_SIZE = 256 * 1024;
/** Pieces in flight at once. */
const PIECES_MAX = 16;

/**
 * Writes all of a disk to a stream.
 *
 * @param source The disk.
 * @param write Writes bytes; it may write a part and return how many.
 * @param onProgress Called with the bytes that were written so far.
 * @returns What was copied.
 */
export async function copyToStream(
  source: BlockDevice,
  write: (bytes: Uint8Array) => Promise<number>,
  onProgress: (done: number) => void,
): Promise<CopyResult> {
  const ahead: Promise<Uint8Array>[] = [];
  let next = 0;
  const readNext = () => {
    const piece = new Uint8Array(Math.min(PIECE_SIZE, source.size - next));
    const reading = Promise.resolve(source.read(piece, next));
    const read = reading.then(() => piece);
    // Its place in the order tells when it fails.
    read.catch(() => {});
    ahead.push(read);
    next += piece.length;
  };
  let done = 0;
  while (done < source.size) {
    while (ahead.length < PIECES_MAX && next < source.size) readNext();
    let rest = await ahead.shift() ?? new Uint8Array();
    while (rest.length > 0) {
      const count = await write(rest);
      rest = rest.subarray(count);
      done += count;
    }
    onProgress(done);
  }
  return { data: done, zeroes: 0 };
}

/**
 * Writes all of a stream to the beginning of a disk. Pieces of zeroes become
 * holes where the disk has them.
 *
 * @param read Reads into a buffer; returns how many bytes, `null` at the end.
 * @param target The disk.
 * @param onProgress Called with the bytes that were written so far.
 * @returns What was copied.
 * @throws {VirstorError} `invalid` if the stream is longer than the disk.
 */
export async function copyFromStream(
  read: (target: Uint8Array) => Promise<number | null>,
  target: BlockDevice,
  onProgress: (done: number) => void,
): Promise<CopyResult> {
  const result = { data: 0, zeroes: 0 };
  let offset = 0;
  async function* pieces(): AsyncGenerator<[Uint8Array, number]> {
    for (;;) {
      const piece = await readPiece(read);
      if (piece.length === 0) return;
      if (offset + piece.length > target.size) {
        throw new VirstorError(
          "invalid",
          "Cannot copy standard input: it is longer than the target, which " +
            `has ${inBytes(target.size)}`,
        );
      }
      yield [piece, offset];
      offset += piece.length;
    }
  }
  await inParallel(pieces(), PIECES_MAX, async ([piece, at]) => {
    if (isZero(piece)) {
      await target.writeZeroes(at, piece.length);
      result.zeroes += piece.length;
    } else {
      await target.write(piece, at);
      result.data += piece.length;
    }
    onProgress(result.data + result.zeroes);
  });
  await target.flush();
  return result;
}

/**
 * Writes all of a stream to a file, with holes for zeroes.
 *
 * @param read Reads into a buffer; returns how many bytes, `null` at the end.
 * @param file The file, empty.
 * @param onProgress Called with the bytes that were written so far.
 * @returns What was copied.
 */
export async function copyStreamToFile(
  read: (target: Uint8Array) => Promise<number | null>,
  file: Deno.FsFile,
  onProgress: (done: number) => void,
): Promise<CopyResult> {
  const result = { data: 0, zeroes: 0 };
  for (;;) {
    const piece = await readPiece(read);
    if (piece.length === 0) break;
    if (isZero(piece)) {
      await file.seek(piece.length, Deno.SeekMode.Current);
      result.zeroes += piece.length;
    } else {
      let rest = piece;
      while (rest.length > 0) rest = rest.subarray(await file.write(rest));
      result.data += piece.length;
    }
    onProgress(result.data + result.zeroes);
  }
  await file.truncate(result.data + result.zeroes);
  await file.sync();
  return result;
}

/** The next bytes of a stream, short only at its end. */
async function readPiece(
  read: (target: Uint8Array) => Promise<number | null>,
): Promise<Uint8Array<ArrayBuffer>> {
  const piece = new Uint8Array(PIECE_SIZE);
  let filled = 0;
  while (filled < piece.length) {
    const count = await read(piece.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return piece.subarray(0, filled);
}
