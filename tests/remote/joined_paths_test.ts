/**
 * Goal: joined URIs are paths to one disk. URIs of different disks are refused
 * by everything that opens a component, and change nothing on any of them.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { MemoryDevice } from "../../device/mod.ts";
import { VirstorError } from "../../errors.ts";
import { NbdDisk, NbdServer } from "../../nbd/mod.ts";
import { labelPool, openPool } from "../../pool/mod.ts";
import { makeScratch, MIB, pattern, type Scratch } from "../helpers/scratch.ts";

const SIZE = 8 * MIB;

/** Disks on another machine, and how a pool reaches them. */
class Farm implements AsyncDisposable {
  readonly remote;
  readonly #scratch: Scratch;
  readonly #servers: NbdServer[] = [];

  constructor(scratch: Scratch) {
    this.#scratch = scratch;
    this.remote = {
      connect: NbdDisk.connect,
      journals: scratch.file("journals"),
      journalSize: MIB,
      intervalMs: 100,
    };
    Deno.mkdirSync(this.remote.journals);
  }

  /** Serves a disk. */
  disk(name: string, content = new Uint8Array(SIZE)): Uint8Array {
    const device = new MemoryDevice(content);
    const server = new NbdServer({
      exports: [{ name: "d", description: "", device, readOnly: false }],
    });
    const path = this.#scratch.file(name);
    server.serve(Deno.listen({ transport: "unix", path }));
    this.#servers.push(server);
    return content;
  }

  uris(...names: string[]): string {
    return names.map((name) =>
      `nbd+unix:///d?socket=${this.#scratch.file(name)}`
    ).join(",");
  }

  /** Asserts that an action is refused, and changes nothing. */
  async refuses(
    action: () => Promise<unknown>,
    message: string,
    ...disks: Uint8Array[]
  ): Promise<void> {
    const journals = () =>
      [...Deno.readDirSync(this.remote.journals)].map(({ name }) => name);
    const before = disks.map((disk) => disk.slice());
    const names = journals();
    const error = await assertRejects(action, VirstorError, message);
    assertEquals(error.code, "invalid");
    assertEquals(journals(), names);
    for (const [i, disk] of disks.entries()) {
      const first = disk.findIndex((byte, at) => byte !== before[i]?.[at]);
      assertEquals(first, -1, "the first byte that has changed");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) await server[Symbol.asyncDispose]();
  }
}

async function label(farm: Farm, ...names: string[]): Promise<void> {
  const paths = [farm.uris(...names)];
  await labelPool({ name: "p", paths, remote: farm.remote });
}

Deno.test("joined URIs of disks that differ are refused before anything is written", async () => {
  await using scratch = await makeScratch();
  await using farm = new Farm(scratch);
  const blank = farm.disk("blank");
  const large = farm.disk("large", new Uint8Array(2 * SIZE));
  const other = farm.disk("other");
  other.set(pattern(512, 1), SIZE - 512);
  const component = farm.disk("component");
  await label(farm, "component");
  const sizes = "lead to different disks (of 8388608 bytes and 16777216 bytes)";
  await farm.refuses(() => label(farm, "blank", "large"), sizes, blank, large);
  await farm.refuses(
    () => label(farm, "blank", "other"),
    "lead to different disks (with different contents); join URIs of one disk",
    ...[blank, other],
  );
  await farm.refuses(
    () => label(farm, "blank", "component"),
    "with no component and component ",
    ...[blank, component],
  );
});

Deno.test("joined URIs of new disks that are equal are refused, and nothing stays written", async () => {
  await using scratch = await makeScratch();
  await using farm = new Farm(scratch);
  const [one, two] = [farm.disk("one"), farm.disk("two")];
  const appear = "what is written by the first path does not appear";
  await farm.refuses(() => label(farm, "one", "two"), appear, one, two);
  const near = scratch.file("near");
  await labelPool({ name: "p", paths: [near], createSize: SIZE });
  const { remote } = farm;
  await using pool = await openPool([near], { remote });
  const add = () => pool.add([farm.uris("one", "two")]);
  await farm.refuses(add, appear, one, two);
  assertEquals(pool.status().components.length, 1);
  // A path that does not answer is no other disk.
  await pool.add([farm.uris("one", "nowhere")]);
});

Deno.test("a pool is not opened by URIs of a component and its copy", async () => {
  await using scratch = await makeScratch();
  await using farm = new Farm(scratch);
  const { remote } = farm;
  const one = farm.disk("one");
  await label(farm, "one");
  const copy = farm.disk("copy", one.slice());
  const blank = farm.disk("blank");
  const open = (readOnly: boolean, ...names: string[]) => async () => {
    const pool = await openPool([farm.uris(...names)], { remote, readOnly });
    await pool.close();
  };
  for (const readOnly of [true, false]) {
    const differ = "lead to different disks (with ";
    const names = ["one", "blank"];
    await farm.refuses(open(readOnly, ...names), differ, one, blank);
    await farm.refuses(
      open(readOnly, ...names.toReversed()),
      differ,
      blank,
      one,
    );
  }
  const appear = "what is written by the first path does not appear";
  await farm.refuses(open(false, "one", "copy"), appear, one, copy);
  await open(false, "one")();
  // The copy is older now.
  const older = "with different states of component ";
  await farm.refuses(open(false, "one", "copy"), older, one, copy);
  await farm.refuses(open(true, "copy", "one"), older, one, copy);
});
