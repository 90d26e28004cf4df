/**
 * A minimum of free space as text: a size, or percent of all.
 *
 * @module
 */

import type { SpaceMark } from "../../pool/mod.ts";
import { formatSize, parseSize, UsageError } from "../terminal/mod.ts";

const PERCENT = /^(\d+(?:\.\d+)?)%$/;

/**
 * Reads a minimum of free space.
 *
 * @param text For instance `10%` or `50G`.
 * @param name The name of the option or setting, for the error message.
 * @returns The minimum.
 * @throws {UsageError} If it is neither a size nor up to 100%.
 * @throws {VirstorError} `invalid` if the size is above 2^53.
 */
export function parseSpaceMark(text: string, name: string): SpaceMark {
  const [, percent] = PERCENT.exec(text) ?? [];
  if (percent === undefined) {
    return { bytes: parseSize(text, name), percent: 0 };
  }
  if (Number(percent) <= 100) return { bytes: 0, percent: Number(percent) };
  throw new UsageError(`${name} takes up to 100%, not ${text}`);
}

/**
 * Formats a minimum of free space.
 *
 * @param mark The minimum.
 * @returns For instance `10%`, `50 GiB`, or `0` for none.
 */
export function spaceMarkText({ bytes, percent }: SpaceMark): string {
  if (percent > 0) return `${percent}%`;
  return bytes > 0 ? formatSize(bytes) : "0";
}
