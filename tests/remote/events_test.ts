/**
 * What a pool says of the connections to its components, and two that read one
 * component at the same time.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { MemoryDevice } from "../../device/mod.ts";
import { VirstorError } from "../../errors.ts";
import { exportOf, NbdDisk, NbdServer } from "../../nbd/mod.ts";
import {
  labelPool,
  openPool,
  type PoolEvent,
  type PoolOptions,
} from "../../pool/mod.ts";
import type { RemoteComponents } from "../../pool/remote/mod.ts";
import { eventually } from "../helpers/patience.ts";
import {
  makeScratch,
  MIB,
  pattern,
  readBytes,
  type Scratch,
} from "../helpers/scratch.ts";

/** A labelled far side on a Unix socket. */
class Far implements AsyncDisposable {
  /** What is served; another disk may take its place. */
  device = new MemoryDevice(16 * MIB);
  /** How to reach it. */
  readonly remote: RemoteComponents;
  /** Where it is. */
  readonly uri: string;
  readonly #socket: string;
  #server: NbdServer | undefined;

  private constructor(scratch: Scratch, stallTimeoutMs: number) {
    this.#socket = scratch.file("far");
    this.uri = `nbd+unix:///far?socket=${this.#socket}`;
    this.remote = {
      connect: (uris, options) =>
        NbdDisk.connect(uris, {
          ...options,
          ...options.readOnly === true && { stallTimeoutMs },
          backOff: { firstMs: 5, mostMs: 20 },
        }),
      journals: scratch.path,
      journalSize: MIB,
      intervalMs: 500,
    };
  }

  static async make(scratch: Scratch, stallTimeoutMs = 0): Promise<Far> {
    const far = new Far(scratch, stallTimeoutMs);
    await far.start();
    await labelPool({ name: "p", paths: [far.uri], remote: far.remote });
    return far;
  }

  async start(): Promise<void> {
    await Deno.remove(this.#socket).catch(() => {});
    const { device } = this;
    this.#server = new NbdServer({
      exports: [exportOf(device, { name: "far" })],
    });
    this.#server.serve(Deno.listen({ transport: "unix", path: this.#socket }));
  }

  async stop(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  /** Opens the pool; the states of its events are noted. */
  async open(states: string[], options: PoolOptions = {}) {
    const onEvent = (event: PoolEvent) => {
      if (event.kind === "remote") states.push(event.state);
    };
    const { remote } = this;
    return await openPool([this.uri], { remote, onEvent, ...options });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

Deno.test("an event says that a far side is lost, and connected again", async () => {
  await using scratch = await makeScratch();
  await using far = await Far.make(scratch);
  const states: string[] = [];
  await using pool = await far.open(states);
  await pool.volume().write(pattern(5000, 1), 0);
  await far.stop();
  await eventually("lost", () => states.includes("lost"));
  await far.start();
  await pool.volume().flush();
  assertEquals(await readBytes(pool.volume(), 0, 5000), pattern(5000, 1));
  assertEquals([states[0], states.at(-1)], ["lost", "connected"]);
});

Deno.test("an event says that another disk is there now, and nothing is written to it", async () => {
  await using scratch = await makeScratch();
  await using far = await Far.make(scratch);
  const states: string[] = [];
  const pool = await far.open(states, { stopSeconds: 0.1 });
  await far.stop();
  far.device = new MemoryDevice(16 * MIB);
  await far.start();
  await eventually("failed", () => states.at(-1) === "failed");
  const content = await readBytes(far.device, 0, 16 * MIB);
  assertEquals(content, new Uint8Array(16 * MIB));
  await pool.close().catch(() => {});
});

Deno.test("an event says that a pool that is only read has no far side", async () => {
  await using scratch = await makeScratch();
  await using far = await Far.make(scratch, 50);
  const pool = await far.open([]);
  await pool.volume().write(pattern(5000, 1), 0);
  await pool.close();
  const states: string[] = [];
  await using reader = await far.open(states, { readOnly: true });
  await far.stop();
  await eventually("away", () => states.includes("away"));
  await assertRejects(
    () => readBytes(reader.volume(), 0, 5000),
    VirstorError,
  );
  await far.start();
  await eventually("connected", () => states.at(-1) === "connected");
  assertEquals(await readBytes(reader.volume(), 0, 5000), pattern(5000, 1));
});

Deno.test("two pools read one component at the same time, and write nothing", async () => {
  await using scratch = await makeScratch();
  await using far = await Far.make(scratch);
  const pool = await far.open([]);
  await pool.volume().write(pattern(5000, 1), 0);
  await pool.close();
  const before = (await readBytes(far.device, 0, 16 * MIB)).slice();
  {
    await using first = await far.open([], { readOnly: true });
    await using second = await far.open([], { readOnly: true });
    for (const one of [first, second, first]) {
      assertEquals(await readBytes(one.volume(), 0, 5000), pattern(5000, 1));
    }
    assertEquals(await readBytes(far.device, 0, 16 * MIB), before);
    // On this machine they hold the journal; elsewhere they leave no mark.
    const refused = await assertRejects(() => far.open([]), VirstorError);
    assertEquals(refused.code, "busy");
    await using elsewhere = await makeScratch();
    const remote = { ...far.remote, journals: elsewhere.path, host: "other" };
    await (await far.open([], { remote })).close();
  }
  await (await far.open([])).close();
});
