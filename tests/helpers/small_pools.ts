/**
 * Small pools for tests that make many of them: fast files, their contents, and
 * their refusals.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { type ErrorCode, VirstorError } from "../../errors.ts";
import { checkComponents, type FormatName, type Pool } from "../../pool/mod.ts";
import { assertFreebsd } from "./freebsd_checker.ts";
import {
  FORMATS,
  makeScratch,
  pattern,
  type Scratch,
  SMALL_CHUNK,
} from "./scratch.ts";
import { eventually } from "./patience.ts";

/** Memory as a file system, on Linux: a flush costs nothing there. */
const MEMORY = "/dev/shm";

/**
 * Makes a scratch directory in memory, where there is such a thing.
 *
 * @returns The directory; it is removed when disposed of.
 */
export async function makeQuickScratch(): Promise<Scratch> {
  let path: string;
  try {
    path = await Deno.makeTempDir({ dir: MEMORY, prefix: "virstor-test-" });
  } catch {
    return await makeScratch();
  }
  return {
    path,
    file: (name) => `${path}/${name}`,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/**
 * Makes a sparse file.
 *
 * @param path Where.
 * @param size Bytes.
 * @returns The path.
 */
export function makeSparse(path: string, size: number): string {
  Deno.writeFileSync(path, new Uint8Array(0));
  Deno.truncateSync(path, size);
  return path;
}

/** What a virtual disk holds: virtual chunk to the bytes of all of it. */
export type Content = Map<number, Uint8Array>;

/**
 * Writes to a chunk that is not mapped yet, and notes what it holds then.
 *
 * @param pool The pool.
 * @param content What is noted.
 * @param virtualChunk Which chunk.
 * @param bytes What is written from its start; the rest stays zeroes.
 */
export async function writeChunk(
  pool: Pool,
  content: Content,
  virtualChunk: number,
  bytes: Uint8Array = chunkBytes(virtualChunk + 1),
): Promise<void> {
  await pool.volume().write(bytes, virtualChunk * SMALL_CHUNK);
  const chunk = new Uint8Array(SMALL_CHUNK);
  chunk.set(bytes);
  content.set(virtualChunk, chunk);
}

/**
 * Fails unless a disk holds what it should, and zeroes everywhere else.
 *
 * @param pool The pool.
 * @param content What it should hold.
 */
export async function assertContent(
  pool: Pool,
  content: Content,
): Promise<void> {
  const zeroes = new Uint8Array(SMALL_CHUNK);
  const bytes = new Uint8Array(SMALL_CHUNK);
  const volume = pool.volume();
  for (let v = 0; v < volume.size / SMALL_CHUNK; v++) {
    const wanted = content.get(v) ?? zeroes;
    // A read that fills too little leaves these.
    bytes.fill(0xa5);
    const reading = volume.read(bytes, v * SMALL_CHUNK);
    if (reading !== undefined) await reading;
    // An assertion on arrays would look at each byte by itself.
    if (Buffer.compare(bytes, wanted) === 0) continue;
    throw new Error(`Virtual chunk ${v} does not hold what was written`);
  }
}

/**
 * Fails unless a stopped pool is sound: for our own check, and for FreeBSD if
 * it is of its format.
 *
 * @param format The pool's format.
 * @param paths All its components.
 */
export async function assertSound(
  format: FormatName,
  paths: readonly string[],
): Promise<void> {
  assertEquals((await checkComponents(paths)).findings, []);
  if (format === "freebsd") assertFreebsd(paths);
}

/**
 * Registers a test of something that pools of both formats do.
 *
 * @param title What they do.
 * @param test Finds out, for one format.
 * @param register Registers the test.
 */
export function testFormats(
  title: string,
  test: (format: FormatName) => Promise<void>,
  register: (name: string, fn: () => Promise<void>) => void = Deno.test,
): void {
  for (const format of FORMATS) {
    register(`${title} (${format})`, () => test(format));
  }
}

const patterns = new Map<number, Uint8Array>();

/**
 * The bytes that a chunk holds.
 *
 * @param seed The seed of its pattern.
 * @returns The bytes; made once only, not to be changed.
 */
export function chunkBytes(seed: number): Uint8Array {
  let bytes = patterns.get(seed);
  if (bytes === undefined) {
    bytes = pattern(SMALL_CHUNK, seed);
    patterns.set(seed, bytes);
  }
  return bytes;
}

/**
 * Fails unless something is refused in one line that says what it should.
 *
 * @param act What should be refused.
 * @param code The code of the refusal.
 * @param parts What the message should contain.
 * @returns The error.
 */
export async function assertRefused(
  act: () => Promise<unknown>,
  code: ErrorCode,
  ...parts: string[]
): Promise<VirstorError> {
  const error = await assertRejects(act, VirstorError);
  assertEquals([error.code, error.message], [code, error.message]);
  for (const part of parts) {
    assert(
      error.message.includes(part),
      `"${error.message}" should contain "${part}"`,
    );
  }
  assert(!error.message.includes("\n"), "a message is one line");
  assert(/^[A-Z]/.test(error.message), "a message begins with a capital");
  assert(!error.message.endsWith("."), "a message ends without a period");
  return error;
}

/**
 * Waits until something is as it should be; fails after a long time.
 *
 * @param isSo Whether it is.
 */
export function until(isSo: () => boolean): Promise<void> {
  return eventually(`${isSo}`, isSo);
}

/**
 * Numbers that look random and are the same in each run.
 *
 * @param seed Where they start.
 * @returns A function that gives the next one, 0 to 1.
 */
export function randomOf(seed: number): () => number {
  let state = Math.imul(seed + 1, 2_654_435_761) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
