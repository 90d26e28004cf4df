/**
 * Goal: a client that takes no replies, promises payloads or never finishes its
 * handshake costs little memory, and no other client's progress. Method: the
 * real server in a process of its own, whose resident memory the kernel tells
 * while the attack lasts and a good client works.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { BusyClient } from "../helpers/busy_client.ts";
import { type Dialect, NBD, NbdClient } from "../helpers/nbd_client.ts";
import { MIB, pattern } from "../helpers/scratch.ts";
import { ServedPool } from "../interop/served_pool.ts";
import { encode } from "./requests.ts";
import { assertBytes, DIALECTS } from "./target.ts";

/** What one hostile client may cost, bytes. */
const ONE_CLIENT_MAX = 64 * MIB;
/** What a hundred that promise a payload each may cost together, bytes. */
const PROMISES_MAX = 64 * MIB;
/** What a hundred half-open handshakes may cost together, bytes. */
const HALF_OPEN_MAX = 32 * MIB;
/** What each of many that read nothing may cost, bytes. */
const UNREAD_MAX = 5 * MIB;
/** What a client that comes again and again may leave until it is collected. */
const AGAIN_MAX = 128 * MIB;
/** How often it comes, in each dialect. */
const TIMES = 50;
/** How many clients attack together. */
const MANY = 100;
/** Threads that clients may have. */
const THREADS = 4;
/** What they may cost together, bytes. */
const THREADS_MAX = 64 * MIB;
/** What the server may grow by without an attack: garbage, bytes. */
const GARBAGE_MAX = 32 * MIB;
/** The longest read, bytes. */
const READ_MAX = 32 * MIB;
/** How much more than before an attack the server may hold after it. */
const AFTER_FACTOR = 1.5;
/**
 * For how long, milliseconds: it is promised within 60 s, where the machine has
 * time for it.
 */
const AFTER_MS = 120_000;
/** How often the memory is measured, milliseconds. */
const SAMPLE_MS = 10;
/** Rounds of the good client during an attack. */
const ROUNDS = 20;
/** Its rounds before any, until the server's memory is as it stays. */
const FIRST_ROUNDS = 60;

const IGNORED = Deno.build.os !== "linux";

