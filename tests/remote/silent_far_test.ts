/**
 * Goal: a far side that falls silent, at any step, holds up an opening for a
 * bounded time; the error says which far side. Once a component is in use, its
 * requests wait for the far side as long as it is away.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { MemoryDevice } from "../../device/mod.ts";
import { VirstorError } from "../../errors.ts";
import { exportOf, NbdDisk, NbdServer } from "../../nbd/mod.ts";
import { labelPool, openPool, type Pool } from "../../pool/mod.ts";
import type { RemoteComponents } from "../../pool/remote/mod.ts";
import { eventually, pause } from "../helpers/patience.ts";
import {
  makeScratch,
  MIB,
  pattern,
  readBytes,
  type Scratch,
} from "../helpers/scratch.ts";
import { Workspace } from "../helpers/virstor.ts";
import { SilencingProxy } from "./silencing_proxy.ts";

/** Instead of 20 s and 10 s. */
const [STALL_MS, SILENCE_MS] = [500, 1000];
/** So many messages of the server pass; all of an opening at last. */
const MESSAGES = [0, 1, 2, 3, 5, 7, 8, 9, 10, 12, 14, 17, 20, 24, 200];

/** How to reach far sides, soon tired of those that are silent. */
function remoteIn(scratch: Scratch): RemoteComponents {
  return {
    connect: (uris, options) =>
      NbdDisk.connect(uris, {
        ...options,
        // Without a limit there stays none.
        stallTimeoutMs: options.stallTimeoutMs === 0 ? 0 : STALL_MS,
        silenceMs: SILENCE_MS,
        connectTimeoutMs: SILENCE_MS,
        connections: 1,
        backOff: { firstMs: 5, mostMs: 20 },
      }),
    journals: scratch.path,
    journalSize: MIB,
    intervalMs: 100,
  };
}

/** A far side behind a proxy. */
class Far implements AsyncDisposable {
  readonly proxy: SilencingProxy;
  readonly #server: NbdServer;

  constructor(scratch: Scratch) {
    const device = new MemoryDevice(16 * MIB);
    this.#server = new NbdServer({
      exports: [exportOf(device, { name: "far" })],
    });
    const socket = scratch.file(crypto.randomUUID().slice(0, 8));
    this.#server.serve(Deno.listen({ transport: "unix", path: socket }));
    this.proxy = new SilencingProxy(`${socket}-p`, socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.#server.close();
  }
}

/** Waits for an opening, which a fault could let hang. */
async function bounded(opening: Promise<void>): Promise<void> {
  let hasEnded = false;
  const end = () => hasEnded = true;
  opening.then(end, end);
  await eventually("it opens, or fails", () => hasEnded, 20);
  await opening;
}

/**
 * Opens something while a far side falls silent after ever more messages.
 *
 * @param prepare What comes before, without a silence.
 * @param open Opens it.
 */
async function atEachMessage(
  prepare: (far: Far, scratch: Scratch) => Promise<void>,
  open: (far: Far, scratch: Scratch) => Promise<void>,
): Promise<void> {
  const failed = await Promise.all(MESSAGES.map(async (messages) => {
    await using scratch = await makeScratch();
    await using far = new Far(scratch);
    await prepare(far, scratch);
    far.proxy.silenceAfter(messages);
    try {
      await bounded(open(far, scratch));
      assert(messages > 4, `${messages} are not enough`);
      return 0;
    } catch (error) {
      assert(error instanceof VirstorError, String(error));
      assert(["io", "not-found"].includes(error.code), error.message);
      const { message } = error;
      assert(message.toLowerCase().includes(far.proxy.uri), message);
      assert(far.proxy.hasHeld, "it fails because of the silence");
      return 1;
    }
  }));
  const sum = failed.reduce<number>((sum, one) => sum + one, 0);
  assert(sum < MESSAGES.length, "it opens at last");
}

async function nothing(): Promise<void> {}

async function label(far: Far, scratch: Scratch): Promise<void> {
  const paths = [far.proxy.uri];
  await labelPool({ name: "p", paths, remote: remoteIn(scratch) });
}

/** Labels one as a far side that takes its time. */
async function labelSlowly(far: Far, scratch: Scratch): Promise<void> {
  const remote = { ...remoteIn(scratch), connect: NbdDisk.connect };
  await labelPool({ name: "p", paths: [far.proxy.uri], remote });
}

function open(far: Far, scratch: Scratch): Promise<Pool> {
  return openPool([far.proxy.uri], { remote: remoteIn(scratch) });
}

Deno.test("label gives a far side up that falls silent, at any message", async () => {
  await atEachMessage(nothing, label);
});

Deno.test("open gives a far side up that falls silent, at any message", async () => {
  await atEachMessage(labelSlowly, async (far, scratch) => {
    const pool = await open(far, scratch);
    far.proxy.goOn();
    await pool.close();
  });
});

Deno.test("a reader gives a far side up that falls silent, at any message", async () => {
  await atEachMessage(labelSlowly, async ({ proxy }, scratch) => {
    const remote = remoteIn(scratch);
    const pool = await openPool([proxy.uri], { remote, readOnly: true });
    await pool.close();
  });
});

Deno.test("add gives a far side up that falls silent, at any message", async () => {
  await atEachMessage(
    async (_, scratch) => {
      const paths = [scratch.file("near")];
      await labelPool({ name: "p", paths, createSize: 8 * MIB });
    },
    async ({ proxy }, scratch) => {
      const remote = remoteIn(scratch);
      await using pool = await openPool([scratch.file("near")], { remote });
      try {
        await pool.add([proxy.uri]);
      } finally {
        // What was silent is forgotten, or else it answers again.
        await pool.volume().write(pattern(5000, 1), 0);
        assertEquals(await readBytes(pool.volume(), 0, 5000), pattern(5000, 1));
        proxy.goOn();
      }
    },
  );
});

Deno.test("a component in use waits for its far side as long as it is away", async () => {
  await using scratch = await makeScratch();
  await using far = new Far(scratch);
  await using added = new Far(scratch);
  await label(far, scratch);
  await using pool = await open(far, scratch);
  await pool.add([added.proxy.uri]);
  // Component 0 is full at some time: both have chunks then.
  const disk = pool.volume();
  for (let i = 0; i < 24; i++) await disk.write(pattern(5000, i), i * MIB);
  await disk.flush();
  for (const { proxy } of [far, added]) proxy.silenceAfter(0);
  const reads = Array.from(
    { length: 24 },
    (_, i) => readBytes(disk, i * MIB, 5000),
  );
  const away = () =>
    pool.status().components.every(({ remote }) =>
      remote?.state === "connecting"
    );
  await eventually("both are away", away);
  await pause(3 * STALL_MS);
  for (const { proxy } of [far, added]) proxy.goOn();
  for (const [i, bytes] of (await Promise.all(reads)).entries()) {
    assertEquals(bytes, pattern(5000, i));
  }
  await disk.flush();
});

Deno.test("virstor info --map gives up a server that is silent", async () => {
  await using work = await Workspace.create();
  await using scratch = await makeScratch();
  await using far = new Far(scratch);
  // All messages of a handshake; what is asked then is not answered.
  far.proxy.silenceAfter(7);
  const { code, stderr } = await work.run(["info", "--map", far.proxy.uri]);
  assertMatch(stderr, /^virstor: Cannot reach "nbd\+unix:.*\n$/);
  assertEquals(code, 1);
});
