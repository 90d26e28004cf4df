/**
 * The chunk table of one component of format 2 at work: which slot of a page is
 * written when.
 *
 * A page has three slots. One holds the last durable version; one may be part
 * of a flush that is running; updates go to the third meanwhile, and to the
 * same one until the next flush begins. So the last durable version is never
 * written over, and no update waits for a flush. Pages are not kept in memory,
 * but for the last one that was used: allocation goes on where it was.
 *
 * @module
 */

import { assert, VirstorError } from "../../../errors.ts";
import type { FlushObserver } from "../../../device/file/mod.ts";
import {
  checkPage,
  clearEntry,
  entryDigest,
  entrySequence,
  entryVirtualChunk,
  isOwned,
  NATIVE_PAGE_SIZE,
  type NativeGeometry,
  pageGeneration,
  sealPage,
  setEntry,
  TABLE_PAGE_ENTRIES,
  TABLE_SLOTS,
  tableSlotPosition,
} from "../../../metadata/native/mod.ts";
import type { ComponentDevice } from "../../core/mod.ts";

/** No slot was ever written. */
const NONE = -1;

/** The chunk table of a component. */
export class ChunkTable implements FlushObserver {
  /** What it lies on. */
  readonly device: ComponentDevice;
  /** Where it lies there. */
  readonly geometry: NativeGeometry;
  /** The component's UUID, 16 bytes. */
  readonly uuid: Uint8Array;

  /** For each page the slot of its last durable version, or {@linkcode NONE}. */
  readonly #durable: Int8Array;
  /** Pages in the flush that is running: page to slot. */
  #flushing = new Map<number, number>();
  /** Pages changed since a flush began: page to slot. */
  #changed = new Map<number, number>();
  /** Pages whose newest version is in one slot only. */
  readonly #single = new Set<number>();
  /** The page that was used last. */
  readonly #bytes = new Uint8Array(NATIVE_PAGE_SIZE);
  readonly #page = new DataView(this.#bytes.buffer);
  #pageIndex = NONE;
  /** How often it was changed. */
  #version = 0;
  /** The digests of all entries that are somebody's. */
  #digest = 0;

  /**
   * Takes over a table: all its pages are blank, until {@linkcode loaded} says
   * otherwise.
   *
   * @param device What it lies on; its observer from now on.
   * @param geometry Where.
   * @param uuid The component's UUID, 16 bytes.
   */
  constructor(
    device: ComponentDevice,
    geometry: NativeGeometry,
    uuid: Uint8Array,
  ) {
    this.device = device;
    this.geometry = geometry;
    this.uuid = uuid;
    this.#durable = new Int8Array(geometry.tablePages).fill(NONE);
    device.observer = this;
  }

  /**
   * Takes note of what was found of a page. It is durable by the time anything
   * is written.
   *
   * @param pageIndex Which page.
   * @param slot The slot that counts.
   * @param isSingle Whether no other slot holds the same entries.
   */
  loaded(pageIndex: number, slot: number, isSingle: boolean): void {
    this.#durable[pageIndex] = slot;
    if (isSingle) this.#single.add(pageIndex);
  }

  /** The digests of all entries that are somebody's, together, u32. */
  get digest(): number {
    return this.#digest;
  }

  /**
   * Takes note of an entry that was found.
   *
   * @param chunk The chunk.
   * @param virtualChunk Whose it is.
   * @param sequence Since when.
   */
  found(chunk: number, virtualChunk: number, sequence: number): void {
    this.#toggle(entryDigest(chunk, virtualChunk, sequence));
  }

  /** How often it was changed: for whoever reads it meanwhile. */
  get version(): number {
    return this.#version;
  }