/** Resident memory of a process, bytes. */
function residentBytes(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** A server whose memory is measured, and a good client. */
class Measured implements AsyncDisposable {
  readonly #served: ServedPool;
  readonly #good: BusyClient;
  #round = 0;
  /** What the threads for clients have cost, bytes. */
  threadsGrowth = 0;

  private constructor(served: ServedPool, good: BusyClient) {
    this.#served = served;
    this.#good = good;
  }

  static async start(): Promise<Measured> {
    const served = await ServedPool.start({
      format: "native",
      componentSize: "64M",
    });
    const good = await served.connect();
    const measured = new Measured(served, good);
    // The disk is to be read, not holes of it.
    for (let at = 0; at < 64 * MIB; at += MIB) {
      const { errno } = await good.write(at, pattern(MIB, at));
      assertEquals(errno, 0);
    }
    await measured.work(FIRST_ROUNDS);
    measured.threadsGrowth = await measured.growthDuring(async () => {
      // They stay for the clients to come: what they take is no attacker's.
      const clients: NbdClient[] = [];
      for (let i = 0; i < THREADS; i++) {
        const client = await measured.open("simple");
        await client.send({ command: NBD.CMD_READ, length: 512 });
        clients.push(client);
      }
      return clients;
    });
    return measured;
  }

  /** Resident memory of the server, bytes. */
  get residentBytes(): number {
    return residentBytes(this.#served.server.pid);
  }

  /** What the server has said. */
  get log(): string {
    return this.#served.server.stderr;
  }

  /** Connects a client that has its export. */
  open(dialect: Dialect): Promise<NbdClient> {
    return NbdClient.open({ path: this.#served.socket }, "pool", dialect);
  }

  /** Connects a client that does nothing. */
  connect(): Promise<NbdClient> {
    return NbdClient.connect({ path: this.#served.socket });
  }

  /** The good client writes and reads, a few requests at a time. */
  async work(rounds: number): Promise<void> {
    for (let i = 0; i < rounds; i++) {
      const bytes = pattern(128 * 1024, ++this.#round);
      const offset = (this.#round % 64) * MIB;
      assertEquals((await this.#good.write(offset, bytes)).errno, 0);
      const [read] = await Promise.all([
        this.#good.read(offset, bytes.length),
        this.#good.read(0, MIB),
        this.#good.flush(),
      ]);
      assertBytes(read.payload, bytes);
    }
  }

  /** The most bytes that the server grows by while the good client works. */
  async growthDuring(attack: () => Promise<NbdClient[]>): Promise<number> {
    const { pid } = this.#served.server;
    const before = residentBytes(pid);
    let most = before;
    const timer = setInterval(() => {
      most = Math.max(most, residentBytes(pid));
    }, SAMPLE_MS);
    const clients = await attack();
    try {
      await this.work(ROUNDS);
      most = Math.max(most, residentBytes(pid));
    } finally {
      clearInterval(timer);
      for (const client of clients) client.close();
    }
    return most - before;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#good.disconnect();
    await this.#served.stopAndCheck();
    await this.#served[Symbol.asyncDispose]();
  }
}

function assertAtMost(growth: number, limit: number): void {
  const told = `${Math.round(growth / MIB)} of ${limit / MIB} MiB`;
  assert(growth <= limit, `the server has grown by ${told}`);
}

/** Asks for 2 GiB, and reads nothing. */
async function askAndIgnore(client: NbdClient): Promise<void> {
  const request = { command: NBD.CMD_READ, length: READ_MAX };
  await client.sendAll(Array.from({ length: 64 }, () => request));
}

/** Promises 32 MiB, and sends 100 bytes of it. */
async function promise(client: NbdClient): Promise<void> {
  const extended = client.dialect === "extended";
  await client.sendRaw(encode(client, {
    command: NBD.CMD_WRITE,
    flags: extended ? NBD.CMD_FLAG_PAYLOAD_LEN : 0,
    length: READ_MAX,
    payload: new Uint8Array(100),
  }));
}

for (const dialect of DIALECTS) {
  Deno.test({
    name: `attack: a hundred promises of 32 MiB, then no replies, ${dialect}`,
    ignore: IGNORED,
    async fn() {
      await using measured = await Measured.start();
      // They cost next to nothing, so what comes next is measured as well.
      const promises = await measured.growthDuring(async () => {
        const clients: NbdClient[] = [];
        for (let i = 0; i < MANY; i++) {
          const client = await measured.open(dialect);
          await promise(client);
          clients.push(client);
        }
        return clients;
      });
      assertAtMost(promises, PROMISES_MAX);
      const growth = await measured.growthDuring(async () => {
        const client = await measured.open(dialect);
        await askAndIgnore(client);
        return [client];
      });
      assertAtMost(growth, ONE_CLIENT_MAX);
    },
  });
}

Deno.test({
  name: "threads for clients, and a hundred half-open handshakes, cost little",
  ignore: IGNORED,
  async fn() {
    await using measured = await Measured.start();
    assertAtMost(measured.threadsGrowth, THREADS_MAX);
    const connected = measured.log.matchAll(/ on a thread of its own/g);
    assertEquals([...connected].length, THREADS);
    const growth = await measured.growthDuring(() =>
      Promise.all(Array.from({ length: MANY }, () => measured.connect()))
    );
    assertAtMost(growth, HALF_OPEN_MAX);
  },
});

Deno.test({
  name: "attack: many clients that take no replies",
  ignore: IGNORED,
  async fn() {
    await using measured = await Measured.start();
    const growth = await measured.growthDuring(async () => {
      const clients: NbdClient[] = [];
      for (let i = 0; i < MANY; i++) {
        const client = await measured.open(DIALECTS[i % 3] ?? "simple");
        await askAndIgnore(client);
        clients.push(client);
      }
      return clients;
    });
    assertAtMost(growth, MANY * UNREAD_MAX + GARBAGE_MAX);
  },
});

Deno.test({
  name: "attack: the same again and again leaves nothing behind",
  ignore: IGNORED,
  async fn() {
    await using measured = await Measured.start();
    // The first rounds show what the runtime keeps for itself.
    const comeAndGo = async () => {
      for (const dialect of DIALECTS) {
        const client = await measured.open(dialect);
        await askAndIgnore(client);
        await client.receiveRaw(MIB);
        client.close();
      }
    };
    for (let i = 0; i < 3; i++) await comeAndGo();
    const growth = await measured.growthDuring(async () => {
      for (let i = 0; i < TIMES; i++) await comeAndGo();
      return [];
    });
    assertAtMost(growth, AGAIN_MAX);
  },
});

Deno.test({
  name: "what an attack has cost is given back",
  ignore: IGNORED,
  async fn() {
    await using measured = await Measured.start();
    const before = measured.residentBytes;
    let most = before;
    const clients: NbdClient[] = [];
    for (let i = 0; i < MANY; i++) {
      const client = await measured.open(DIALECTS[i % 3] ?? "simple");
      await (i % 2 === 0 ? askAndIgnore(client) : promise(client));
      clients.push(client);
      most = Math.max(most, measured.residentBytes);
    }
    assert(most > AFTER_FACTOR * before, "the attack has cost something");
    for (const client of clients) client.close();
    for (const end = performance.now() + AFTER_MS;;) {
      const { residentBytes: after } = measured;
      if (after <= AFTER_FACTOR * before) break;
      const told = [before, most, after].map((one) => Math.round(one / MIB));
      assert(performance.now() < end, `${told.join(", ")} MiB`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await measured.work(ROUNDS);
  },
});

Deno.test("attack: CVE-2015-0847: a signal while clients do all of this", async () => {
  await using served = await ServedPool.start({
    format: "native",
    serve: ["--grace", "1"],
  });
  const address = { path: served.socket };
  const clients = [await NbdClient.connect(address)];
  for (const dialect of DIALECTS) {
    const idle = await NbdClient.open(address, "pool", dialect);
    const unread = await NbdClient.open(address, "pool", dialect);
    await askAndIgnore(unread);
    const promising = await NbdClient.open(address, "pool", dialect);
    await promise(promising);
    clients.push(idle, unread, promising);
  }
  await served.stopAndCheck();
  for (const client of clients) client.close();
});
