/**
 * Goal: a copy between a file and an export on a Unix socket takes connections
 * of its own, and is right all the same: with zeroes, with a server that goes
 * away and forgets what it had answered, and with a full target. Method: the
 * network does harm at chosen messages; the far server is one that forgets.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { FileDevice } from "../../device/mod.ts";
import { VirstorError } from "../../errors.ts";
import {
  copyDisk,
  type CopyOptions,
  type CopyResult,
  NbdDisk,
} from "../../nbd/client/mod.ts";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch, MIB, pattern, type Scratch } from "../helpers/scratch.ts";
import { type Break, BreakingProxy } from "./breaking_proxy.ts";
import { FarServer } from "./peers.ts";
import { ForgetfulDevice, ForgetfulServer } from "./forgetful_server.ts";

const SIZE = 10 * MIB + 512;
/** A megabyte of zeroes, and one that only begins with them. */
const ZEROES = 3 * MIB;
const BYTES = pattern(SIZE, 1);
BYTES.fill(0, ZEROES, ZEROES + MIB);
BYTES.fill(0, ZEROES + 2 * MIB, ZEROES + 2 * MIB + 100);
const RESULT: CopyResult = { data: SIZE - MIB, zeroes: MIB };

/** A far server behind a network that breaks, and a file. */
class Ground implements AsyncDisposable {
  readonly device = new ForgetfulDevice(SIZE);
  readonly path: string;
  readonly proxy: BreakingProxy;
  readonly #scratch: Scratch;
  readonly #server: ForgetfulServer;

  private constructor(scratch: Scratch, plan: Break | undefined) {
    this.#scratch = scratch;
    this.path = scratch.file("file");
    this.#server = new ForgetfulServer(scratch.file("far"), this.device);
    this.proxy = new BreakingProxy(scratch.file("near"), this.#server, plan);
  }

  static async make(plan?: Break): Promise<Ground> {
    return new Ground(await makeScratch(), plan);
  }

  connect(): Promise<NbdDisk> {
    const uri = `nbd+unix:///disk?socket=${this.#scratch.file("near")}`;
    const backOff = { firstMs: 1, mostMs: 10 };
    return NbdDisk.connect(uri, { connections: 2, backOff });
  }

  /** Copies the file to the export. */
  async copyOut(options: CopyOptions = {}): Promise<CopyResult> {
    await Deno.writeFile(this.path, BYTES);
    this.device.writeZeroes(0, SIZE);
    await using file = new FileDevice(this.path, { readOnly: true });
    await using disk = await this.connect();
    return await copyDisk(file, disk, options);
  }

  /** Copies the export to the file. */
  async copyIn(fault?: "full"): Promise<CopyResult> {
    this.device.write(BYTES, 0);
    this.device.flush();
    await Deno.writeFile(this.path, pattern(SIZE, 2));
    await using file = new FileDevice(this.path);
    await using disk = await this.connect();
    if (fault === "full") {
      file.write = () => {
        throw new VirstorError("no-space", "it is full");
      };
    }
    return await copyDisk(disk, file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
    await this.#scratch[Symbol.asyncDispose]();
  }
}

Deno.test("copyDisk() moves a file to an export and back, with its holes", async () => {
  await using ground = await Ground.make();
  assertEquals(await ground.copyOut(), RESULT);
  // The remote disk has two, and the data as many of its own.
  const { up } = ground.proxy;
  assertEquals(up.map((bytes) => bytes > MIB), [false, false, true, true]);
  assertEquals(ground.device.durable, BYTES);
  assertEquals(await ground.copyIn(), RESULT);
  assertEquals(await Deno.readFile(ground.path), BYTES);
});

for (
  const [direction, bytes] of [
    ["up", 2 * MIB],
    ["up", SIZE - 2 * MIB],
    // The last replies, and those to the flushes.
    ["down", -16],
    ["down", -32],
    ["down", -64],
  ] as const
) {
  Deno.test(`copyDisk() writes again what is lost at ${direction} ${bytes}`, async () => {
    let from = 0;
    if (bytes < 0) {
      await using ground = await Ground.make();
      await ground.copyOut();
      from = ground.proxy.passed.down;
    }
    const plan = { direction, bytes: from + bytes };
    await using ground = await Ground.make(plan);
    assertEquals(await ground.copyOut(), RESULT);
    assert(ground.proxy.isBroken);
    assertEquals(ground.device.durable, BYTES);
  });
}

Deno.test("copyDisk() reads again what was not received", async () => {
  await using ground = await Ground.make({ direction: "down", bytes: 5 * MIB });
  assertEquals(await ground.copyIn(), RESULT);
  assert(ground.proxy.isBroken);
  assertEquals(await Deno.readFile(ground.path), BYTES);
});

Deno.test("copyDisk() fails with the error of the file it writes to", async () => {
  await using ground = await Ground.make();
  await assertRejects(() => ground.copyIn("full"), VirstorError, "it is full");
});

peerTest(
  "copyDisk() has the server write while the copy goes on",
  ["nbdkit"],
  async () => {
    await using scratch = await makeScratch();
    const path = scratch.file("file");
    const size = 200 * MIB;
    const bytes = pattern(MIB, 3);
    using source = await Deno.open(path, { create: true, write: true });
    for (let at = 0; at < size; at += MIB) await source.write(bytes);
    await using file = new FileDevice(path, { readOnly: true });
    for (const flush of [true, false]) {
      const log = scratch.file(`log of ${flush}`);
      await using far = await FarServer.nbdkit(scratch.file(`s ${flush}`), [
        ...["--filter=log", "memory", `${size}`, `logfile=${log}`],
      ]);
      {
        await using disk = await NbdDisk.connect(far.uri, { connections: 1 });
        await copyDisk(file, disk, { flush });
      }
      const requests = (await Deno.readTextFile(log)).split("\n")
        .filter((line) => / (Write|Flush) id=/.test(line));
      const at = requests.findIndex((line) => line.includes(" Flush "));
      // The first one comes after 64 MiB, and what is in flight beside them.
      const isSoon = at > 60 && at < 100;
      assert(flush ? isSoon : at < 0, `the first flush is request ${at}`);
    }
  },
);
