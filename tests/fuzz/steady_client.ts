/**
 * A client that behaves, and goes on writing and reading what it has written
 * while others do not.
 *
 * @module
 */

import { BusyClient, type Reply } from "../helpers/busy_client.ts";
import {
  type Dialect,
  NBD,
  type NbdAddress,
  type RawReply,
  type RawRequest,
} from "../helpers/nbd_client.ts";
import { pattern } from "../helpers/scratch.ts";
import { Random } from "../simulation/random.ts";
import { Slot } from "./slot.ts";
import { KEPT, SLOT_SIZE } from "./world.ts";

/** Requests at once, none of which overlap. */
const IN_FLIGHT = 4;
/** Bytes that belong to one of them. */
const LANE = SLOT_SIZE / IN_FLIGHT;
const LENGTHS = [1, 512, 4096, 70_000, 300_000];

/** A client that behaves. */
export class SteadyClient {
  /** Requests that were answered right. */
  answered = 0;
  readonly #client: BusyClient;
  readonly #slot: Slot;
  readonly #random: Random;
  #stopped = false;

  private constructor(client: BusyClient, slot: Slot, seed: number) {
    this.#client = client;
    this.#slot = slot;
    this.#random = new Random(seed);
  }

  /**
   * Connects.
   *
   * @param address Where.
   * @param dialect How to talk.
   * @param index Its part of the kept disk.
   * @returns The client.
   */
  static async open(
    address: NbdAddress,
    dialect: Dialect,
    index: number,
  ): Promise<SteadyClient> {
    const client = await BusyClient.open(address, KEPT, dialect);
    return new SteadyClient(client, new Slot(index), index);
  }

  /**
   * Works until it is stopped.
   *
   * @throws {Error} If an answer is wrong.
   */
  async work(): Promise<void> {
    while (!this.#stopped) {
      const lanes = Array.from({ length: IN_FLIGHT }, (_, i) => this.#step(i));
      await Promise.all([...lanes, this.#flush()]);
    }
    await this.#client.disconnect();
  }

  /** Lets it end. */
  stop(): void {
    this.#stopped = true;
  }

  async #flush(): Promise<void> {
    this.#check(await this.#client.flush());
  }

  /** Changes something and reads it, in a part that no other step touches. */
  async #step(lane: number): Promise<void> {
    const random = this.#random;
    const start = lane * LANE;
    const length = random.pick(LENGTHS);
    const offset = this.#slot.offset + start + random.below(LANE - length);
    const payload = pattern(length, random.below(1000));
    if (random.chance(80)) {
      const flags = random.pick([0, 0, NBD.CMD_FLAG_FUA]);
      const reply = await this.#client.write(offset, payload, flags);
      this.#note({ command: NBD.CMD_WRITE, offset, payload }, reply);
    } else {
      const reply = await this.#client.writeZeroes(offset, length);
      this.#note({ command: NBD.CMD_WRITE_ZEROES, offset, length }, reply);
    }
    const range = { offset: this.#slot.offset + start, length: LANE };
    const reply = await this.#client.read(range.offset, range.length);
    this.#note({ command: NBD.CMD_READ, ...range }, reply);
  }

  #note(request: RawRequest, { errno, payload }: Reply): void {
    this.#check({ errno, payload });
    const reply: Pick<RawReply, "payload"> = { payload };
    this.#slot.note(request, reply);
  }

  #check({ errno }: Reply): void {
    if (errno !== 0) throw new Error(`A good client has got error ${errno}`);
    this.answered++;
  }
}
