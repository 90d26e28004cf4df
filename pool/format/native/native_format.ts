/**
 * Format 2 at work: when superblocks and chunk tables are written, and in
 * which order.
 *
 * A change of the pool is one generation: the superblocks of all members are
 * written with the next number, each to the slot that does not count. The
 * first one that is durable is the change; a member that missed it is brought
 * up to date at the next open.
 *
 * @module
 */

import { joinParts } from "../../../device/block/mod.ts";
import { assert, AssertionError } from "../../../errors.ts";
import type { MemberState, Superblock } from "../../../metadata/native/mod.ts";
import {
  type Component,
  type Finding,
  flushAll,
  type ForwardMap,
  inDoubt,
} from "../../core/mod.ts";
import {
  type ComponentLayout,
  nativeLayout,
  wipeDeviceLabels,
  writeFirstSuperblock,
  writeSuperblock,
} from "../../member/mod.ts";
import { checkNativeMember } from "./native_check.ts";
import { type NativeMember, newMember } from "./native_member.ts";
import type { PoolFormat } from "../mod.ts";

/** What all superblocks of a pool have in common for ever. */
export type NativeIdentity = Pick<
  Superblock,
  "name" | "poolUuid" | "chunkSize" | "compat" | "readOnlyCompat"
>;

/** What was read of a pool. */
export interface NativeState {
  /** The generation that counts. */
  readonly generation: number;
  /** The highest sequence number of all entries. */
  readonly sequence: number;
  /** The forward map, which says how large the disk is. */
  readonly map: Pick<ForwardMap, "virtualChunks">;
  /** The members. */
  readonly members: ReadonlyMap<Component, NativeMember>;
}

/** The on-disk state of a pool of format 2. */
export class NativeFormat implements PoolFormat {
  /** Which format this is. */
  readonly name = "native" as const;
  /** Any free chunk will do. */
  readonly isDense = false;
  /** What new components have to be like. */
  readonly layout: ComponentLayout;

  readonly #pool: NativeIdentity;
  readonly #stored: Map<Component, NativeMember>;
  readonly #map: Pick<ForwardMap, "virtualChunks">;
  #members: readonly Component[];
  #generation: number;
  #sequence: number;
  #isStopped = false;

  /**
   * Takes over a pool whose superblocks and tables are already read.
   *
   * @param pool What its superblocks have in common.
   * @param state What was read.
   */
  constructor(pool: NativeIdentity, state: NativeState) {
    this.layout = nativeLayout(pool.chunkSize);
    this.#pool = pool;
    this.#stored = new Map(state.members);
    this.#members = [...state.members.keys()];
    this.#map = state.map;
    this.#generation = state.generation;
    this.#sequence = state.sequence;
  }

  /** The components, in the order in which superblocks list them. */
  get members(): readonly Component[] {
    return this.#members;
  }

