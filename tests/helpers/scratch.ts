/**
 * Scratch directories and small pools for tests.
 *
 * @module
 */

import type {
  LabelOptions,
  Pool,
  PoolEvent,
  PoolOptions,
} from "../../pool/mod.ts";
import { labelPool, openPool } from "../../pool/mod.ts";

/** 1 KiB. */
export const KIB = 1024;
/** 1 MiB. */
export const MIB = 1024 * KIB;
/** The chunk size of small pools: the smallest there is. */
export const SMALL_CHUNK: number = 128 * KIB;

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
 * Labels and opens a pool of 1 MiB components with 128 KiB chunks: the first
 * has 5 chunks for data (2 hold the map), each other one 7.
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
  await labelPool({
    name: "small",
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
  const bytes = new Uint8Array(length);
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
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
  device: Pick<Pool, "read">,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const target = new Uint8Array(length).fill(0xaa);
  await device.read(target, offset);
  return target;
}
