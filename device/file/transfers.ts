/**
 * Whole reads and writes of a descriptor, at once: on the way that costs least,
 * and where that does not do all of it, on the one that tells why.
 *
 * @module
 */

import fs from "node:fs";
import { readNatively, writeNatively } from "../linux/mod.ts";

/**
 * Fills `target`.
 *
 * @param descriptor An open descriptor.
 * @param target Where the bytes go.
 * @param offset The first byte.
 * @param native Whether native calls may be used.
 * @throws {Error} What the system said; also if the file ends before.
 */
export function readWhole(
  descriptor: number,
  target: Uint8Array,
  offset: number,
  native: boolean,
): void {
  if (native && readNatively(descriptor, target, offset)) return;
  const { length } = target;
  for (let done = 0; done < length;) {
    const rest = length - done;
    const at = offset + done;
    const count = fs.readSync(descriptor, target, done, rest, at);
    if (count === 0) throw new Error("the file ends before");
    done += count;
  }
}

/**
 * Writes all of `source`.
 *
 * @param descriptor An open descriptor.
 * @param source The bytes.
 * @param offset The first byte.
 * @param native Whether native calls may be used.
 * @throws {Error} What the system said; some bytes may be written.
 */
export function writeWhole(
  descriptor: number,
  source: Uint8Array,
  offset: number,
  native: boolean,
): void {
  if (native && writeNatively(descriptor, source, offset)) return;
  const { length } = source;
  for (let done = 0; done < length;) {
    const rest = length - done;
    const at = offset + done;
    done += fs.writeSync(descriptor, source, done, rest, at);
  }
}
