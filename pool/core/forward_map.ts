/**
 * The forward map of a volume: for each virtual chunk the component, and the
 * chunk on it, that hold its data. Every request reads it.
 *
 * Each mapping has a birth: the epoch of the volume when it was made. A snapshot
 * ends an epoch, and sees what was born up to then. So a chunk whose birth is
 * not above the epoch of the newest snapshot is *shared*: a write maps a new
 * chunk, and the replaced one becomes an old version.
 *
 * @module
 */

import type { LeaseTable } from "../../device/leases/mod.ts";
import { assert } from "../../errors.ts";
import { ChunkPages } from "./chunk_pages.ts";
import type { ChunkOwner, ChunkView, VersionedMap } from "./chunk_view.ts";
import type { Component } from "./component.ts";
import { type OldVersion, OldVersions } from "./old_versions.ts";
import { ProvisionedChunks } from "./provisioned_chunks.ts";
import { CloneView } from "./views.ts";

/** The place of each virtual chunk. */
export class ForwardMap implements VersionedMap {
  /** The number of the volume. */
  readonly volume: number;
  /** The versions that snapshots see in place of the current ones. */
  readonly old: OldVersions = new OldVersions();
  /** Virtual chunks that are being moved: they must keep their mapping. */
  readonly pinned: Pick<ReadonlySet<number>, "has">;
  /**
   * Virtual chunks that clients provisioned since the pool was opened: they stay
   * mapped even if they hold no data. The end of the mapping ends that, too.
   */
  readonly provisioned: ProvisionedChunks = new ProvisionedChunks();
  /** Virtual chunks that were mapped ahead of writes, and may hold no data. */
  readonly ahead: Set<number> = new Set();
  /** The chunks that other threads use; withdrawn before a mapping changes. */
  leases: LeaseTable | undefined = undefined;
  /** The leases of the whole pool: clones and snapshots read its chunks, too. */
  readers: Iterable<LeaseTable> = [];

  /** How many versions of a virtual chunk are being moved. */
  readonly #pinned = new Map<number, number>();
  readonly #pages = new ChunkPages();
  /** The components by their id; index 0 stays unused. */
  #components: readonly (Component | undefined)[] = [];
  #mapped = 0;
  #virtualChunks: number;
  #epoch = 0;
  #sharedThrough = -1;
  #base: ChunkView | undefined;
  #view: ChunkView = this;
  #owner: ChunkOwner;
  #provisional: ChunkOwner;

  /**
   * Creates a map with nothing mapped.
   *
   * @param virtualChunks The number of virtual chunks.
   * @param volume The number of the volume.
   */
  constructor(virtualChunks: number, volume = 0) {
    this.#virtualChunks = virtualChunks;
    this.volume = volume;
    this.pinned = this.#pinned;
    this.#owner = { volume, birth: 0, isProvisional: false };
    this.#provisional = { volume, birth: 0, isProvisional: true };
  }

  /** The birth of new mappings. */
  get epoch(): number {
    return this.#epoch;
  }

  /** What the parent of a clone sees; undefined if the volume is no clone. */
  get base(): ChunkView | undefined {
    return this.#base;
  }

  /** What the volume sees: its own chunks, and those of its parent. */
  get view(): ChunkView {
    return this.#view;
  }

  /** Whether chunks may be shared, or hide others. */
  get isLayered(): boolean {
    return this.#sharedThrough >= 0 || this.#base !== undefined ||
      this.old.size > 0;
  }

  /** The owner of new mappings. */
  get owner(): ChunkOwner {
    return this.#owner;
  }

  /** The owner of new mappings that hide a chunk and are not durable yet. */
  get provisionalOwner(): ChunkOwner {
    return this.#provisional;
  }

  /**
   * Begins an epoch.
   *
   * @param epoch The epoch, above all births.
   */
  setEpoch(epoch: number): void {
    const { volume } = this;
    this.#epoch = epoch;
    this.#owner = { volume, birth: epoch, isProvisional: false };
    this.#provisional = { volume, birth: epoch, isProvisional: true };
  }

