/**
 * Scratch directories and small pools for tests.
 *
 * @module
 */

import type { BlockDevice } from "../../device/mod.ts";
import {
  type FormatName,
  type LabelOptions,
  labelPool,
  openPool,
  type Pool,
  type PoolEvent,
  type PoolOptions,
} from "../../pool/mod.ts";

/** 1 KiB. */
export const KIB = 1024;
/** 1 MiB. */
export const MIB = 1024 * KIB;
/** The chunk size of small pools: the smallest that both formats have. */
export const SMALL_CHUNK: number = 128 * KIB;
/** The formats, for tests of what every pool does. */
export const FORMATS: readonly FormatName[] = ["freebsd", "native"];

/** A directory that is gone after the test. */
export interface Scratch extends AsyncDisposable {
  /** Where it is. */
  readonly path: string;
  /** A path in it. */
  file(name: string): string;
}

/**
 * Makes a scratch directory.
 *
 * @returns The directory; it is removed when disposed of.
 */
export async function makeScratch(): Promise<Scratch> {
  const path = await Deno.makeTempDir({ prefix: "virstor-test-" });
  return {
    path,
    file: (name) => `${path}/${name}`,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/**
 * The size of a file on which some small chunks fit, and no more.
 *
 * @param format The pool's format.
 * @param chunks How many chunks.
 * @returns Bytes.
 */
export function componentSize(format: FormatName, chunks: number): number {
  // A sector for the label; or a page of the table and two superblocks.
  const rest = format === "freebsd" ? 512 : 3 * 4096 + 2 * 64 * KIB;
  return chunks * SMALL_CHUNK + rest;
}

/** A small pool on files. */
export interface SmallPool {
  /** Its components. */
  readonly paths: string[];
  /** The open pool. */
  readonly pool: Pool;
  /** What happened to it. */
  readonly events: PoolEvent[];
}

/**
 * Labels and opens a pool with 128 KiB chunks: the first component has 5 for
 * data, each other one 7. By default it is one of format 1, on files
 * of 1 MiB: the first component's other 2 chunks hold the map.
 *
 * @param scratch Where.
 * @param count How many components.
 * @param options How it is labelled and opened, where that is not as usual.
 * @returns The open pool.
 */
export async function openSmallPool(
  scratch: Scratch,
  count: number,
  options: Partial<LabelOptions> & PoolOptions = {},
): Promise<SmallPool> {
  const paths = Array.from({ length: count }, (_, i) => scratch.file(`c${i}`));
  if (options.format === "native" && options.createSize === undefined) {
    for (const [i, path] of paths.entries()) {
      // Those that are there are taken as they are.
      using file = Deno.openSync(path, { write: true, create: true });
      const size = componentSize("native", i === 0 ? 5 : 7);
      if (file.statSync().size === 0) file.truncateSync(size);
    }
  }
  await labelPool({
    name: "small",
    format: "freebsd",
    paths,
    createSize: MIB,
    chunkSize: SMALL_CHUNK,
    virtualSize: 64 * MIB,
    ...options,
  });
  const events: PoolEvent[] = [];
  const pool = await openPool(paths, {
    onEvent: (event) => events.push(event),
    ...options,
  });
  return { paths, pool, events };
}

/**
 * Bytes that tell where they belong: no two blocks of 512 are alike.
 *
 * @param length How many.
 * @param seed Tells patterns apart.
 * @returns The bytes.
 */
export function pattern(length: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    words[i] = state;
  }
  const bytes = new Uint8Array(words.buffer);
  return bytes.length === length ? bytes : bytes.slice(0, length);
}

/**
 * Reads from a device into a new array.
 *
 * @param device What to read from.
 * @param offset The first byte.
 * @param length How many.
 * @returns The bytes.
 */
export async function readBytes(
  device: Pick<BlockDevice, "read">,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const target = new Uint8Array(length).fill(0xaa);
  await device.read(target, offset);
  return target;
}

/**
 * Takes a file out of the page cache. What is not durable stays in it.
 *
 * @param path The file.
 */
export async function dropCache(path: string): Promise<void> {
  const { success } = await new Deno.Command("dd", {
    args: [`of=${path}`, "oflag=nocache", "conv=notrunc", "count=0"],
    stderr: "null",
  }).output();
  if (!success) throw new Error(`Cannot drop the cache of ${path}`);
}
