/**
 * A pool of format 2 for tests that open it in different ways, and change its
 * tables while it is stopped.
 *
 * @module
 */

import { assert } from "@std/assert";
import {
  type EntryOwner,
  nativeGeometry,
  pageGeneration,
  pickSlot,
  sealPage,
  setEntry,
  type Superblock,
  TABLE_SLOTS_SIZE,
  tableSlotPosition,
} from "../../metadata/mod.ts";
import { readLabel } from "../../pool/mod.ts";
import { readAt, writeAt } from "./freebsd_raw.ts";
import { PAGE_BYTES } from "./native_raw.ts";
import { openSmallPool, type Scratch } from "./scratch.ts";
import { type Content, writeChunk } from "./small_pools.ts";

/** A stopped pool of three: 5 chunks on c0, 3 on c1, none of 7 on c2. */
export interface NativeSample {
  /** Its components. */
  readonly paths: string[];
  /** What it holds. */
  readonly content: Content;
}

/**
 * Makes a sample pool.
 *
 * @param scratch Where.
 * @returns The pool, stopped.
 */
export async function makeNativeSample(
  scratch: Scratch,
): Promise<NativeSample> {
  const { pool, paths } = await openSmallPool(scratch, 3, {
    format: "native",
  });
  const content: Content = new Map();
  for (let v = 0; v < 8; v++) await writeChunk(pool, content, v);
  await pool.close();
  return { paths, content };
}

/**
 * The superblock of a component.
 *
 * @param path Where it is.
 * @returns The one that counts.
 */
export function nativeLabel(path: string): Superblock {
  const label = readLabel(path);
  assert(label.format === "native");
  return label;
}

/** The first page of a chunk table. */
export interface FirstPage {
  /** The slot that counts; -1 if there is none. */
  readonly slot: number;
  /** What it says. */
  readonly view: DataView;
  /** Where a slot lies on the component. */
  readonly positionOf: (slot: number) => number;
  /** The component, 16 bytes. */
  readonly uuid: Uint8Array;
}

/**
 * Reads the first page of a component's table.
 *
 * @param path Where the component is.
 * @returns The page.
 */
export function readPage(path: string): FirstPage {
  const { componentSize, chunkSize, componentUuid } = nativeLabel(path);
  const geometry = nativeGeometry(componentSize, chunkSize);
  const positionOf = (slot: number) => tableSlotPosition(geometry, 0, slot);
  const slots = readAt(path, positionOf(0), TABLE_SLOTS_SIZE);
  const uuid = Uint8Array.fromHex(componentUuid.replaceAll("-", ""));
  const slot = pickSlot(slots, positionOf(0), 0, uuid);
  const view = new DataView(
    slots.buffer,
    Math.max(0, slot) * PAGE_BYTES,
    PAGE_BYTES,
  );
  return { slot, view, positionOf, uuid };
}

/**
 * Gives a chunk to a virtual chunk behind the pool's back.
 *
 * @param path Where the component is.
 * @param chunk The chunk on it, 0 to 167.
 * @param virtualChunk The virtual chunk that it is to hold.
 * @param sequence Since when.
 * @param owner The volume and the birth; volume 0 and birth 0 if omitted.
 */
export function own(
  path: string,
  chunk: number,
  virtualChunk: number,
  sequence: number,
  owner?: EntryOwner,
): void {
  const { slot, view, positionOf, uuid } = readPage(path);
  const next = (slot + 1) % 3;
  const generation = slot < 0 ? 1 : pageGeneration(view) + 1;
  setEntry(view, chunk, virtualChunk, sequence, owner);
  sealPage(view, positionOf(next), 0, uuid, generation);
  const bytes = new Uint8Array(view.buffer, view.byteOffset, PAGE_BYTES);
  writeAt(path, positionOf(next), bytes);
}
