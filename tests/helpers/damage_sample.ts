/**
 * A pool of format 2 for tests that damage it. Its chunks have 4 KiB, so that
 * it is small and fast, and all three slots of every used page were written.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import {
  encodeSuperblock,
  nativeGeometry,
  type Superblock,
  superblockPosition,
} from "../../metadata/mod.ts";
import { type Finding, openPool, type Pool } from "../../pool/mod.ts";
import type { OpenDevice } from "../../pool/core/mod.ts";
import { PAGE_BYTES, SLOT_BYTES } from "./native_raw.ts";
import { PAGE_ENTRIES, PAGE_SLOTS } from "./damage.ts";
import { pattern, readBytes, type Scratch } from "./scratch.ts";
import { Snapshot } from "./stopping_device.ts";

/** Bytes of a chunk. */
export const CHUNK = 4096;
/** Virtual chunks of the disk. */
export const VIRTUAL_CHUNKS = 256;
/** Chunks of a: its table has a second page, with two entries. */
const CHUNKS_OF_A: number = PAGE_ENTRIES + 2;
/** Chunks of each of the others. */
const CHUNKS_OF_OTHERS = 8;
const NAMES = ["a", "b", "c", "d"] as const;
/** Which of the first writes are discarded: on each page in use one or more. */
const DISCARDED = [5, 100, CHUNKS_OF_A - 1, CHUNKS_OF_A + 2, CHUNKS_OF_A + 10];

/** How a sample is made. */
export interface DamageSampleOptions {
  /** No chunk is free; else d is not in use, and a few chunks are free. */
  readonly full?: boolean;
  /** Taken while the pool is open, as SIGKILL leaves it. */
  readonly killed?: boolean;
}

/** A pool of format 2 of a, b, c and d. */
export interface DamageSample {
  /** Where it is. */
  readonly scratch: Scratch;
  /** Its components. */
  readonly paths: readonly [string, string, string, string];
  /** What the disk holds. */
  readonly disk: Uint8Array;
  /** The files as they are when it is stopped, or was killed. */
  readonly sound: Snapshot;
  /** The files as they were when it was last stopped before. */
  readonly older: Snapshot;
}

/**
 * Makes a sample.
 *
 * @param scratch Where.
 * @param options What it is like.
 * @returns The sample; its files are sound.
 */
export async function makeDamageSample(
  scratch: Scratch,
  { full = false, killed = false }: DamageSampleOptions = {},
): Promise<DamageSample> {
  const [a, b, c, d] = NAMES;
  const paths = [
    scratch.file(a),
    scratch.file(b),
    scratch.file(c),
    scratch.file(d),
  ] as const;
  makePool(paths);
  const disk = new Uint8Array(VIRTUAL_CHUNKS * CHUNK);
  const used = CHUNKS_OF_A + CHUNKS_OF_OTHERS * (full ? 3 : 2);
  await session(paths, async (pool) => {
    for (let i = 0; i < used; i++) await write(pool, disk, virtualChunk(i));
  });
  await session(paths, async (pool) => {
    for (const i of DISCARDED) await discard(pool, disk, virtualChunk(i));
  });
  const older = new Snapshot(paths);
  const pool = await openPool(paths);
  const again = full ? DISCARDED.length : 2;
  for (let i = used; i < used + again; i++) {
    await write(pool, disk, virtualChunk(i));
  }
  // Durable, so that the next update goes to the third slot.
  await pool.volume().flush();
  await discard(pool, disk, virtualChunk(7));
  if (full) await write(pool, disk, virtualChunk(used + again));
  const asKilled = new Snapshot(paths);
  await pool.close();
  const sound = killed ? asKilled : new Snapshot(paths);
  sound.restore();
  return { scratch, paths, disk, sound, older };
}

function virtualChunk(i: number): number {
  return (3 + 11 * i) % VIRTUAL_CHUNKS;
}

function makePool(paths: readonly string[]): void {
  const members = paths.map((_, i) => ({
    uuid: `1111111${i}-1111-4111-8111-111111111111`,
    state: "active" as const,
    chunkCount: i === 0 ? CHUNKS_OF_A : CHUNKS_OF_OTHERS,
  }));
  for (const [i, path] of paths.entries()) {
    const chunks = members[i]?.chunkCount ?? 0;
    const pages = Math.ceil(chunks / PAGE_ENTRIES);
    const size = chunks * CHUNK + pages * PAGE_SLOTS * PAGE_BYTES +
      2 * SLOT_BYTES;
    assertEquals(nativeGeometry(size, CHUNK).chunkCount, chunks);
    const superblock: Superblock = {
      name: "demo",
      poolUuid: "00000000-0000-4000-8000-000000000001",
      componentUuid: members[i]?.uuid ?? "",
      generation: 1,
      clean: true,
      tableDigest: 0,
      compat: 0,
      readOnlyCompat: 0,
      virtualSize: VIRTUAL_CHUNKS * CHUNK,
      chunkSize: CHUNK,
      componentSize: size,
      members,
    };
    const bytes = new Uint8Array(size);
    for (const slot of [0, 1]) {
      const position = superblockPosition(size, slot);
      const end = position + SLOT_BYTES;
      encodeSuperblock(superblock, position, bytes.subarray(position, end));
    }
    Deno.writeFileSync(path, bytes);
  }
}

async function session(
  paths: readonly string[],
  act: (pool: Pool) => Promise<void>,
): Promise<void> {
  const pool = await openPool(paths);
  await act(pool);
  await pool.close();
}

async function write(
  pool: Pool,
  disk: Uint8Array,
  virtual: number,
): Promise<void> {
  const bytes = pattern(CHUNK, virtual);
  await pool.volume().write(bytes, virtual * CHUNK);
  disk.set(bytes, virtual * CHUNK);
}

async function discard(
  pool: Pool,
  disk: Uint8Array,
  virtual: number,
): Promise<void> {
  await pool.volume().discard(virtual * CHUNK, CHUNK);
  disk.fill(0, virtual * CHUNK, (virtual + 1) * CHUNK);
}

/**
 * Whether a disk holds what it should.
 *
 * @param pool The open pool.
 * @param disk What it should hold.
 * @returns Whether it does, every byte.
 */
export async function holds(pool: Pool, disk: Uint8Array): Promise<boolean> {
  if (pool.volume().size !== disk.length) return false;
  const found = await readBytes(pool.volume(), 0, disk.length);
  return Buffer.compare(found, disk) === 0;
}

/**
 * Opens a pool for writing, looks at all it holds, and stops it.
 *
 * @param paths Its components.
 * @param disk What it should hold.
 * @param openDevice How they are opened, if not as usual.
 */
export async function assertOpens(
  paths: readonly string[],
  disk: Uint8Array,
  openDevice?: OpenDevice,
): Promise<void> {
  const how = openDevice === undefined ? {} : { openDevice };
  const pool = await openPool(paths, how);
  try {
    assert(await holds(pool, disk), "the disk holds what was written");
  } finally {
    await pool.close();
  }
}

/**
 * Findings in short.
 *
 * @param findings Any.
 * @returns Kind and severity of each, sorted, each pair once.
 */
export function kindsOf(findings: readonly Finding[]): string[] {
  const kinds = findings.map(({ kind, severity }) => `${kind} ${severity}`);
  return [...new Set(kinds)].toSorted();
}
