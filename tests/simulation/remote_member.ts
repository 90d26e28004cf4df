/**
 * A component of a simulated pool on another machine: its far side is one of the
 * files of the world, and its journal another one.
 *
 * @module
 */

import {
  abandon,
  type Completion,
  type WriteOptions,
} from "../../device/block/mod.ts";
import { VirstorError } from "../../errors.ts";
import { nativeGeometry } from "../../metadata/native/mod.ts";
import type { ComponentDevice, OpenDevice } from "../../pool/core/mod.ts";
import {
  Journal,
  JOURNAL_SIZE_MIN,
  RemoteComponent,
  type RemoteComponentOptions,
} from "../../pool/remote/mod.ts";
import { Random } from "./random.ts";
import type { SimulatedDisk, Survivors } from "./simulated_disk.ts";
import { SimulatedFar } from "./simulated_far.ts";

/** The component that the journal is of. */
const UUID = "c0c1c2c3-c4c5-46c7-88c9-cacbcccdcecf";
/** Bytes of a page. */
const PAGE = 4096;
/** Where the file of a journal lies, behind the path of the component. */
export const JOURNAL_SUFFIX = ".journal";

/** A component on another machine. */
export class RemoteMember {
  /** Its path in the world. */
  readonly path: string;
  readonly #chunkSize: number;
  readonly #random = new Random(1);
  /** Another one after each power cut. */
  #bootId: string = crypto.randomUUID();

  /**
   * Makes the file of the journal.
   *
   * @param disk Where everything lies.
   * @param path The file of the far side.
   * @param chunkSize Bytes of a chunk.
   */
  static create(
    disk: SimulatedDisk,
    path: string,
    chunkSize: number,
  ): RemoteMember {
    disk.create(path + JOURNAL_SUFFIX, new Uint8Array(JOURNAL_SIZE_MIN));
    return new RemoteMember(path, chunkSize);
  }

  private constructor(path: string, chunkSize: number) {
    this.path = path;
    this.#chunkSize = chunkSize;
  }

  /**
   * A copy for a copy of the world.
   *
   * @returns The copy.
   */
  clone(): RemoteMember {
    return new RemoteMember(this.path, this.#chunkSize);
  }

  /**
   * Opens components for a process that begins now.
   *
   * @param disk Where everything lies.
   * @returns Opens this one through its journal, and others as they are; for
   *   reading alone, too: then the far side has everything.
   */
  opener(disk: SimulatedDisk): OpenDevice {
    const { open } = disk;
    return (path, how) =>
      path === this.path && how.readOnly !== true
        ? this.#open(disk, open)
        : open(path, how);
  }

  /**
   * What the far side will hold when it has all that is in the journal.
   *
   * @param disk Where everything lies; nothing is open there.
   * @returns All bytes.
   */
  async content(disk: SimulatedDisk): Promise<Uint8Array> {
    const component = await this.#open(disk, disk.open);
    try {
      const bytes = new Uint8Array(component.size);
      await component.read(bytes, 0);
      return bytes;
    } finally {
      await component.close();
    }
  }

  /**
   * What the two machines lose.
   *
   * @param disk Where everything lies; it was restarted.
   * @param survivors What the machine of the journal has kept: after a kill all.
   * @param random Decides what the far machine loses, which may lose its power
   *   at the same time, and whether the journal is lost with its machine.
   */
  lose(disk: SimulatedDisk, survivors: Survivors, random: Random): void {
    if (survivors !== "all") this.#bootId = crypto.randomUUID();
    if (survivors === "all") {
      if (random.chance(50)) return;
      disk.file(this.path).lose(() => random.chance(50));
    } else if (random.chance(30)) {
      const size = JOURNAL_SIZE_MIN;
      disk.create(this.path + JOURNAL_SUFFIX, new Uint8Array(size));
    }
  }

  async #open(
    disk: SimulatedDisk,
    open: OpenDevice,
  ): Promise<ComponentDevice> {
    const device = await open(this.path, { lock: "exclusive" });
    try {
      const component = new SimulatedRemote(disk, this.#random, {
        path: this.path,
        far: new SimulatedFar(device, this.#random, disk),
        journal: await this.#journal(open, device.size),
        retryMs: 0,
      });
      const { tableOffset } = nativeGeometry(device.size, this.#chunkSize);
      await component.keep(tableOffset);
      return component;
    } catch (error) {
      await device.close();
      throw error;
    }
  }

  async #journal(open: OpenDevice, componentSize: number): Promise<Journal> {
    const owner = {
      ...{ componentUuid: UUID, generation: 1, componentSize },
      bootId: this.#bootId,
    };
    const file = await open(this.path + JOURNAL_SUFFIX, {});
    try {
      return await Journal.open(file, owner);
    } catch (error) {
      const isNew = error instanceof VirstorError && error.code === "not-found";
      if (!isNew) {
        await file.close();
        throw error;
      }
    }
    return await Journal.create(file, owner, UUID);
  }
}

/**
 * Finds the components of a world.
 *
 * @param disk Where everything lies; nothing is open there.
 * @param remote The component on another machine, if there is one.
 * @param isComponent Whether bytes carry a label.
 * @returns Their paths.
 */
export async function componentsIn(
  disk: SimulatedDisk,
  remote: RemoteMember | undefined,
  isComponent: (bytes: Uint8Array) => boolean,
): Promise<string[]> {
  const components: string[] = [];
  for (const { path, bytes } of disk.files) {
    const content = path === remote?.path ? await remote.content(disk) : bytes;
    if (isComponent(content)) components.push(path);
  }
  return components;
}

/**
 * A remote component that can be looked at, at once. There are other writes,
 * too, that change nothing: so its journal is full now and then.
 */
class SimulatedRemote extends RemoteComponent {
  readonly #disk: SimulatedDisk;
  readonly #random: Random;

  constructor(
    disk: SimulatedDisk,
    random: Random,
    options: RemoteComponentOptions,
  ) {
    super(options);
    this.#disk = disk;
    this.#random = random;
  }

  override write(
    source: Uint8Array,
    offset: number,
    options?: WriteOptions,
  ): Completion {
    if (this.#random.chance(50)) {
      const page = new Uint8Array(PAGE);
      // The end is in memory, so that it is read at once.
      const at = this.size - PAGE;
      this.#disk.peek(() => this.read(page, at));
      for (let i = this.#random.below(30); i > 0; i--) {
        abandon(super.write(page, at));
      }
    }
    return super.write(source, offset, options);
  }

  override readCached(target: Uint8Array, offset: number): number {
    if (!this.#disk.isPeeking) return super.readCached(target, offset);
    if (this.read(target, offset) === undefined) return target.length;
    throw new Error("A look at a far side takes no time");
  }
}
