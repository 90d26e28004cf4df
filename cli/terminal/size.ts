/**
 * Reads and writes sizes and spans of time as text.
 *
 * @module
 */

import { inBytes, VirstorError } from "../../errors.ts";
import { UsageError } from "./usage_error.ts";

/** The units, each 1024 times the one before. */
const UNITS = ["", "K", "M", "G", "T", "P"];

/**
 * Reads a size: a whole or decimal number with an optional suffix `K`, `M`,
 * `G`, `T` or `P` (powers of 1024, upper or lower case, also `KiB` or `kB`).
 * Without a suffix, or with `B`, it is bytes.
 *
 * @param text For instance `512`, `4M`, `1.5GiB`.
 * @param what What the size is of, for the error message.
 * @returns Bytes, a whole number from 0 to 2^53.
 * @throws {UsageError} If it is no size, or no whole number of bytes.
 * @throws {VirstorError} `invalid` if it is above 2^53, the most that virstor
 *   counts with.
 */
export function parseSize(text: string, what: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGTP]?)(?:I?B)?$/i.exec(text.trim());
  const [, digits = "", unit = ""] = match ?? [];
  // "1iB" is no unit.
  if (match === null || (unit === "" && /i/i.test(text))) {
    throw new UsageError(
      `Cannot read ${what} "${text}": a size is a number with an optional ` +
        `suffix K, M, G, T or P`,
      "For instance 512M, 1.5G or 2TiB",
    );
  }
  const bytes = Number(digits) * 1024 ** UNITS.indexOf(unit.toUpperCase());
  if (bytes > 2 ** 53) {
    throw new VirstorError(
      "invalid",
      `Cannot use ${what} "${text}": the most is 8P (2^53 bytes)`,
    );
  }
  if (!Number.isInteger(bytes)) {
    throw new UsageError(
      `Cannot use ${what} "${text}": it is not a whole number of bytes`,
    );
  }
  return bytes;
}

/**
 * Formats a size with the largest unit that leaves a number of at least 1, and
 * with at most two decimals, rounded down.
 *
 * @param bytes Bytes, at least 0.
 * @returns For instance `512 B`, `4 MiB`, `1.86 TiB`.
 */
export function formatSize(bytes: number): string {
  let rest = bytes;
  let unit = 0;
  while (rest >= 1024 && unit < UNITS.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  if (unit === 0) return `${bytes} B`;
  return `${Math.floor(rest * 100) / 100} ${UNITS[unit]}iB`;
}

/**
 * Formats a size to the byte.
 *
 * @param bytes Bytes, at least 0.
 * @returns For instance `4194304 bytes (4 MiB)`.
 */
export function exactSize(bytes: number): string {
  return `${inBytes(bytes)} (${formatSize(bytes)})`;
}

/**
 * Formats a span of time, rounded down.
 *
 * @param seconds Seconds, at least 0.
 * @returns For instance `0.3 s`, `42 s`, `5 min 2 s`, `3 h 4 min`.
 */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${Math.floor(seconds * 10) / 10} s`;
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole % 3600 / 60)} min`;
}
