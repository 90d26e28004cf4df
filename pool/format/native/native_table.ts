/**
 * The chunk table of a component of an open pool: which slot of a page is
 * written when.
 *
 * A page has three slots. One holds the last durable version, and one may be
 * part of a running flush. Updates go to the third slot, and stay with it until
 * the next flush begins. So the last durable version is never overwritten, and
 * no update waits for a flush. Memory holds only the page used last, since
 * consecutive allocations usually share a page.
 *
 * @module
 */

import { assert, VirstorError } from "../../../errors.ts";
import type { FlushObserver } from "../../../device/file/mod.ts";
import {
  checkPage,
  clearEntry,
  entryDigest,
  type EntryOwner,
  entrySequence,
  isOwned,
  NATIVE_PAGE_SIZE,
  type NativeGeometry,
  pageGeneration,
  sealPage,
  setEntry,
  settleEntry,
  TABLE_PAGE_ENTRIES,
  TABLE_SLOTS,
  tableSlotPosition,
} from "../../../metadata/native/mod.ts";
import { applied, type ComponentDevice, finished } from "../../core/mod.ts";
import { digestOf } from "./digest_of.ts";
import { damageText, type TableCopy } from "./table_copy.ts";

/** In place of a slot: none was written. In place of a page: none is loaded. */
const NONE = -1;

/** The owner of all entries of a pool without a volume table. */
const FIRST_OWNER = { volume: 0, birth: 0, isProvisional: false };

/** The chunk table of a component of an open pool. */
export class ChunkTable implements FlushObserver {
  /** The component's device. */
  readonly device: ComponentDevice;
  /** The position of the table on the device. */
  readonly geometry: NativeGeometry;
  /** The component's UUID, 16 bytes. */
  readonly uuid: Uint8Array;
  /** A copy that gets all changes, too. */
  copy: TableCopy | undefined;

  /** The slot of each page's last durable version, or {@linkcode NONE}. */
  readonly #durable: Int8Array;
  /** The pages of the running flush: page to slot. */
  #flushing = new Map<number, number>();
  /** The pages changed since the last flush began: page to slot. */
  #changed = new Map<number, number>();
  /** Pages whose newest version is in one slot only. */
  readonly #single = new Set<number>();
  /** The page that was used last. */
  readonly #bytes = new Uint8Array(NATIVE_PAGE_SIZE);
  readonly #page = new DataView(this.#bytes.buffer);
  #pageIndex = NONE;
  /** Whether changes stay in memory for now. */
  #isHeld = false;
  /** Whether the page in memory has changes that are not in the page cache. */
  #isUnsaved = false;
  /** Counts the page writes of this session. */
  #version = 0;
  /** The digests of all allocated entries, combined with XOR. */
  #digest = 0;

  /**
   * Creates a table. All pages count as blank until {@linkcode loaded} is
   * called for them.
   *
   * @param device The component's device; this table becomes its observer.
   * @param geometry The position of the table on the device.
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
   * Registers a page that was found on disk.
   *
   * *Requires*: the page is durable before anything is written.
   *
   * @param pageIndex The page, from 0.
   * @param slot The slot of its newest sound version.
   * @param isSingle Whether no other slot holds the same entries.
   */
  loaded(pageIndex: number, slot: number, isSingle: boolean): void {
    this.#durable[pageIndex] = slot;
    if (isSingle) this.#single.add(pageIndex);
  }

  /** The digests of all allocated entries, combined with XOR, u32. */
  get digest(): number {
    return this.#digest;
  }

  /**
   * Registers an allocated entry that was found on disk.
   *
   * @param chunk The chunk on this component.
   * @param virtualChunk The virtual chunk that is mapped to it.
   * @param sequence The sequence number of the mapping.
   * @param owner The volume, the birth, and whether it is provisional; unless
   *   given, those of a pool without a volume table.
   */
  found(
    chunk: number,
    virtualChunk: number,
    sequence: number,
    owner: EntryOwner = FIRST_OWNER,
  ): void {
    this.#toggle(entryDigest(chunk, virtualChunk, sequence, owner));
  }

