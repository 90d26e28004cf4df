/**
 * The conformance battery, run against every kind of block device.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  type BlockDevice,
  createSparseFile,
  FileDevice,
  MemoryDevice,
  SliceDevice,
  type WriteOptions,
  type WriteZeroesOptions,
} from "../../device/mod.ts";
import { NbdServer } from "../../nbd/mod.ts";
import { trackDescriptors } from "../../nbd/server/stream/mod.ts";
import {
  type FormatName,
  labelPool,
  openPool,
  type Pool,
} from "../../pool/mod.ts";
import { NBD, NbdClient, type RawRequest } from "../helpers/nbd_client.ts";
import { MIB, type Scratch, SMALL_CHUNK } from "../helpers/scratch.ts";
import { type Disk, testConformance, testLocalConformance } from "./battery.ts";
import { DiskHere } from "./disk_here.ts";

const SIZE = 16 * MIB;

/** A device at the end of a real socket, several requests under way. */
class NbdDisk implements Disk {
  readonly size: number;
  readonly #client: NbdClient;
  readonly #end: () => Promise<void>;
  readonly #waiting = new Map<bigint, (payload: Uint8Array) => void>();
  #sending: Promise<void> = Promise.resolve();

  constructor(size: number, client: NbdClient, end: () => Promise<void>) {
    this.size = size;
    this.#client = client;
    this.#end = end;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return await this.#call({ command: NBD.CMD_READ, offset, length });
  }

  async write(
    source: Uint8Array,
    offset: number,
    options?: WriteOptions,
  ): Promise<void> {
    const flags = options?.fua === true ? NBD.CMD_FLAG_FUA : 0;
    const payload = source.slice();
    await this.#call({ command: NBD.CMD_WRITE, offset, payload, flags });
  }

  async flush(): Promise<void> {
    await this.#call({ command: NBD.CMD_FLUSH });
  }

  async discard(offset: number, length: number): Promise<void> {
    await this.#call({ command: NBD.CMD_TRIM, offset, length });
  }

  async writeZeroes(
    offset: number,
    length: number,
    options?: WriteZeroesOptions,
  ): Promise<void> {
    const flags = (options?.fua === true ? NBD.CMD_FLAG_FUA : 0) |
      (options?.noHole === true ? NBD.CMD_FLAG_NO_HOLE : 0);
    await this.#call({ command: NBD.CMD_WRITE_ZEROES, offset, length, flags });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sending;
    await this.#client.disconnect();
    await this.#end();
  }

  /** Sends in order; each call takes one reply, whosever it is. */
  async #call(request: RawRequest): Promise<Uint8Array> {
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    this.#sending = this.#sending.then(async () => {
      this.#waiting.set(await this.#client.send(request), resolve);
      const { errno, cookie, payload } = await this.#client.receive();
      if (errno !== 0) throw new Error(`The reply is error ${errno}`);
      this.#waiting.get(cookie)?.(payload);
    });
    await this.#sending;
    return await promise;
  }
}

/** With threads there is another client, which the event loop serves. */
async function overNbd(
  scratch: Scratch,
  device: BlockDevice,
  threads = 0,
): Promise<Disk> {
  const path = scratch.file("nbd.sock");
  let lanes = 0;
  const server = new NbdServer({
    exports: [{ name: "disk", description: "", device, readOnly: false }],
    threads,
    log: ({ message }) => {
      if (message.includes("on a thread of its own")) lanes++;
    },
  });
  const listener = Deno.listen({ transport: "unix", path });
  server.serve(threads > 0 ? trackDescriptors(listener) : listener);
  const other = threads > 0 ? await NbdClient.open({ path }, "disk") : null;
  const client = await NbdClient.open({ path }, "disk");
  assertEquals(lanes, threads);
  return new NbdDisk(device.size, client, async () => {
    other?.close();
    await server.close();
    await device.close();
  });
}

async function makePool(scratch: Scratch, format: FormatName): Promise<Pool> {
  const paths = ["a", "b", "c"].map((name) => scratch.file(name));
  await labelPool({
    name: "disk",
    format,
    paths,
    createSize: 8 * MIB,
    chunkSize: SMALL_CHUNK,
    virtualSize: SIZE,
  });
  return await openPool(paths);
}

function makeFile(scratch: Scratch, native: boolean): FileDevice {
  const path = scratch.file("disk");
  createSparseFile(path, SIZE);
  return new FileDevice(path, { native });
}

testLocalConformance({
  name: "MemoryDevice",
  make: () => Promise.resolve(new DiskHere(new MemoryDevice(SIZE))),
});
for (const native of [true, false]) {
  testLocalConformance({
    name: `FileDevice ${native ? "with" : "without"} native calls`,
    make: (scratch) => Promise.resolve(new DiskHere(makeFile(scratch, native))),
  });
}
testLocalConformance({
  name: "SliceDevice",
  make: (scratch) => {
    const file = makeFile(scratch, true);
    // At no boundary of anything.
    const slice = new SliceDevice(file, 1_000_001, 9_000_001);
    return Promise.resolve(new DiskHere(slice, file));
  },
});
testConformance({
  name: "MemoryDevice over NBD",
  make: (scratch) => overNbd(scratch, new MemoryDevice(SIZE)),
});
for (const [version, format] of [[1, "freebsd"], [2, "native"]] as const) {
  testLocalConformance({
    name: `Pool of format ${version}`,
    make: async (scratch) =>
      new DiskHere((await makePool(scratch, format)).volume()),
  });
  testConformance({
    name: `Pool of format ${version} over NBD`,
    make: async (scratch) =>
      overNbd(scratch, (await makePool(scratch, format)).volume()),
  });
  testConformance({
    name: `Pool of format ${version} over NBD, on a thread`,
    make: async (scratch) =>
      overNbd(scratch, (await makePool(scratch, format)).volume(), 1),
  });
}
