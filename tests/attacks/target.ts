/**
 * A server with a pool behind it, to be attacked: a good client that was there
 * before has to be served as well afterwards as before.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { type NbdEvent, type NbdLimits, NbdServer } from "../../nbd/mod.ts";
import { trackDescriptors } from "../../nbd/server/stream/mod.ts";
import { labelPool, openPool, type Pool } from "../../pool/mod.ts";
import {
  type Dialect,
  NBD,
  type NbdAddress,
  NbdClient,
} from "../helpers/nbd_client.ts";
import { MIB, pattern, type Scratch, SMALL_CHUNK } from "../helpers/scratch.ts";
import { makeQuickScratch, until } from "../helpers/small_pools.ts";

/** Bytes of the disk: more than a length of 32 bits can tell. */
export const DISK_SIZE: number = 8 * 1024 * MIB;
/** The last part of the disk belongs to the good clients. */
export const GOOD_OFFSET: number = DISK_SIZE - 4 * MIB;
/** The dialects, each of which can be attacked. */
export const DIALECTS: readonly Dialect[] = [
  "simple",
  "structured",
  "extended",
];

/** Bytes of each component. */
const COMPONENT_SIZE = 16 * MIB;
/** Threads for clients beside the first: the other good ones, and attackers. */
const THREADS = 6;
/** What a good client writes and reads, bytes. */
const GOOD_LENGTH = 100_000;

/** How to start a target. */
export interface TargetOptions {
  /** Limits of the server. */
  readonly limits?: Partial<NbdLimits>;
  /** A TCP socket in place of a Unix socket. */
  readonly tcp?: boolean;
  /** Whether clients get lanes, as many as there are. */
  readonly threads?: boolean;
}

/** The server. To be used with `await using`. */
export class Target implements AsyncDisposable {
  /** Serves the exports `disk`, and `locked`, which is read-only. */
  readonly server: NbdServer;
  /** What is behind both exports. */
  readonly pool: Pool;
  /** Where it listens. */
  readonly address: NbdAddress;
  /** What it logged. */
  readonly events: NbdEvent[] = [];
  readonly #scratch: Scratch;
  readonly #clients: NbdClient[] = [];
  #panic: unknown = undefined;
  #seed = 0;

