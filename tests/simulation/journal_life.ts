/**
 * A life of a remote component on two simulated machines: this one, with the
 * journal, and the far one. Either may lose its power, and the process may be
 * killed, before any change of a file, again and again.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { ownerBlockPosition } from "../../metadata/journal/mod.ts";
import {
  FarOwner,
  Journal,
  readFlushMark,
  RemoteComponent,
} from "../../pool/remote/mod.ts";
import { JournalModel } from "./journal_model.ts";
import { Random } from "./random.ts";
import { SimulatedDisk, type Survivors } from "./simulated_disk.ts";
import { SimulatedFar } from "./simulated_far.ts";
import { SECTOR } from "./simulated_file.ts";
import { turn, within } from "./turns.ts";

/** Sectors of the component. */
const SECTORS = 96;
/** Bytes of the journal: its ring is passed many times. */
const JOURNAL_SIZE = 8192 + 64 * 1024;
/** Bytes from the owner block to the end of a component. */
const END = -ownerBlockPosition(0);
/** No owner has to look at its block while it lives. */
const DAY_MS = 86_400_000;
/** Where the part begins that is kept in memory. */
const KEPT = 4 * 4096;
/** The longest change: longer than a record of this journal. */
const COUNT_MAX = 24;

/** What became of a life. */
export interface LifeResult {
  /** Changes that were acknowledged. */
  readonly changes: number;
  /** Crashes. */
  readonly crashes: number;
  /** Records that were recovered. */
  readonly recovered: number;
  /** Changes that had to wait for room. */
  readonly waits: number;
  /** Times that operations of a disk were made to fail. */
  readonly faults: number;
  /** Openings that found a journal behind the flush mark. */
  readonly lost: number;
}

/** How a life goes. */
export interface LifeOptions {
  /** Seed of all choices. */
  readonly seed: number;
  /** Steps between two crashes, at most. */
  readonly steps: number;
  /** Crashes. */
  readonly crashes: number;
  /**
   * Whether the component has an owner, and so a flush mark: then a flush does
   * not make the journal durable.
   */
  readonly hasOwner: boolean;
}