  /**
   * Sets which mappings are shared. Leases are withdrawn, since they allow
   * writes, unless fewer are shared than before.
   *
   * @param epoch The epoch of the newest snapshot; -1 for none.
   */
  share(epoch: number): void {
    if (epoch > this.#sharedThrough) this.leases?.withdrawAll();
    this.#sharedThrough = epoch;
  }

  /**
   * Sets the parent of a clone.
   *
   * @param base What the parent sees; undefined if there is no parent any more.
   */
  setBase(base: ChunkView | undefined): void {
    this.leases?.withdrawAll();
    this.#base = base;
    this.#view = base === undefined ? this : new CloneView(this, base);
  }

  /** The number of virtual chunks, which defines the virtual size. */
  get virtualChunks(): number {
    return this.#virtualChunks;
  }

  /** How many virtual chunks are mapped. */
  get mapped(): number {
    return this.#mapped;
  }

  /**
   * Pins a virtual chunk that is being moved, and withdraws its lease.
   *
   * @param virtualChunk The chunk; mapped.
   */
  pin(virtualChunk: number): void {
    this.#pinned.set(virtualChunk, (this.#pinned.get(virtualChunk) ?? 0) + 1);
    this.leases?.withdraw(virtualChunk);
  }

  /**
   * Unpins a virtual chunk: it is not being moved any more.
   *
   * @param virtualChunk The chunk.
   */
  unpin(virtualChunk: number): void {
    const pins = this.#pinned.get(virtualChunk) ?? 0;
    if (pins > 1) this.#pinned.set(virtualChunk, pins - 1);
    else this.#pinned.delete(virtualChunk);
  }

  /**
   * Changes the number of virtual chunks.
   *
   * *Requires*: nothing is mapped from the new number on.
   *
   * @param virtualChunks The number of virtual chunks.
   */
  resize(virtualChunks: number): void {
    this.#virtualChunks = virtualChunks;
  }

  /**
   * Sets the components; mappings stay as they are.
   *
   * *Requires*: every component with mapped chunks is listed.
   *
   * @param members The components of the pool.
   */
  setComponents(members: readonly Component[]): void {
    const components: (Component | undefined)[] = [undefined];
    for (const one of members) components[one.id] = one;
    this.#components = components;
  }

  /**
   * The component that holds a virtual chunk.
   *
   * @param virtualChunk The chunk.
   * @returns The component, or undefined if the chunk is unmapped.
   */
  component(virtualChunk: number): Component | undefined {
    return this.#components[this.#pages.id(virtualChunk)];
  }

  /**
   * The component that holds a virtual chunk, if it may be written to in place.
   *
   * @param virtualChunk The chunk.
   * @returns The component, or undefined if the chunk is unmapped or shared.
   */
  writable(virtualChunk: number): Component | undefined {
    const isShared = this.#sharedThrough >= 0 &&
      this.#pages.birth(virtualChunk) <= this.#sharedThrough;
    return isShared ? undefined : this.component(virtualChunk);
  }

  /**
   * The birth of a mapping.
   *
   * @param virtualChunk The virtual chunk; mapped.
   * @returns The epoch of the volume when it was mapped.
   */
  birth(virtualChunk: number): number {
    return this.#pages.birth(virtualChunk);
  }

  /**
   * Whether another version would be seen if a mapping ended.
   *
   * @param virtualChunk The chunk.
   * @returns Whether there is an old version, or the parent has one.
   */
  hides(virtualChunk: number): boolean {
    return this.old.has(virtualChunk) ||
      this.#base?.component(virtualChunk) !== undefined;
  }

  /**
   * Whether a chunk holds any version of a virtual chunk.
   *
   * @param virtualChunk The virtual chunk.
   * @param component The component of the chunk.
   * @param chunk The chunk on that component.
   * @returns Whether it does.
   */
  holds(virtualChunk: number, component: Component, chunk: number): boolean {
    if (
      this.component(virtualChunk) === component &&
      this.chunk(virtualChunk) === chunk
    ) return true;
    return this.old.of(virtualChunk).some((one) =>
      one.component === component && one.chunk === chunk
    );
  }

  /**
   * The chunk that holds a virtual chunk.
   *
   * @param virtualChunk The virtual chunk; mapped.
   * @returns The chunk's number on its component.
   */
  chunk(virtualChunk: number): number {
    return this.#pages.chunk(virtualChunk);
  }

  /**
   * Maps a virtual chunk, and withdraws its lease.
   *
   * @param virtualChunk The virtual chunk.
   * @param component The component that holds its data.
   * @param chunk The chunk on that component.
   * @param birth The birth of the mapping; the current epoch unless given.
   */
  set(
    virtualChunk: number,
    component: Component,
    chunk: number,
    birth: number = this.#epoch,
  ): void {
    assert(virtualChunk < this.#virtualChunks, "a mapping is inside the disk");
    if (this.#pages.id(virtualChunk) === 0) this.#mapped++;
    // Also an unmapped chunk may have one, of what the parent sees.
    this.leases?.withdraw(virtualChunk);
    this.#pages.set(virtualChunk, component.id, chunk, birth);
  }

  /**
   * Maps a virtual chunk anew; what it was mapped to becomes an old version.
   *
   * @param virtualChunk The virtual chunk.
   * @param component The component that holds its data.
   * @param chunk The chunk on that component.
   */
  replace(virtualChunk: number, component: Component, chunk: number): void {
    const before = this.component(virtualChunk);
    if (before !== undefined) {
      this.old.add(virtualChunk, {
        birth: this.birth(virtualChunk),
        component: before,
        chunk: this.chunk(virtualChunk),
      });
    }
    this.set(virtualChunk, component, chunk);
  }

  /**
   * Adds a version that was read from disk.
   *
   * @param virtualChunk The virtual chunk; no version has the same birth.
   * @param version The version.
   */
  addVersion(virtualChunk: number, version: OldVersion): void {
    const before = this.component(virtualChunk);
    if (before === undefined) {
      const { component, chunk, birth } = version;
      return this.set(virtualChunk, component, chunk, birth);
    }
    const birth = this.birth(virtualChunk);
    if (birth > version.birth) return this.old.add(virtualChunk, version);
    const chunk = this.chunk(virtualChunk);
    this.old.add(virtualChunk, { birth, component: before, chunk });
    this.set(virtualChunk, version.component, version.chunk, version.birth);
  }

  /**
   * Finds a version by its birth.
   *
   * @param virtualChunk The virtual chunk.
   * @param birth The birth.
   * @returns The version, current or old; undefined if there is none.
   */
  version(virtualChunk: number, birth: number): OldVersion | undefined {
    const component = this.component(virtualChunk);
    if (component !== undefined && this.birth(virtualChunk) === birth) {
      return { birth, component, chunk: this.chunk(virtualChunk) };
    }
    return this.old.version(virtualChunk, birth);
  }

  /**
   * Gives a version another place, and withdraws all leases that may lead to it.
   *
   * @param virtualChunk The virtual chunk.
   * @param birth The birth of the version.
   * @param component The component that holds its data from now on.
   * @param chunk The chunk on that component.
   */
  relocate(
    virtualChunk: number,
    birth: number,
    component: Component,
    chunk: number,
  ): void {
    for (const table of this.readers) table.withdraw(virtualChunk);
    if (
      this.component(virtualChunk) !== undefined &&
      this.birth(virtualChunk) === birth
    ) return this.set(virtualChunk, component, chunk, birth);
    this.old.relocate(virtualChunk, birth, component, chunk);
  }

  /**
   * Unmaps a virtual chunk, and withdraws its lease.
   *
   * @param virtualChunk The chunk; mapped.
   */
  delete(virtualChunk: number): void {
    const isMapped = this.#pages.id(virtualChunk) !== 0;
    assert(isMapped, "a chunk to unmap is mapped");
    this.leases?.withdraw(virtualChunk);
    this.#pages.clear(virtualChunk);
    this.#mapped--;
    this.provisioned.delete(virtualChunk);
  }

  /**
   * Finds the first mapped chunk of a range; skips pages that do not exist.
   *
   * @param from The first virtual chunk of the range.
   * @param end The end of the range, exclusive.
   * @returns The mapped virtual chunk, or `end`.
   */
  nextMapped(from: number, end: number): number {
    return this.#pages.nextMapped(from, end);
  }

  /**
   * Finds the first unmapped chunk of a range.
   *
   * @param from The first virtual chunk of the range.
   * @param end The end of the range, exclusive.
   * @returns The unmapped virtual chunk, or `end`.
   */
  nextUnmapped(from: number, end: number): number {
    return this.#pages.nextUnmapped(from, end);
  }
}
