/**
 * Format 1 of an open pool: when the labels and the map of FreeBSD's gvirstor
 * are written, and in which order.
 *
 * FreeBSD relies on two invariants, which hold at every moment: a component is
 * used only when all components before it are full; and the first component
 * whose label shows room is the current one or the one before it.
 *
 * @module
 */

import { assert, AssertionError, messageOf } from "../../../errors.ts";
import {
  COMPONENT_ALLOCATED,
  COMPONENT_CURRENT,
  COMPONENT_JOINING,
  encodeFreebsdMapEntry,
  FREEBSD_MAP_ENTRY_SIZE,
  type FreebsdLabel,
} from "../../../metadata/freebsd/mod.ts";
import type { VolumeRecord } from "../../../metadata/native/mod.ts";
import {
  applied,
  type Component,
  type Finding,
  firstVolume,
  type ForwardMap,
  inDoubt,
  unreadableMetadata,
} from "../../core/mod.ts";
import { assertMayGrow, moveLabel } from "./freebsd_growth.ts";
import {
  type ComponentLayout,
  freebsdLayout,
  readDeviceLabel,
  wipeDeviceLabels,
  writeDeviceLabel,
} from "../../member/mod.ts";
import { compareFreebsdMap, wipeLeftovers } from "./freebsd_map_scan.ts";
import type { PoolFormat } from "../mod.ts";

/** The fields that all labels of a pool share. */
export interface PoolIdentity {
  /** The pool's name. */
  readonly name: string;
  /** The pool's random id, 32 bits. */
  readonly id: number;
  /** Bytes of the virtual disk. */
  readonly virtualSize: number;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
}

/** The on-disk state of an open pool of format 1. */
export class FreebsdFormat implements PoolFormat {
  /** The name of the format. */
  readonly name = "freebsd" as const;
  /** The format never frees a chunk. */
  readonly isDense = true;
  /** How components are divided; also the requirements for new ones. */
  readonly layout: ComponentLayout;

  readonly #pool: PoolIdentity;
  readonly #entry = new Uint8Array(FREEBSD_MAP_ENTRY_SIZE);
  readonly #entryView = new DataView(this.#entry.buffer);
  #members: readonly Component[];
  /**
   * The count written into labels. It changes in the same turn in which the
   * label of component 0 is rewritten: if a first write moves on to the next
   * component in the middle of a change, the labels it writes must not carry
   * the old count.
   */
  #count: number;
  #isStopped = false;

  /**
   * Creates the format of a pool whose labels were read.
   *
   * @param pool The fields that its labels share.
   * @param members Its components, in order.
   */
  constructor(pool: PoolIdentity, members: readonly Component[]) {
    this.layout = freebsdLayout(pool.chunkSize);
    this.#pool = pool;
    this.#members = members;
    this.#count = members.length;
  }

