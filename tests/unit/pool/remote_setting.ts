/**
 * A remote component in memory, with a journal in a file, that is killed and
 * opened again.
 *
 * @module
 */

import {
  type FarOwner,
  JOURNAL_SIZE_MIN,
  openRemoteComponent,
  type RemoteComponent,
} from "../../../pool/remote/mod.ts";
import { FarMemory } from "../../helpers/far_memory.ts";
import type { Scratch } from "../../helpers/scratch.ts";

/** Bytes of the component. */
export const SIZE: number = 2 ** 20;

/** A far disk, and a host that connects to it. */
export class Setting {
  readonly content = new Uint8Array(SIZE);
  readonly notices: string[] = [];
  readonly journal: string;
  owner: FarOwner | undefined;

  constructor(scratch: Scratch) {
    this.journal = scratch.file("journal");
  }

  async open(far = this.connect()): Promise<RemoteComponent> {
    return await openRemoteComponent({
      path: "nbd://far/",
      far,
      host: "one",
      journalOf: () => this.journal,
      journalSize: JOURNAL_SIZE_MIN,
      intervalMs: 40,
      onOwner: (owner) => this.owner = owner,
      onNotice: (line) => this.notices.push(line),
    });
  }

  connect(): FarMemory {
    return new FarMemory(SIZE, this.content);
  }
}

export async function firstByte(component: RemoteComponent): Promise<number> {
  const target = new Uint8Array(1);
  await component.read(target, 0);
  return target[0] ?? -1;
}

/** Puts the kill of a process in the place of its end: nothing is given up. */
export async function kill(component: RemoteComponent): Promise<void> {
  component.giveUp("it is killed");
  await component.close();
}

export function byte(value: number): Uint8Array {
  return new Uint8Array([value]);
}