  /**
   * Gives a chunk to a virtual chunk, in the page cache.
   *
   * @param chunk The chunk.
   * @param virtualChunk The virtual chunk.
   * @param sequence When this was decided; higher than all before.
   * @throws {VirstorError} `io`, `corrupt` if the page on disk is damaged.
   */
  own(chunk: number, virtualChunk: number, sequence: number): void {
    this.#load(Math.floor(chunk / TABLE_PAGE_ENTRIES));
    const index = chunk % TABLE_PAGE_ENTRIES;
    assert(!isOwned(this.#page, index), "a chunk that is given is nobody's");
    setEntry(this.#page, index, virtualChunk, sequence);
    this.#save();
    this.#toggle(entryDigest(chunk, virtualChunk, sequence));
  }

  /**
   * Makes chunks nobody's, in the page cache.
   *
   * @param chunks The chunks; a page is written once for all that come in a
   *   row.
   * @throws {VirstorError} `io`, `corrupt` if a page on disk is damaged.
   */
  disown(chunks: readonly number[]): void {
    for (let i = 0; i < chunks.length;) {
      const page = Math.floor((chunks[i] ?? 0) / TABLE_PAGE_ENTRIES);
      this.#load(page);
      for (; i < chunks.length; i++) {
        const chunk = chunks[i] ?? 0;
        if (Math.floor(chunk / TABLE_PAGE_ENTRIES) !== page) break;
        const index = chunk % TABLE_PAGE_ENTRIES;
        assert(isOwned(this.#page, index), "what is given back was somebody's");
        this.#toggle(entryDigest(
          chunk,
          entryVirtualChunk(this.#page, index),
          entrySequence(this.#page, index),
        ));
        clearEntry(this.#page, index);
      }
      this.#save();
    }
  }

  /**
   * When a chunk was given to its virtual chunk.
   *
   * @param chunk The chunk; somebody's.
   * @returns The sequence number.
   * @throws {VirstorError} `io`, `corrupt` if the page on disk is damaged.
   */
  sequenceOf(chunk: number): number {
    this.#load(Math.floor(chunk / TABLE_PAGE_ENTRIES));
    const index = chunk % TABLE_PAGE_ENTRIES;
    assert(isOwned(this.#page, index), "the chunk is somebody's");
    return entrySequence(this.#page, index);
  }

  /**
   * Writes every page that has only one copy into another of its slots, in the
   * page cache: one that is damaged later can be told and mended.
   *
   * @throws {VirstorError} `io`, `corrupt` if a page on disk is damaged.
   */
  mirror(): void {
    assert(
      this.#changed.size === 0 && this.#flushing.size === 0,
      "what is copied is durable",
    );
    for (const page of [...this.#single]) {
      this.#load(page);
      this.#save();
      this.#single.delete(page);
    }
  }

  /**
   * Makes a slot that is not sound one that was never written, in the page
   * cache.
   *
   * @param position Where it is, bytes from the start of the component.
   * @throws {VirstorError} `io`.
   */
  blank(position: number): void {
    this.device.write(new Uint8Array(NATIVE_PAGE_SIZE), position);
  }

  /** A flush covers all pages that were changed so far. */
  flushBegins(): void {
    assert(this.#flushing.size === 0, "one flush at a time");
    this.#flushing = this.#changed;
    this.#changed = new Map();
  }

  /** The pages of the flush are durable. */
  flushEnds(): void {
    for (const [page, slot] of this.#flushing) this.#durable[page] = slot;
    this.#flushing.clear();
  }

  #toggle(digest: number): void {
    this.#digest = (this.#digest ^ digest) >>> 0;
  }

  /** The slot of a page's newest version. */
  #newestSlot(page: number): number {
    return this.#changed.get(page) ?? this.#flushing.get(page) ??
      this.#durable[page] ?? NONE;
  }

  /** Gets a page into memory. */
  #load(page: number): void {
    if (this.#pageIndex === page) return;
    this.#pageIndex = NONE;
    const slot = this.#newestSlot(page);
    if (slot === NONE) {
      this.#bytes.fill(0);
    } else {
      const position = tableSlotPosition(this.geometry, page, slot);
      this.device.read(this.#bytes, position);
      const fault = checkPage(this.#bytes, position, page, this.uuid);
      if (fault !== "") throw this.#damaged(position, fault);
    }
    this.#pageIndex = page;
  }

  /** Writes the page in memory to the slot whose turn it is. */
  #save(): void {
    const page = this.#pageIndex;
    // Whatever happens below, what is in memory is not what is on disk.
    this.#pageIndex = NONE;
    const slot = this.#changed.get(page) ?? this.#spareSlot(page);
    const generation = pageGeneration(this.#page) + 1;
    const position = tableSlotPosition(this.geometry, page, slot);
    sealPage(this.#page, position, page, this.uuid, generation);
    this.device.write(this.#bytes, position);
    this.#version++;
    this.#changed.set(page, slot);
    this.#single.add(page);
    this.#pageIndex = page;
  }

  /** A slot that is neither durable nor being made so. */
  #spareSlot(page: number): number {
    const durable = this.#durable[page] ?? NONE;
    const flushing = this.#flushing.get(page) ?? NONE;
    let slot = 0;
    while (slot === durable || slot === flushing) slot++;
    assert(slot < TABLE_SLOTS, "one of three slots is spare");
    return slot;
  }

  #damaged(position: number, fault: string): VirstorError {
    return new VirstorError(
      "corrupt",
      `Cannot use the chunk table of "${this.device.path}" at byte ` +
        `${position}: ${fault}`,
    );
  }
}