/** One life. */
class Life {
  readonly #random: Random;
  readonly #home = new SimulatedDisk({ punches: true });
  readonly #far = new SimulatedDisk({ punches: true });
  readonly #model = new JournalModel(SECTORS);
  #component: RemoteComponent | undefined;
  /** Requests in flight; they never reject. */
  #inFlight = new Set<Promise<void>>();
  #changes = 0;
  #recovered = 0;
  #waits = 0;
  #faults = 0;
  #lost = 0;
  #beats = 0;
  readonly #hasOwner: boolean;
  readonly #identity: {
    readonly componentUuid: string;
    readonly generation: number;
    readonly componentSize: number;
    bootId: string;
  };

  constructor({ seed, hasOwner }: LifeOptions) {
    this.#random = new Random(seed);
    this.#hasOwner = hasOwner;
    this.#identity = {
      componentUuid: "c0c1c2c3-c4c5-46c7-88c9-cacbcccdcecf",
      generation: 7,
      // The owner block lies behind all sectors.
      componentSize: SECTORS * SECTOR + (hasOwner ? END : 0),
      bootId: crypto.randomUUID(),
    };
    const { componentSize } = this.#identity;
    this.#home.create("journal", new Uint8Array(JOURNAL_SIZE));
    this.#far.create("far", new Uint8Array(componentSize));
    this.#home.hasColdReads = this.#random.chance(30);
    this.#home.coldTurns = this.#random.pick([0, 40]);
  }

  /** Makes the journal. */
  async begin(): Promise<void> {
    const device = this.#home.open("journal", {});
    const uuid = "00112233-4455-4677-8899-aabbccddeeff";
    const journal = await Journal.create(device, this.#identity, uuid);
    await journal.close();
  }

  /** Crashes somewhere in some steps, and recovers. */
  async round(steps: number): Promise<void> {
    const disk = this.#random.chance(75) ? this.#home : this.#far;
    // Sometimes during the recovery.
    const most = this.#random.chance(25) ? 12 : steps * 3;
    disk.crashAt(disk.changes + this.#random.below(most));
    if (this.#random.chance(30)) this.#makeFaulty();
    try {
      await this.#open();
      for (let i = this.#random.below(steps); i > 0; i--) await this.#step();
    } catch (error) {
      if (!this.#mayFail) throw error;
    }
    await this.#crash();
  }

  /** Opens it once more, and looks whether all is well. */
  async end(): Promise<LifeResult> {
    await this.#open();
    const component = this.#component;
    assert(component !== undefined);
    await this.#check();
    await component.flush();
    const content = await this.#read();
    const { bytes } = this.#far.file("far");
    assertEquals(bytes.subarray(0, content.length), content);
    this.#model.settle(content);
    await this.#crashWith("all", "none");
    await this.#open();
    await this.#check();
    await this.#component?.close();
    return {
      changes: this.#changes,
      recovered: this.#recovered,
      waits: this.#waits,
      faults: this.#faults,
      lost: this.#lost,
      crashes: 0,
    };
  }

  /** Lets operations of one machine fail, once or for ever. */
  #makeFaulty(): void {
    const random = this.#random;
    const disk = random.pick([this.#home, this.#far]);
    const kind = random.pick(["read", "change", "flush", "full"] as const);
    disk.setFault({
      kind,
      first: random.below(kind === "flush" ? 8 : 60),
      persistent: random.chance(30),
    });
    this.#faults += 1;
  }

  /** Whether a request may fail: a machine is down, or its disk has failed. */
  get #mayFail(): boolean {
    return this.#isDown || this.#home.hasFailed || this.#far.hasFailed;
  }

  get #isDown(): boolean {
    return this.#home.isDown || this.#far.isDown;
  }

  async #open(): Promise<void> {
    const device = this.#home.open("journal", {});
    const far = new SimulatedFar(this.#far.open("far", {}), this.#random);
    const mark = this.#hasOwner ? await readFlushMark(far) : undefined;
    const journal = await Journal.open(device, this.#identity, mark);
    this.#recovered += journal.recovered.length;
    if (journal.isLost) this.#lost += 1;
    const owner = this.#hasOwner ? await this.#take(far, journal) : undefined;
    const path = "nbd://far/";
    this.#component = new RemoteComponent({
      ...{ path, far, journal, owner, retryMs: 0 },
    });
    // The end may be in memory, as the chunk table of a pool is.
    if (this.#random.chance(25)) await this.#component.keep(KEPT);
    await this.#check();
    if (this.#random.chance(50)) return;
    await this.#component.flush();
    this.#model.settle(await this.#read());
  }

  #take(far: SimulatedFar, journal: Journal): Promise<FarOwner> {
    const { componentUuid, generation } = this.#identity;
    const { uuid: journalUuid, epoch } = journal;
    return FarOwner.take(far, {
      ...{ componentUuid, generation, journalUuid, epoch },
      ownerUuid: crypto.randomUUID(),
      beat: ++this.#beats,
      intervalMs: DAY_MS,
      isInUse: true,
      host: "home",
    }, false);
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const what = random.below(100);
    if (this.#isDown) throw new Error("The power is cut");
    if (what < 70) this.#start(this.#change());
    else if (what < 80) this.#start(this.#flush());
    else if (what < 85) await this.#flush();
    else if (what < 87) this.#start(this.#check());
    else if (what < 90) await this.#check();
    else for (let i = random.below(4); i >= 0; i--) await turn();
    if (this.#inFlight.size > 20) await this.#settled();
  }

  async #change(): Promise<void> {
    const random = this.#random;
    const component = this.#component;
    assert(component !== undefined);
    const count = 1 + random.below(random.pick([1, 4, COUNT_MAX]));
    // Sectors that are written again and again, and others.
    const range = random.chance(50) ? 8 : SECTORS;
    const first = random.below(Math.min(range, SECTORS - count + 1));
    const isZero = random.chance(20);
    const { number, bytes } = this.#model.send(first, count, isZero);
    const options = { fua: random.chance(5), noHole: random.chance(50) };
    await (isZero
      ? component.writeZeroes(first * SECTOR, count * SECTOR, options)
      : component.write(bytes, first * SECTOR, options));
    bytes.fill(0xff);
    this.#model.acknowledge(number, first, count);
    if (options.fua) this.#model.force(number, first, count);
    this.#changes += 1;
  }

  async #flush(): Promise<void> {
    const { covered } = this.#model;
    await this.#component?.flush();
    this.#model.flush(covered);
  }

  async #read(): Promise<Uint8Array> {
    const bytes = new Uint8Array(SECTORS * SECTOR);
    await this.#component?.read(bytes, 0);
    return bytes;
  }

  async #check(): Promise<void> {
    const { covered } = this.#model;
    this.#model.check(await this.#read(), "the component", covered);
  }

  /** Starts a request; failures are those of a cut. */
  #start(request: Promise<void>): void {
    const ended = request.catch((error) => {
      if (!this.#mayFail) this.#failure ??= error;
    }).finally(() => this.#inFlight.delete(ended));
    this.#inFlight.add(ended);
  }

  #failure: unknown;

  async #settled(): Promise<void> {
    await within(
      () => "Requests hang",
      Promise.all(this.#inFlight).then(() => {
        if (this.#failure !== undefined) throw this.#failure;
      }),
    );
  }

  async #crash(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    // A process that is killed leaves its machine as it is. The far machine
    // may have any fate at the same time.
    const survivors: Survivors[] = ["all", "some", "none"];
    const home = this.#random.chance(50) ? "all" : this.#random.pick(survivors);
    await this.#crashWith(home, this.#random.pick(survivors));
  }

  async #crashWith(home: Survivors, far: Survivors): Promise<void> {
    this.#waits += this.#component?.waits ?? 0;
    this.#home.restart(home, this.#random);
    this.#far.restart(far, this.#random);
    // What is still running belongs to the process that is dead.
    await this.#component?.close();
    await within(() => "Requests hang", Promise.all(this.#inFlight));
    this.#inFlight = new Set();
    this.#failure = undefined;
    this.#component = undefined;
    if (home !== "all") {
      this.#model.cut();
      this.#identity.bootId = crypto.randomUUID();
    }
    this.#model.checkDurable(this.#durable(far));
  }

  /** What the far machine has when it has lost its cache. */
  #durable(survivors: Survivors): Uint8Array {
    const file = this.#far.file("far");
    if (survivors !== "all") return file.bytes;
    const copy = file.clone();
    copy.lose(() => false);
    return copy.bytes;
  }
}

/**
 * Lives a life.
 *
 * @param options How it goes.
 * @returns Counts.
 * @throws {Error} If anything was lost.
 */
export async function liveJournal(options: LifeOptions): Promise<LifeResult> {
  const life = new Life(options);
  await life.begin();
  for (let i = 0; i < options.crashes; i++) await life.round(options.steps);
  return { ...await life.end(), crashes: options.crashes };
}
