/**
 * Format 2 of an open pool: when superblocks and chunk tables are written, and
 * in which order.
 *
 * A change of the pool is one generation. The pool writes a superblock with the
 * next generation number to all members, each to the slot that is not current.
 * The change takes effect with the first superblock that is durable; the next
 * open updates members that missed it.
 *
 * @module
 */

import { joinParts } from "../../../device/block/mod.ts";
import { assert, AssertionError } from "../../../errors.ts";
import {
  newOverflowSize,
  type Superblock,
  type VolumeRecord,
  type VolumeTable,
} from "../../../metadata/native/mod.ts";
import {
  type ChunkOwner,
  type Component,
  type Finding,
  flushAll,
  type ForwardMap,
  inDoubt,
  isPlainVolume,
} from "../../core/mod.ts";
import {
  type ComponentLayout,
  nativeLayout,
  wipeDeviceLabels,
  writeFirstSuperblock,
  writeSuperblock,
} from "../../member/mod.ts";
import { checkMembers } from "./native_check.ts";
import { copyTable, takeEffect, wipeFormerEnd } from "./native_growth.ts";
import { type NativeMember, newMember } from "./native_member.ts";
import type { NativeIdentity, NativeState } from "./native_state.ts";
import type { ChunkTable } from "./native_table.ts";
import { superblockOf } from "./superblock_of.ts";
import { assertRoom, roomFault, roomOf } from "./superblock_room.ts";
import type { PoolFormat } from "../mod.ts";

/** The on-disk state of an open pool of format 2. */
export class NativeFormat implements PoolFormat {
  /** The name of the format. */
  readonly name = "native" as const;
  /** Any free chunk may be allocated next. */
  readonly isDense = false;
  /** How components are divided; also the requirements for new ones. */
  readonly layout: ComponentLayout;

  readonly #pool: NativeIdentity;
  readonly #stored: Map<Component, NativeMember>;
  readonly #bootId: string;
  #records: readonly VolumeRecord[];
  #listsVolumes: boolean;
  #members: readonly Component[];
  #generation: number;
  #sequence: number;
  #isStopped = false;
  /** The tables whose entries are being collected. */
  #held: Set<ChunkTable> | undefined;

