/**
 * Format 1 at work: when the labels and the map of FreeBSD's gvirstor are
 * written, and in which order.
 *
 * What FreeBSD relies on, and what is therefore kept at every moment: a
 * component is used only when all before it are full; the first component
 * whose label shows room is the one in use or the one before it.
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
import {
  type Component,
  type Finding,
  type ForwardMap,
  inDoubt,
} from "../../core/mod.ts";
import {
  type ComponentLayout,
  freebsdLayout,
  readDeviceLabel,
  wipeDeviceLabels,
  writeDeviceLabel,
} from "../../member/mod.ts";
import { compareFreebsdMap, wipeLeftovers } from "./freebsd_map_scan.ts";
import type { PoolFormat } from "../mod.ts";

/** What all labels of a pool have in common. */
export interface PoolIdentity {
  /** The pool's name. */
  readonly name: string;
  /** Its random number. */
  readonly id: number;
  /** Bytes of the virtual disk. */
  readonly virtualSize: number;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
}

/** The on-disk state of a pool of format 1. */
export class FreebsdFormat implements PoolFormat {
  /** Which format this is. */
  readonly name = "freebsd" as const;
  /** It is never given a chunk back. */
  readonly isDense = true;
  /** What new components have to be like. */
  readonly layout: ComponentLayout;

  readonly #pool: PoolIdentity;
  readonly #entry = new Uint8Array(FREEBSD_MAP_ENTRY_SIZE);
  readonly #entryView = new DataView(this.#entry.buffer);
  #members: readonly Component[];
  /**
   * The count that labels are written with. It changes at the very moment in
   * which the label of component 0 does: a step to the next component in the
   * middle of a change must not write the old one again.
   */
  #count: number;
  #isStopped = false;

  /**
   * Takes over a pool whose labels are already read.
   *
   * @param pool What its labels have in common.
   * @param members Its components, in order.
   */
  constructor(pool: PoolIdentity, members: readonly Component[]) {
    this.layout = freebsdLayout(pool.chunkSize);
    this.#pool = pool;
    this.#members = members;
    this.#count = members.length;
  }

  /** The components, in their order on disk. */
  get members(): readonly Component[] {
    return this.#members;
  }

  /**
   * Writes one entry of the map.
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
    encodeFreebsdMapEntry(component.index, chunk, this.#entryView);
    const offset = virtualChunk * FREEBSD_MAP_ENTRY_SIZE;
    this.#first.device.write(this.#entry, offset);
  }

  /**
   * Shows in the labels which component is in use. FreeBSD starts with the
   * first one whose label shows room and looks at most one further.
   *
   * @param full The component without a free chunk.
   * @param next The component that is next.
   */
  recordSwitch(full: Component, next: Component): void {
    this.#writeLabel(full, COMPONENT_ALLOCATED);
    this.#writeLabel(next, COMPONENT_ALLOCATED | COMPONENT_CURRENT);
  }

  /** No chunk is nobody's again here. */
  recordRelease(): void {
    unreachable();
  }

  /** Writes every label that has changed, durably; nothing is written later. */
  async stop(): Promise<void> {
    await this.updateLabels();
    this.#isStopped = true;
  }

  /** Writes every label that has changed, durably. */
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
   * Adds components; the order is told in `members.ts`.
   *
   * @param added New components.
   * @param onCommit Called when chunks may be allocated on them.
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
      // No chunk may be mapped to a component that is joining.
      for (const one of added) await this.#writeLabelDurably(one, after);
      this.#members = after;
      onCommit();
      for (const one of before.slice(1)) {
        await this.#writeLabelDurably(one, after);
      }
    });
  }

  /**
   * Removes components that hold no chunk; the order is told in `members.ts`.
   *
   * @param removed Members, none of them component 0.
   * @param onCommit Called after the label of component 0 is durable.
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
      "what leaves or is renumbered holds no chunk",
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

  /** Chunks are not moved here. */
  setEvacuating(): Promise<void> {
    return unreachable();
  }

  /** The map has room for so many entries and no more. */
  resize(): Promise<void> {
    return unreachable();
  }

  /**
   * Zeroes map entries that are not in use, durably: FreeBSD wants also those
   * to name a component that there is.
   */
  async #wipeLeftovers(): Promise<void> {
    const geometries = this.#members.map((one) => one.geometry);
    await wipeLeftovers(this.#first.device, this.#pool, geometries);
  }

  /**
   * Compares labels and map on disk with memory.
   *
   * @param map The forward map.
   * @returns What does not agree.
   */
  async check(map: ForwardMap): Promise<Finding[]> {
    const findings: Finding[] = [];
    for (const component of this.#members) {
      const { index, device } = component;
      try {
        const label = readDeviceLabel(device);
        const wanted = this.#label(component, label.flags);
        const chunkNext = label.chunkNext;
        if (!sameLabel({ ...wanted, chunkNext }, label)) {
          throw new Error(`It is not the one of component ${index}`);
        }
      } catch (error) {
        findings.push({
          kind: "differs",
          severity: "damage",
          what: `The label is not as the pool has it: ${messageOf(error)}`,
          where: device.path,
          effect: "the pool will not open again once it is stopped",
        });
      }
    }
    const found = await compareFreebsdMap(this.#pool, this.#members, map);
    return [...findings, ...found];
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
  throw new AssertionError("a dense format is not asked to do this");
}

/** The component that the next chunk comes from, or the last one. */
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
