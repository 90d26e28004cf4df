/**
 * Goal: what threads have written is durable once a FLUSH on any connection is
 * answered (P2), also while chunks move. Method: clients on threads write
 * blocks all over a pool whose files know what a power cut would leave of
 * them; that is opened again and again, and must hold what was flushed.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type NbdEvent, NbdServer } from "../../nbd/mod.ts";
import { trackDescriptors } from "../../nbd/server/stream/mod.ts";
import { labelPool, openPool, type Pool } from "../../pool/mod.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import {
  makeScratch,
  MIB,
  readBytes,
  type Scratch,
  SMALL_CHUNK,
} from "../helpers/scratch.ts";
import { Random } from "../simulation/random.ts";
import { PowerCutFiles } from "./power_cut_files.ts";

/** Clients that have threads. */
const WRITERS = 3;
/** Chunks of the disk, all of which are mapped. */
const CHUNKS = 24;
/** What is written at once, bytes. */
const BLOCK = 4096;
const CHUNK_BLOCKS = SMALL_CHUNK / BLOCK;
const BLOCKS = CHUNKS * CHUNK_BLOCKS;
/** Blocks that a client writes before it flushes. */
const WRITES = 4;
/** So often it does at least. */
const TIMES = 150;
/** After this cut of the power a component begins to leave. */
const REMOVE_AFTER = 3;

/** What a block holds, and may hold after a power cut: writes by number. */
interface Block {
  /** The last one that was answered before a FLUSH that was. */
  durable: number;
  /** The last one that was answered. */
  answered: number;
  /** All that were sent since `durable`. */
  sent: readonly number[];
}

/** A pool that is served to clients on threads. */
class Served implements AsyncDisposable {
  readonly pool: Pool;
  readonly files: PowerCutFiles;
  readonly events: NbdEvent[] = [];
  readonly clients: BusyClient[] = [];
  readonly #server: NbdServer;

  private constructor(pool: Pool, files: PowerCutFiles) {
    this.pool = pool;
    this.files = files;
    this.#server = new NbdServer({
      exports: [{
        name: "cut",
        description: "",
        device: pool.volume(),
        readOnly: false,
      }],
      log: (event) => this.events.push(event),
      threads: WRITERS,
    });
  }

  static async start(scratch: Scratch): Promise<Served> {
    const paths = ["a", "b", "c"].map(scratch.file);
    await labelPool({
      name: "cut",
      format: "native",
      paths,
      createSize: 3 * MIB,
      chunkSize: SMALL_CHUNK,
      virtualSize: CHUNKS * SMALL_CHUNK,
    });
    const files = new PowerCutFiles();
    const pool = await openPool(paths, { openDevice: files.open });
    files.watch();
    const served = new Served(pool, files);
    const path = scratch.file("socket");
    const listener = Deno.listen({ transport: "unix", path });
    served.#server.serve(trackDescriptors(listener));
    // The event loop serves the first one.
    for (let i = 0; i <= WRITERS; i++) {
      served.clients.push(await BusyClient.open({ path }));
    }
    return served;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.clients) client[Symbol.dispose]();
    await this.#server.close({ graceMs: 0 });
    await this.pool.close();
  }
}

/** What is written, and what must be there. */
class Work {
  readonly #clients: readonly BusyClient[];
  readonly #random = new Random(1);
  readonly #blocks: Block[] = Array.from(
    { length: BLOCKS },
    () => ({ durable: 0, answered: 0, sent: [] }),
  );
  #count = 0;

  constructor(clients: readonly BusyClient[]) {
    this.#clients = clients;
  }

  /** All clients flush, and those on threads write, for a while at least. */
  async run(isLongEnough: () => boolean): Promise<void> {
    await Promise.all(this.#clients.map(async (_, i) => {
      for (let times = 0; times < TIMES || !isLongEnough(); times++) {
        if (i > 0) await this.writeSome(i);
        await this.#flush(i);
      }
    }));
  }

  /** One client writes to blocks of its own. */
  async writeSome(writer: number): Promise<void> {
    const blocks = new Set<number>();
    while (blocks.size < WRITES) {
      const block = this.#random.below(BLOCKS / WRITERS) * WRITERS;
      blocks.add(block + writer - 1);
    }
    await Promise.all(
      [...blocks].map((block) => this.#write(writer, block)),
    );
  }

  /** What is known of the blocks now. */
  snapshot(): Block[] {
    return this.#blocks.map((block) => ({ ...block }));
  }

  async #write(writer: number, number: number): Promise<void> {
    const block = this.#blocks[number];
    if (block === undefined) throw new Error(`There is no block ${number}`);
    const count = ++this.#count;
    block.sent = [...block.sent, count];
    const bytes = new Uint8Array(new Uint32Array(BLOCK / 4).fill(count).buffer);
    const reply = await this.#clients[writer]?.write(number * BLOCK, bytes);
    assertEquals(reply?.errno, 0);
    block.answered = count;
  }

  async #flush(i: number): Promise<void> {
    const answered = this.#blocks.map((block) => block.answered);
    const reply = await this.#clients[i]?.flush();
    assertEquals(reply?.errno, 0);
    for (const [k, block] of this.#blocks.entries()) {
      const durable = Math.max(block.durable, answered[k] ?? 0);
      block.durable = durable;
      block.sent = block.sent.filter((count) => count > durable);
    }
  }
}

/** Fails unless a pool after a power cut holds what was flushed. */
async function verify(
  paths: string[],
  blocks: readonly Block[],
): Promise<void> {
  const pool = await openPool(paths);
  try {
    const bytes = await readBytes(pool.volume(), 0, pool.volume().size);
    const words = new Uint32Array(bytes.buffer);
    const length = BLOCK / 4;
    for (const [i, { durable, sent }] of blocks.entries()) {
      const held = words.subarray(i * length, (i + 1) * length);
      const [found = -1] = held;
      assert(
        held.every((word) => word === found) &&
          (found === durable || sent.includes(found)),
        `Block ${i} holds write ${found}, and not ${durable} or ${sent}`,
      );
    }
  } finally {
    await pool.close();
  }
}

Deno.test("what threads have written survives a power cut after a FLUSH on any connection", async () => {
  await using scratch = await makeScratch();
  await using served = await Served.start(scratch);
  const { pool, files, clients: [first], events } = served;
  const zeroes = new Uint8Array(CHUNKS * SMALL_CHUNK);
  assertEquals((await first?.write(0, zeroes))?.errno, 0);
  const lanes = events.filter(({ message }) => /thread of its/.test(message));
  assertEquals(lanes.length, WRITERS);
  const work = new Work(served.clients);
  const cut = async () => {
    const directory = scratch.file("cut");
    await Deno.mkdir(directory, { recursive: true });
    const blocks = work.snapshot();
    await verify(files.copyDurable(directory), blocks);
  };
  let isDone = false;
  const hasLeft = () => pool.status().components.length === 2;
  const working = work.run(hasLeft).finally(() => isDone = true);
  working.catch(() => {});
  for (let cuts = 0; !isDone; cuts++) {
    if (cuts === REMOVE_AFTER) {
      await pool.remove([scratch.file("a")], { bytesPerSecond: MIB });
    }
    await cut();
  }
  await working;
  // In the new places of chunks there must be what was written meanwhile.
  await cut();
  // With all leases there, only the threads write.
  let written = -1;
  for (let tries = 0; tries < 1000 && written !== 0; tries++) {
    const before = files.writes;
    await work.writeSome(1 + tries % WRITERS);
    written = files.writes - before;
  }
  assertEquals(written, 0);
});