  /**
   * Creates the format of a pool whose superblocks and tables were read.
   *
   * @param pool The fields that its superblocks share.
   * @param state Its state as it was read.
   */
  constructor(pool: NativeIdentity, state: NativeState) {
    const faultOf = (size: number) => this.#roomFault(size);
    this.layout = { ...nativeLayout(pool.chunkSize), faultOf };
    this.#pool = pool;
    this.#stored = new Map(state.members);
    this.#members = [...state.members.keys()];
    [this.#records, this.#bootId] = [state.records, state.bootId];
    this.#listsVolumes = state.listsVolumes;
    [this.#generation, this.#sequence] = [state.generation, state.sequence];
  }

  /** The volumes, as the superblocks list them. */
  get records(): readonly VolumeRecord[] {
    return this.#records;
  }

  /** The components, in the order in which superblocks list them. */
  get members(): readonly Component[] {
    return this.#members;
  }

  /**
   * Writes the table entry of a chunk into the page cache.
   *
   * @param virtualChunk The virtual chunk.
   * @param owner The volume that it belongs to, and the birth of the mapping.
   * @param component The component that holds its data.
   * @param chunk The chunk on that component; its entry is free.
   * @throws {VirstorError} `io`, `corrupt` if the page on disk is damaged.
   */
  recordMapping(
    virtualChunk: number,
    owner: ChunkOwner,
    component: Component,
    chunk: number,
  ): void {
    assert(!this.#isStopped, "a stopped pool maps no chunk");
    const { table } = this.#member(component);
    this.#held?.add(table.hold());
    table.own(chunk, virtualChunk, ++this.#sequence, owner);
  }

  /**
   * Writes table entries into the page cache, each page of a table once.
   *
   * @param record Calls {@linkcode recordMapping}, and awaits nothing.
   * @throws {VirstorError} `io`, `corrupt` if a page on disk is damaged.
   */
  recordTogether(record: () => void): void {
    const held = new Set<ChunkTable>();
    this.#held = held;
    try {
      record();
    } finally {
      this.#held = undefined;
      for (const table of held) table.release();
    }
  }

  /**
   * Marks provisional table entries settled in the page cache.
   *
   * @param component The component of the chunks.
   * @param chunks Their numbers, best in ascending order.
   * @throws {VirstorError} `io`, `corrupt` if a page on disk is damaged.
   */
  recordSettled(component: Component, chunks: readonly number[]): void {
    assert(!this.#isStopped, "a stopped pool settles no chunk");
    this.#member(component).table.settle(chunks);
  }

  /**
   * Marks table entries free in the page cache.
   *
   * @param component The component of the chunks.
   * @param chunks Their numbers, best in ascending order.
   * @throws {VirstorError} `io`, `corrupt` if a page on disk is damaged.
   */
  recordRelease(component: Component, chunks: readonly number[]): void {
    assert(!this.#isStopped, "a stopped pool frees no chunk");
    this.#member(component).table.disown(chunks);
  }

  /** Always throws: this format does not order its components. */
  recordSwitch(): void {
    throw new AssertionError("only dense formats step to the next component");
  }

  /**
   * Records durably that the pool is in use. Tables are written only after
   * that.
   *
   * @returns Settles when it is durable.
   */
  begin(): Promise<void> {
    return this.#nextGeneration(this.#members, false);
  }

  /** Gives each table page with only one copy a second one, durably. */
  async mirror(): Promise<void> {
    await this.#flushAll(this.#members);
    for (const { table } of this.#stored.values()) table.mirror();
    await this.#flushAll(this.#members);
  }

  /** Mirrors table pages, then records a clean stop, durably. */
  async stop(): Promise<void> {
    await this.mirror();
    await this.#nextGeneration(this.#members, true);
    this.#isStopped = true;
  }

  /**
   * Adds components: first their superblocks, which list them as joining and
   * have no vote; then the generation that lists them as active.
   *
   * @param added The new components; their metadata regions are zeroes.
   * @param onCommit Called once chunks may be allocated on them.
   */
  async addMembers(
    added: readonly Component[],
    onCommit: () => void,
  ): Promise<void> {
    const after = [...this.#members, ...added];
    if (this.#listsVolumes) this.assertFits(this.#records, after);
    for (const one of added) {
      this.#stored.set(one, newMember(one, this.#pool.chunkSize));
    }
    const joining = new Set(added);
    // Into both slots: a slot that is blank later is known to be damaged.
    await joinParts(added, (one) =>
      writeFirstSuperblock(
        one.device,
        this.#superblock(one, after, false, joining),
      ));
    await this.#change(after, onCommit);
  }

  /**
   * Takes in what a member got; see `native_growth.ts`.
   *
   * @param member The member.
   * @param size Bytes of it from now on.
   * @param onCommit Called once chunks may be allocated there.
   */
  async growMember(
    member: Component,
    size: number,
    onCommit: () => void,
  ): Promise<void> {
    const former = this.#member(member);
    const grown = await copyTable(member, former, this.#pool.chunkSize);
    await inDoubt("The superblocks", async () => {
      const { geometry } = member;
      const chunkCount = this.layout.chunkCountOf(size);
      member.geometry = { ...geometry, size, chunkCount };
      this.#generation++;
      const label = this.#superblock(member, this.#members, false);
      const use = () => this.#stored.set(member, grown);
      await takeEffect(member, label, { grown, former, use });
      const others = this.#members.filter((one) => one !== member);
      await this.#writeGeneration(others, this.#members, false);
      await wipeFormerEnd(member, geometry.size);
      onCommit();
    });
  }

  /**
   * Removes components that hold no chunk: first the generation that no longer
   * lists them; then their superblocks are wiped.
   *
   * @param removed The members to remove.
   * @param onCommit Called once they are no longer members.
   */
  async removeMembers(
    removed: readonly Component[],
    onCommit: () => void,
  ): Promise<void> {
    assert(
      removed.every((one) => one.used === 0),
      "a component that leaves holds no chunk",
    );
    const stay = this.#members.filter((one) => !removed.includes(one));
    await this.#change(stay, onCommit);
    await inDoubt("The superblocks", async () => {
      for (const one of removed) {
        this.#stored.delete(one);
        one.device.observer = undefined;
        await wipeDeviceLabels(one.device);
      }
    });
  }

  /**
   * Records which components are evacuating.
   *
   * @param evacuating All members that are to be evacuated; the others stay.
   */
  async setEvacuating(evacuating: ReadonlySet<Component>): Promise<void> {
    for (const one of this.#members) one.evacuating = evacuating.has(one);
    await this.#change(this.#members);
  }

  /**
   * Changes the volumes.
   *
   * @param records All volumes from now on; the first has the pool's name.
   */
  async setVolumes(records: readonly VolumeRecord[]): Promise<void> {
    const listsVolumes = this.#listsVolumes || records.length > 1 ||
      !records.every(isPlainVolume);
    if (listsVolumes) this.assertFits(records);
    await inDoubt("The superblocks", async () => {
      // Entries beyond a smaller size are free, but maybe not durably. They
      // must be durable first: an open refuses entries beyond the end.
      await this.#flushAll(this.#members);
      this.#listsVolumes = listsVolumes;
      this.#records = records;
      await this.#nextGeneration(this.#members, false);
    });
  }

  /** Makes the superblocks list the volumes, durably. */
  async listVolumes(): Promise<void> {
    if (this.#listsVolumes) return;
    this.assertFits(this.#records);
    await inDoubt("The superblocks", async () => {
      this.#listsVolumes = true;
      await this.#nextGeneration(this.#members, false);
    });
  }

  /** Refuses volumes for which superblocks of members have no room. */
  assertFits(
    records: readonly VolumeRecord[],
    members: readonly Component[] = this.#members,
  ): void {
    const table = { bootId: this.#bootId, volumes: records };
    const rooms = members.map((one) => roomOf(one, this.#stored.get(one)));
    assertRoom(this.#records[0]?.name ?? "", table, rooms);
  }

  /**
   * Compares superblocks and tables on disk with the state in memory.
   *
   * @param maps The forward maps, by the number of the volume.
   * @returns The differences, and damage that was found on the way.
   */
  async check(maps: ReadonlyMap<number, ForwardMap>): Promise<Finding[]> {
    const [hasVolumes, records] = [this.#listsVolumes, this.#records];
    const pool = { maps, hasVolumes, records };
    const generation = () => this.#generation;
    return await checkMembers(this.#members, this.#stored, generation, pool);
  }

  /** Writes a generation with the given members, and adopts them in memory. */
  async #change(
    after: readonly Component[],
    onCommit: () => void = () => {},
  ): Promise<void> {
    await inDoubt("The superblocks", () => this.#nextGeneration(after, false));
    this.#members = after;
    after.forEach((one, index) => one.index = index);
    onCommit();
  }

  /** Writes the next generation to all its members, durably. */
  async #nextGeneration(
    members: readonly Component[],
    clean: boolean,
  ): Promise<void> {
    assert(!this.#isStopped, "a stopped pool writes no generation");
    this.#generation++;
    await this.#writeGeneration(members, members, clean);
  }

  /** Writes the generation to some members, durably. */
  async #writeGeneration(
    some: readonly Component[],
    members: readonly Component[],
    clean: boolean,
  ): Promise<void> {
    for (const one of some) {
      const superblock = this.#superblock(one, members, clean);
      writeSuperblock(one.device, superblock, 1 - this.#member(one).slot);
    }
    await this.#flushAll(some);
    for (const one of some) this.#member(one).slot ^= 1;
  }

  #roomFault(size: number): string {
    const [[first], table] = [this.#records, this.#table];
    if (first === undefined || table === undefined) return "";
    const count = this.#members.length + 1;
    return roomFault(first.name, table, count, newOverflowSize(size));
  }

  /** The volumes, if superblocks list them. */
  get #table(): VolumeTable | undefined {
    return this.#listsVolumes
      ? { bootId: this.#bootId, volumes: this.#records }
      : undefined;
  }

  #superblock(
    component: Component,
    members: readonly Component[],
    clean: boolean,
    joining: ReadonlySet<Component> = new Set(),
  ): Superblock {
    const [first] = this.#records;
    const [name, virtualSize] = [first?.name ?? "", first?.size ?? 0];
    const [generation, volumes] = [this.#generation, this.#table];
    const shared = { ...this.#pool, name, virtualSize, generation, volumes };
    const all = members.map((one) => [one, this.#member(one)] as const);
    return superblockOf(component, { ...shared, clean }, all, joining);
  }

  #member(component: Component): NativeMember {
    const member = this.#stored.get(component);
    assert(member !== undefined, "every component of the pool has a state");
    return member;
  }

  async #flushAll(components: readonly Component[]): Promise<void> {
    await flushAll(components.map(({ device }) => device));
  }
}