  /** The only volume. */
  get records(): readonly VolumeRecord[] {
    return [firstVolume(this.#pool.name, this.#pool.virtualSize)];
  }

  /** The components, in their order on disk. */
  get members(): readonly Component[] {
    return this.#members;
  }

  /**
   * Writes one map entry into the page cache.
   *
   * @param virtualChunk The virtual chunk.
   * @param _owner Always the only volume.
   * @param component The component that holds its data.
   * @param chunk The chunk on that component.
   * @throws {VirstorError} `io`.
   */
  recordMapping(
    virtualChunk: number,
    _owner: unknown,
    component: Component,
    chunk: number,
  ): void {
    assert(!this.#isStopped, "a stopped pool maps no chunk");
    encodeFreebsdMapEntry(component.index, chunk, this.#entryView);
    const offset = virtualChunk * FREEBSD_MAP_ENTRY_SIZE;
    applied(this.#first.device.write(this.#entry, offset));
  }

  /**
   * Writes several map entries into the page cache.
   *
   * @param record Calls {@linkcode recordMapping}.
   */
  recordTogether(record: () => void): void {
    record();
  }

  /**
   * Marks in the labels which component is current. FreeBSD starts with the
   * first component whose label shows room, and looks at most one further.
   *
   * @param full The component that has no free chunk left.
   * @param next The component that becomes current.
   * @throws {VirstorError} `io`.
   */
  recordSwitch(full: Component, next: Component): void {
    this.#writeLabel(full, COMPONENT_ALLOCATED);
    this.#writeLabel(next, COMPONENT_ALLOCATED | COMPONENT_CURRENT);
  }

  /** Always throws: the format has no provisional mapping. */
  recordSettled(): void {
    return unreachable();
  }

  /** Always throws: the format never frees a chunk. */
  recordRelease(): void {
    unreachable();
  }

  /** Writes every label that changed, durably, and refuses later mappings. */
  async stop(): Promise<void> {
    await this.updateLabels();
    this.#isStopped = true;
  }

  /** Writes every label that changed, durably. */
  async updateLabels(): Promise<void> {
    const current = currentOf(this.#members);
    for (const component of this.#members) {
      const label = this.#label(component, flagsOf(component, current));
      if (!sameLabel(label, readDeviceLabel(component.device))) {
        writeDeviceLabel(
          component.device,
          label,
          component.geometry.sectorSize,
        );
      }
    }
    for (const { device } of this.#members) await device.flush();
  }

  /**
   * Adds components; `pool/member/freebsd_members.ts` explains the order.
   *
   * @param added The new components, with the next free indexes.
   * @param onCommit Called once chunks may be allocated on them.
   */
  async addMembers(
    added: readonly Component[],
    onCommit: () => void,
  ): Promise<void> {
    const before = this.#members;
    const after = [...before, ...added];
    after.forEach((one, index) => {
      assert(one.index === index, "components are added at the end");
    });
    for (const one of added) {
      const label = this.#label(one, COMPONENT_JOINING);
      writeDeviceLabel(one.device, { ...label, count: after.length });
      await one.device.flush();
    }
    await inDoubt("The labels", async () => {
      this.#count = after.length;
      await this.#writeLabelDurably(this.#first, after);
      // No chunk may be mapped to a component while its label says "joining".
      for (const one of added) await this.#writeLabelDurably(one, after);
      this.#members = after;
      onCommit();
      for (const one of before.slice(1)) {
        await this.#writeLabelDurably(one, after);
      }
    });
  }

  /**
   * Removes components; `pool/member/freebsd_members.ts` explains the order.
   *
   * *Requires*: the components, and those behind them, hold no chunk.
   *
   * @param removed Members, none of them component 0.
   * @param onCommit Called once the label of component 0 is durable.
   */
  async removeMembers(
    removed: readonly Component[],
    onCommit: () => void,
  ): Promise<void> {
    const before = this.#members;
    const stay = before.filter((one) => !removed.includes(one));
    const count = stay.length;
    const start = Math.min(...removed.map((one) => one.index));
    const moved = stay.filter((one) => one.index > start);
    assert(start > 0, "component 0 stays");
    assert(
      [...moved, ...removed].every((one) => one.used === 0),
      "a component that leaves or is renumbered holds no chunk",
    );
    [...stay, ...removed].forEach((one, index) => one.index = index);
    await inDoubt("The labels", async () => {
      await this.#wipeLeftovers();
      for (const one of [...moved, ...removed]) {
        const label = { ...this.#label(one, 0), count };
        writeDeviceLabel(one.device, label, one.geometry.sectorSize);
        await one.device.flush();
      }
      this.#count = count;
      await this.#writeLabelDurably(this.#first, stay);
      this.#members = stay;
      onCommit();
      for (const one of stay.slice(1, start)) {
        await this.#writeLabelDurably(one, stay);
      }
      for (const one of removed) await wipeDeviceLabels(one.device);
    });
  }

  /**
   * Takes in what a member got: its label moves to the new end.
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
    assertMayGrow(this, member, size);
    const chunkCount = this.layout.chunkCountOf(size);
    const geometry = { ...member.geometry, size, chunkCount };
    await moveLabel(
      member,
      geometry,
      () => this.#writeLabelDurably(member, this.#members),
    );
    onCommit();
  }

  /** Always throws: the format cannot move chunks. */
  setEvacuating(): Promise<void> {
    return unreachable();
  }

  /** Always throws: a pool of this format has one volume, of one size. */
  setVolumes(): Promise<void> {
    return unreachable();
  }

  /** Always throws: a pool of this format has one volume. */
  assertFits(): never {
    unreachable();
  }

  /** Always throws: a pool of this format has one volume. */
  listVolumes(): Promise<void> {
    return unreachable();
  }

  /**
   * Zeroes the map entries of unmapped virtual chunks, durably. FreeBSD
   * requires these entries, too, to name an existing component.
   */
  async #wipeLeftovers(): Promise<void> {
    const geometries = this.#members.map((one) => one.geometry);
    await wipeLeftovers(this.#first.device, this.#pool, geometries);
  }

  /**
   * Compares labels and map on disk with the state in memory.
   *
   * @param maps The forward map of the only volume.
   * @returns The differences, and damage that was found on the way.
   */
  async check(maps: ReadonlyMap<number, ForwardMap>): Promise<Finding[]> {
    const map = maps.get(0);
    assert(map !== undefined, "a pool has a first volume");
    const findings: Finding[] = [];
    for (const component of this.#members) {
      const { index, device } = component;
      try {
        const label = readDeviceLabel(device);
        const wanted = this.#label(component, label.flags);
        const chunkNext = label.chunkNext;
        if (!sameLabel({ ...wanted, chunkNext }, label)) {
          throw new Error(`It is not the label of component ${index}`);
        }
      } catch (error) {
        findings.push({
          kind: "differs",
          severity: "damage",
          what: `The label differs from the pool's: ${messageOf(error)}`,
          where: device.path,
          effect: "the pool will not open again after it is stopped",
        });
      }
    }
    try {
      const found = await compareFreebsdMap(this.#pool, this.#members, map);
      return [...findings, ...found];
    } catch (error) {
      return [...findings, unreadableMetadata(this.#first.device.path, error)];
    }
  }

  get #first(): Component {
    const first = this.#members[0];
    assert(first !== undefined, "a pool has at least one component");
    return first;
  }

  #label(component: Component, flags: number): FreebsdLabel {
    const { geometry } = component;
    return {
      name: this.#pool.name,
      id: this.#pool.id,
      virtualSize: this.#pool.virtualSize,
      chunkSize: this.#pool.chunkSize,
      count: this.#count,
      index: component.index,
      hardcodedName: geometry.hardcodedName,
      componentSize: geometry.size,
      chunkCount: geometry.chunkCount,
      chunkNext: component.next,
      chunkReserved: geometry.chunkReserved,
      flags,
    };
  }

  #writeLabel(component: Component, flags: number): void {
    const { device, geometry } = component;
    const label = this.#label(component, flags);
    writeDeviceLabel(device, label, geometry.sectorSize);
  }

  async #writeLabelDurably(
    component: Component,
    members: readonly Component[],
  ): Promise<void> {
    this.#writeLabel(component, flagsOf(component, currentOf(members)));
    await component.device.flush();
  }
}

function unreachable(): never {
  throw new AssertionError("a dense format does not support this call");
}

/** The component with the next chunk to allocate; the last one if all full. */
function currentOf(members: readonly Component[]): Component | undefined {
  return members.find((one) => one.free > 0) ?? members[members.length - 1];
}

function flagsOf(
  component: Component,
  current: Component | undefined,
): number {
  if (component === current) return COMPONENT_ALLOCATED | COMPONENT_CURRENT;
  const isBefore = component.index < (current?.index ?? 0);
  return isBefore ? COMPONENT_ALLOCATED : 0;
}

function sameLabel(one: FreebsdLabel, other: FreebsdLabel): boolean {
  const keys = Object.keys(one) as (keyof FreebsdLabel)[];
  return keys.every((key) => one[key] === other[key]);
}
