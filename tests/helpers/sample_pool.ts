/**
 * A pool for tests that damage it, with the expected findings of a check.
 *
 * @module
 */

import { assert } from "@std/assert";
import { type Finding, labelPool, openPool } from "../../pool/mod.ts";
import { assertFreebsd } from "./freebsd_checker.ts";
import { MIB, type Scratch, SMALL_CHUNK } from "./scratch.ts";
import { type Content, writeChunk } from "./small_pools.ts";
import { Snapshot } from "./stopping_device.ts";

/**
 * A pool of format 1 of a, b and c: a is full, b holds three chunks, c none.
 */
export interface Sample {
  /** Where it is. */
  readonly scratch: Scratch;
  /** Its components. */
  readonly paths: string[];
  /** What it holds. */
  readonly content: Content;
  /** Its files as they are when it is stopped. */
  readonly sound: Snapshot;
}

/**
 * Makes a sample pool.
 *
 * @param scratch Where.
 * @returns The pool, stopped.
 */
export async function makeSample(scratch: Scratch): Promise<Sample> {
  const paths = ["a", "b", "c"].map(scratch.file);
  await labelPool({
    name: "demo",
    format: "freebsd",
    paths,
    createSize: MIB,
    chunkSize: SMALL_CHUNK,
    virtualSize: 64 * SMALL_CHUNK,
  });
  const content: Content = new Map();
  const pool = await openPool(paths);
  for (let i = 0; i < 8; i++) await writeChunk(pool, content, 3 + 7 * i);
  await pool.close();
  assertFreebsd(paths);
  return { scratch, paths, content, sound: new Snapshot(paths) };
}

/**
 * Fails unless a text contains another one.
 *
 * @param text The text.
 * @param part What it should contain.
 */
export function assertIncludes(text: string, part: string): void {
  assert(text.includes(part), `"${text}" should contain "${part}"`);
}

/**
 * Whether there is a file.
 *
 * @param path Where.
 * @returns Whether one is there, and is no directory.
 */
export function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/**
 * Fails unless a check has found damage.
 *
 * @param findings What it has found.
 * @param parts What the findings should say.
 */
export function assertDamage(
  findings: readonly Finding[],
  parts: readonly string[],
): void {
  const damage = findings.filter(({ severity }) => severity === "damage");
  assert(damage.length > 0, "a check finds the damage");
  const text = damage.map(({ what, where }) => `${what} "${where}"`).join("\n");
  for (const part of parts) {
    if (part === "check") continue;
    assertIncludes(text, part);
  }
}