  /**
   * Writes the table entry of a chunk.
   *
   * @param virtualChunk The virtual chunk.
   * @param component Where it is.
   * @param chunk The chunk on that component.
   */
  recordMapping(
    virtualChunk: number,
    component: Component,
    chunk: number,
  ): void {
    assert(!this.#isStopped, "nothing is mapped in a pool that was stopped");
    this.#member(component).table.own(chunk, virtualChunk, ++this.#sequence);
  }

  /**
   * Clears the table entries of chunks.
   *
   * @param component Where they are.
   * @param chunks Their numbers.
   */
  recordRelease(component: Component, chunks: readonly number[]): void {
    assert(!this.#isStopped, "nothing is freed in a pool that was stopped");
    this.#member(component).table.disown(chunks);
  }

  /** There is no order between components here. */
  recordSwitch(): void {
    throw new AssertionError("only dense formats step to the next component");
  }

  /**
   * Says durably that the pool is in use. Nothing else is written before.
   *
   * @returns Done when it is durable.
   */
  begin(): Promise<void> {
    return this.#nextGeneration(this.#members, false);
  }

  /**
   * Gives every page of the tables that has only one copy a second one,
   * durably.
   */
  async mirror(): Promise<void> {
    await this.#flushAll(this.#members);
    for (const { table } of this.#stored.values()) table.mirror();
    await this.#flushAll(this.#members);
  }

  /** Copies pages, and says that the pool was stopped cleanly, durably. */
  async stop(): Promise<void> {
    await this.mirror();
    await this.#nextGeneration(this.#members, true);
    this.#isStopped = true;
  }

  /**
   * Adds components: first their superblocks, which say that they are joining
   * and have no vote; then the generation that lists them.
   *
   * @param added New components, all zeroes.
   * @param onCommit Called when chunks may be allocated on them.
   */
  async addMembers(
    added: readonly Component[],
    onCommit: () => void,
  ): Promise<void> {
    const after = [...this.#members, ...added];
    for (const one of added) {
      this.#stored.set(one, newMember(one, this.#pool.chunkSize));
    }
    const joining = new Set(added);
    // Both slots, so that one that is blank later is known to be damaged.
    await joinParts(added, (one) =>
      writeFirstSuperblock(
        one.device,
        this.#superblock(one, after, false, joining),
      ));
    await this.#change(after, onCommit);
  }

  /**
   * Removes components that hold no chunk: first the generation that does not
   * list them, then their superblocks are wiped.
   *
   * @param removed Members.
   * @param onCommit Called when they are members no more.
   */
  async removeMembers(
    removed: readonly Component[],
    onCommit: () => void,
  ): Promise<void> {
    assert(
      removed.every((one) => one.used === 0),
      "what leaves holds no chunk",
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
   * Marks components that are to leave.
   *
   * @param evacuating These, and no others.
   */
  async setEvacuating(evacuating: ReadonlySet<Component>): Promise<void> {
    for (const one of this.#members) one.evacuating = evacuating.has(one);
    await this.#change(this.#members);
  }

  /**
   * Gives the virtual disk another size.
   *
   * @param virtualSize Bytes, whole chunks.
   */
  async resize(virtualSize: number): Promise<void> {
    // Entries beyond a new end are cleared, but maybe not durably yet: a disk
    // must not become smaller than they say.
    await inDoubt("The superblocks", () => this.#flushAll(this.#members));
    await inDoubt(
      "The superblocks",
      () => this.#nextGeneration(this.#members, false, virtualSize),
    );
  }

  /**
   * Compares superblocks and tables on disk with memory.
   *
   * @param map The forward map.
   * @returns What does not agree.
   */
  async check(map: ForwardMap): Promise<Finding[]> {
    const findings: Finding[] = [];
    for (const component of this.#members) {
      const stored = this.#stored.get(component);
      // It may have left in the meantime.
      if (stored === undefined) continue;
      findings.push(
        ...await checkNativeMember(
          component,
          stored,
          () => this.#generation,
          map,
        ),
      );
    }
    return findings;
  }

  /** Makes a generation of the pool as it is in memory, and these members. */
  async #change(
    after: readonly Component[],
    onCommit: () => void = () => {},
  ): Promise<void> {
    await inDoubt("The superblocks", () => this.#nextGeneration(after, false));
    this.#members = after;
    after.forEach((one, index) => one.index = index);
    onCommit();
  }

  /** Writes the next generation to those who are members in it. */
  async #nextGeneration(
    members: readonly Component[],
    clean: boolean,
    virtualSize: number = this.#virtualSize,
  ): Promise<void> {
    assert(!this.#isStopped, "a pool that was stopped makes no generation");
    this.#generation++;
    for (const one of members) {
      const { slot } = this.#member(one);
      const superblock = {
        ...this.#superblock(one, members, clean),
        virtualSize,
      };
      writeSuperblock(one.device, superblock, 1 - slot);
    }
    await this.#flushAll(members);
    for (const one of members) {
      const stored = this.#member(one);
      stored.slot = 1 - stored.slot;
    }
  }

  get #virtualSize(): number {
    return this.#map.virtualChunks * this.#pool.chunkSize;
  }

  #superblock(
    component: Component,
    members: readonly Component[],
    clean: boolean,
    joining: ReadonlySet<Component> = new Set(),
  ): Superblock {
    return {
      ...this.#pool,
      componentUuid: this.#member(component).uuid,
      generation: this.#generation,
      clean,
      tableDigest: clean ? this.#member(component).table.digest : 0,
      virtualSize: this.#virtualSize,
      componentSize: component.geometry.size,
      members: members.map((one) => ({
        uuid: this.#member(one).uuid,
        state: stateOf(one, joining),
        chunkCount: one.geometry.chunkCount,
      })),
    };
  }

  #member(component: Component): NativeMember {
    const member = this.#stored.get(component);
    assert(member !== undefined, "a component of the pool is known");
    return member;
  }

  async #flushAll(components: readonly Component[]): Promise<void> {
    await flushAll(components.map(({ device }) => device));
  }
}

function stateOf(
  component: Component,
  joining: ReadonlySet<Component>,
): MemberState {
  if (joining.has(component)) return "joining";
  return component.evacuating ? "evacuating" : "active";
}