  /** Counts the changes of the table, so that a scan can detect them. */
  get version(): number {
    return this.#version;
  }

  /**
   * Allocates a chunk to a virtual chunk, in the page cache.
   *
   * @param chunk The chunk on this component; its entry is free.
   * @param virtualChunk The virtual chunk.
   * @param sequence The sequence number of the mapping, higher than all before.
   * @param owner The volume, the birth, and whether it is provisional; unless
   *   given, those of a pool without a volume table.
   * @throws {VirstorError} `io`, `corrupt` if the page on disk is damaged.
   */
  own(
    chunk: number,
    virtualChunk: number,
    sequence: number,
    owner: EntryOwner = FIRST_OWNER,
  ): void {
    this.#load(Math.floor(chunk / TABLE_PAGE_ENTRIES));
    const index = chunk % TABLE_PAGE_ENTRIES;
    assert(!isOwned(this.#page, index), "a chunk to allocate is free");
    setEntry(this.#page, index, virtualChunk, sequence, owner);
    this.#save();
    this.#toggle(entryDigest(chunk, virtualChunk, sequence, owner));
  }

  /**
   * Changes stay in memory from now on, until the page changes or
   * {@linkcode release} is called.
   *
   * @returns This table.
   */
  hold(): this {
    this.#isHeld = true;
    return this;
  }

  /**
   * Writes what was held into the page cache.
   *
   * @throws {VirstorError} `io`.
   */
  release(): void {
    this.#isHeld = false;
    if (this.#isUnsaved) this.#write();
  }

  /**
   * Marks chunks free, in the page cache.
   *
   * @param chunks The chunks, all allocated. Neighbours in the list that share
   *   a page cost one write.
   * @throws {VirstorError} `io`, `corrupt` if a page on disk is damaged.
   */
  disown(chunks: readonly number[]): void {
    this.#change(chunks, (chunk, index) => {
      this.#toggle(digestOf(this.#page, index, chunk));
      clearEntry(this.#page, index);
    });
  }

  /**
   * Marks provisional entries settled, in the page cache.
   *
   * @param chunks The chunks, all allocated and provisional. Neighbours in the
   *   list that share a page cost one write.
   * @throws {VirstorError} `io`, `corrupt` if a page on disk is damaged.
   */
  settle(chunks: readonly number[]): void {
    this.#change(chunks, (chunk, index) => {
      this.#toggle(digestOf(this.#page, index, chunk));
      settleEntry(this.#page, index);
      this.#toggle(digestOf(this.#page, index, chunk));
    });
  }

  /** Changes allocated entries; neighbours that share a page cost one write. */
  #change(
    chunks: readonly number[],
    act: (chunk: number, index: number) => void,
  ): void {
    for (let i = 0; i < chunks.length;) {
      const page = Math.floor((chunks[i] ?? 0) / TABLE_PAGE_ENTRIES);
      this.#load(page);
      for (; i < chunks.length; i++) {
        const chunk = chunks[i] ?? 0;
        if (Math.floor(chunk / TABLE_PAGE_ENTRIES) !== page) break;
        const index = chunk % TABLE_PAGE_ENTRIES;
        assert(isOwned(this.#page, index), "a chunk to change is allocated");
        act(chunk, index);
      }
      this.#save();
    }
  }

  /**
   * Reads the sequence number of an allocated chunk.
   *
   * @param chunk The chunk; its entry is allocated.
   * @returns The sequence number of its mapping.
   * @throws {VirstorError} `io`, `corrupt` if the page on disk is damaged.
   */
  sequenceOf(chunk: number): number {
    this.#load(Math.floor(chunk / TABLE_PAGE_ENTRIES));
    const index = chunk % TABLE_PAGE_ENTRIES;
    assert(isOwned(this.#page, index), "the chunk is allocated");
    return entrySequence(this.#page, index);
  }

  /**
   * Writes each page that has only one copy to a second slot, in the page
   * cache. So damage of one copy can be recognised and repaired later.
   *
   * *Requires*: all changes are durable, and no flush is running.
   *
   * @throws {VirstorError} `io`, `corrupt` if a page on disk is damaged.
   */
  mirror(): void {
    const isDurable = this.#changed.size === 0 && this.#flushing.size === 0;
    assert(isDurable, "pages to mirror are durable");
    for (const page of [...this.#single]) {
      this.#load(page);
      this.#save();
      this.#single.delete(page);
    }
  }

  /**
   * The newest version of a page.
   *
   * @param page The page, from 0.
   * @returns Its bytes, until the next use; undefined if it is blank.
   * @throws {VirstorError} `io`, `corrupt` if the page on disk is damaged.
   */
  pageAt(page: number): Uint8Array | undefined {
    if (this.#newestSlot(page) === NONE) return undefined;
    this.#load(page);
    return this.#bytes;
  }

  /**
   * Takes over a page of another table, in the page cache.
   *
   * @param page The page, from 0.
   * @param bytes Its content; position, generation and checksum are replaced.
   */
  adopt(page: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes);
    this.#pageIndex = page;
    this.#save();
  }

  /**
   * Takes the place of another table.
   *
   * @param former The table that was copied into this one.
   */
  succeed(former: ChunkTable): void {
    this.#digest = former.#digest;
    former.copy = undefined;
    this.device.observer = this;
  }

  /**
   * Zeroes an unsound slot in the page cache, as if it had never been written.
   *
   * @param position The slot's offset on the component, bytes.
   * @throws {VirstorError} `io`.
   */
  blank(position: number): void {
    applied(this.device.write(new Uint8Array(NATIVE_PAGE_SIZE), position));
  }

  /** The device begins a flush, which covers all changes so far. */
  flushBegins(): void {
    assert(this.#flushing.size === 0, "one flush at a time");
    assert(!this.#isUnsaved, "a flush finds all changes in the page cache");
    this.#flushing = this.#changed;
    this.#changed = new Map();
  }

  /** The device has flushed: the pages of the flush are durable. */
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

  /** Loads the newest version of a page into memory. */
  #load(page: number): void {
    if (this.#pageIndex === page) return;
    if (this.#isUnsaved) this.#write();
    this.#pageIndex = NONE;
    const slot = this.#newestSlot(page);
    if (slot === NONE) {
      this.#bytes.fill(0);
    } else {
      const position = tableSlotPosition(this.geometry, page, slot);
      finished(this.device.read(this.#bytes, position));
      const fault = checkPage(this.#bytes, position, page, this.uuid);
      if (fault !== "") {
        const text = damageText(this.device.path, position, fault);
        throw new VirstorError("corrupt", text);
      }
    }
    this.#pageIndex = page;
  }

  /** Takes a change of the page in memory over, now or later. */
  #save(): void {
    if (this.#isHeld) this.#isUnsaved = true;
    else this.#write();
  }

  /** Writes the page in memory to a slot that may be overwritten. */
  #write(): void {
    const page = this.#pageIndex;
    this.#isUnsaved = false;
    // If the write fails below, memory and disk differ: forget the page.
    this.#pageIndex = NONE;
    const slot = this.#changed.get(page) ?? this.#spareSlot(page);
    const generation = pageGeneration(this.#page) + 1;
    const position = tableSlotPosition(this.geometry, page, slot);
    sealPage(this.#page, position, page, this.uuid, generation);
    applied(this.device.write(this.#bytes, position));
    this.#version++;
    this.#changed.set(page, slot);
    this.#single.add(page);
    this.#pageIndex = page;
    this.copy?.changed(page, this.#bytes);
  }

  /** A slot that neither is durable nor belongs to a running flush. */
  #spareSlot(page: number): number {
    const durable = this.#durable[page] ?? NONE;
    const flushing = this.#flushing.get(page) ?? NONE;
    let slot = 0;
    while (slot === durable || slot === flushing) slot++;
    assert(slot < TABLE_SLOTS, "one of three slots is spare");
    return slot;
  }
}