  private constructor(
    scratch: Scratch,
    pool: Pool,
    options: TargetOptions,
  ) {
    const path = scratch.file("socket");
    const listener = options.tcp === true
      ? Deno.listen({ hostname: "127.0.0.1", port: 0 })
      : Deno.listen({ transport: "unix", path });
    this.#scratch = scratch;
    this.pool = pool;
    this.address = listener.addr.transport === "tcp"
      ? { port: listener.addr.port }
      : { path };
    const disk = { name: "disk", description: "", device: pool.volume() };
    this.server = new NbdServer({
      exports: [
        { ...disk, readOnly: false },
        { ...disk, name: "locked", readOnly: true },
      ],
      log: (event) => this.events.push(event),
      threads: options.threads === true ? THREADS : 0,
      ...options.limits !== undefined && { limits: options.limits },
    });
    this.server.finished.catch((error) => this.#panic = error);
    this.server.serve(
      options.threads === true ? trackDescriptors(listener) : listener,
    );
  }

  /**
   * Starts one, with a good client in each dialect.
   *
   * @param options How.
   * @returns The target.
   */
  static async start(options: TargetOptions = {}): Promise<Target> {
    const scratch = await makeQuickScratch();
    const paths = [scratch.file("a"), scratch.file("b")];
    await labelPool({
      name: "target",
      format: "native",
      paths,
      createSize: COMPONENT_SIZE,
      chunkSize: SMALL_CHUNK,
      virtualSize: DISK_SIZE,
    });
    const target = new Target(scratch, await openPool(paths), options);
    for (const dialect of DIALECTS) {
      target.#clients.push(await target.open(dialect));
    }
    // So that they can go on when the pool is full.
    await target.#clients[0]?.write(GOOD_OFFSET, new Uint8Array(4 * MIB));
    await target.assertGood();
    return target;
  }

  /** How many connections had a thread so far. */
  get laneCount(): number {
    return this.events.filter(({ message }) =>
      message.includes("on a thread of its own")
    ).length;
  }

  /** How many connections the good clients have. */
  get goodCount(): number {
    return this.#clients.length;
  }

  /**
   * Connects, and does nothing else.
   *
   * @returns The client.
   */
  connect(): Promise<NbdClient> {
    return NbdClient.connect(this.address);
  }

  /**
   * Connects and takes the greeting.
   *
   * @returns The client.
   */
  async greeted(): Promise<NbdClient> {
    const client = await this.connect();
    await client.greet();
    return client;
  }

  /**
   * Connects and uses an export, in a dialect with chunks with
   * `base:allocation`, whose id is 1.
   *
   * @param dialect How to talk.
   * @param name The export.
   * @returns The client.
   */
  async open(dialect: Dialect, name = "disk"): Promise<NbdClient> {
    const client = await this.greeted();
    await client.speak(dialect);
    if (dialect !== "simple") await client.contexts(name, ["base:allocation"]);
    await client.go(name);
    return client;
  }

  /** Fails unless the good clients can write, and read what they wrote. */
  async assertGood(): Promise<void> {
    for (const [i, client] of this.#clients.entries()) {
      const bytes = pattern(GOOD_LENGTH, ++this.#seed);
      const offset = GOOD_OFFSET + i * MIB + this.#seed * 512;
      await client.write(offset, bytes, NBD.CMD_FLAG_FUA);
      assertBytes(await client.read(offset, GOOD_LENGTH), bytes);
    }
  }

  /**
   * Fails unless the attack has done no harm: all that is left of it goes away,
   * clients that were there and new ones are served, and the server has met
   * nothing unexpected.
   */
  async assertUnharmed(): Promise<void> {
    await this.assertGood();
    for (const dialect of DIALECTS) {
      using client = await this.open(dialect);
      const bytes = pattern(5000, ++this.#seed);
      await client.write(GOOD_OFFSET + 3 * MIB, bytes);
      assertBytes(await client.read(GOOD_OFFSET + 3 * MIB, 5000), bytes);
      await client.disconnect();
    }
    await until(() => this.server.clients.length === this.goodCount);
    assertEquals(this.pool.status().delayed.count, 0);
    assertEquals(this.#panic, undefined);
    assertEquals(this.events.filter(({ kind }) => kind === "error"), []);
    assertEquals(this.events.filter(({ message }) => /\n/.test(message)), []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.server.close({ graceMs: 0 });
    await this.pool.close();
    await this.#scratch[Symbol.asyncDispose]();
    assert(this.#panic === undefined, "the server met something unexpected");
  }
}

/** An attack: a sequence of messages that has harmed a server, or might. */
export interface Attack {
  /** The server that it harmed, or might harm, and how. */
  readonly name: string;
  /** How the target is started. */
  readonly target?: TargetOptions;
  /** Attacks, and fails unless the answers are what they should be. */
  run(target: Target): Promise<void>;
}

/**
 * Registers a test for each attack, which must have done no harm at its end.
 *
 * @param attacks The attacks.
 */
export function testAttacks(attacks: readonly Attack[]): void {
  for (const { name, target: options, run } of attacks) {
    Deno.test(`attack: ${name}`, async () => {
      await using target = await Target.start(options);
      await run(target);
      await target.assertUnharmed();
    });
  }
}

/**
 * Registers the same tests, but every client gets a lane: the good ones and the
 * attackers.
 *
 * @param attacks The attacks.
 */
export function testAttacksOnThreads(attacks: readonly Attack[]): void {
  for (const { name, target: options, run } of attacks) {
    Deno.test(`attack on a thread: ${name}`, async () => {
      await using target = await Target.start({ ...options, threads: true });
      const good = target.laneCount;
      assertEquals(good, target.goodCount);
      await run(target);
      assert(target.laneCount > good, "attackers had threads");
      await target.assertUnharmed();
    });
  }
}

/**
 * Compares bytes; quicker than an assertion that looks at each by itself.
 *
 * @param actual What there is.
 * @param expected What should be.
 * @param what What they are, for the error.
 */
export function assertBytes(
  actual: Uint8Array,
  expected: Uint8Array,
  what = "bytes",
): void {
  assertEquals(actual.length, expected.length, `length of ${what}`);
  assertEquals(Buffer.compare(actual, expected), 0, `${what} differ`);
}

/**
 * Puts messages together, to be sent with one write.
 *
 * @param parts The messages.
 * @returns All their bytes.
 */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts));
}

/**
 * Asks for the end of the handshake, which shows that it is still in step.
 *
 * @param client The client, between two options; closed afterwards.
 */
export async function assertInStep(client: NbdClient): Promise<void> {
  const replies = await client.option(NBD.OPT_ABORT);
  assertEquals(replies.map(({ type }) => type), [NBD.REP_ACK]);
  assertEquals(await client.receiveEnd(), 0);
  client.close();
}
