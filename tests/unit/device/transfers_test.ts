/**
 * Goal: reads and writes come out the same on the fast way and on the one that
 * tells why, errors included. Method: real files, `/dev/full`, and a file
 * system that is full; each case on both ways, and by native calls alone.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fs from "node:fs";
import { createSparseFile, FileDevice } from "../../../device/mod.ts";
import {
  addressOf,
  readNatively,
  readNoWait,
  writeNatively,
} from "../../../device/linux/native_io.ts";
import { readWhole, writeWhole } from "../../../device/file/transfers.ts";
import { messageOf, VirstorError } from "../../../errors.ts";
import { NbdServer } from "../../../nbd/mod.ts";
import { NBD, NbdClient } from "../../helpers/nbd_client.ts";
import { testUnless } from "../../helpers/peers.ts";
import {
  KIB,
  makeScratch,
  MIB,
  pattern,
  type Scratch,
} from "../../helpers/scratch.ts";
import { mountTiny, whyNoMount } from "../../helpers/tiny_fs.ts";

// The C library stays open for ever: not from within a test.
const hasNative = fileIsReadNatively();

function fileIsReadNatively(): boolean {
  const descriptor = fs.openSync(new URL(import.meta.url), "r");
  const isRead = readNatively(descriptor, new Uint8Array(1), 0);
  fs.closeSync(descriptor);
  return isRead;
}

/** Deno opens it only for programs with all rights. */
function whyNoFull(): string | undefined {
  try {
    fs.closeSync(fs.openSync("/dev/full", "r+"));
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** A file that is open until it is disposed of. */
function open(path: string, flags: string): Disposable & { fd: number } {
  const fd = fs.openSync(path, flags);
  return { fd, [Symbol.dispose]: () => fs.closeSync(fd) };
}

function codeOf(act: () => void): unknown {
  const error = assertThrows(act, Error);
  return "code" in error ? error.code : messageOf(error);
}

/** A file of 10 001 bytes that tell where they belong. */
async function makeFile(scratch: Scratch): Promise<string> {
  const path = scratch.file("file");
  await Deno.writeFile(path, pattern(10_001, 3));
  return path;
}

for (const native of [true, false]) {
  const way = native ? "natively" : "by node:fs";

  Deno.test(`a file is read and written ${way}, also at its end`, async () => {
    await using scratch = await makeScratch();
    const path = await makeFile(scratch);
    using file = open(path, "r+");
    const model = pattern(10_001, 3);
    for (const [at, length] of [[0, 1], [4095, 2], [10_000, 1], [0, 10_001]]) {
      // Inside of larger memory: nothing around it may be touched.
      const memory = new Uint8Array(10_100).fill(255);
      const target = memory.subarray(50, 50 + (length ?? 0));
      readWhole(file.fd, target, at ?? 0, native);
      assertEquals(target, model.subarray(at, (at ?? 0) + target.length));
      assert(memory.subarray(0, 50).every((byte) => byte === 255));
      assert(memory.subarray(50 + target.length).every((byte) => byte === 255));
      const source = pattern(10_100, at ?? 0).subarray(33, 33 + target.length);
      writeWhole(file.fd, source, at ?? 0, native);
      model.set(source, at);
      assertEquals(await Deno.readFile(path), model);
    }
  });

  Deno.test(`offsets beyond 4 GiB are right ${way}`, async () => {
    await using scratch = await makeScratch();
    const path = scratch.file("file");
    createSparseFile(path, 8 * 2 ** 30);
    using file = open(path, "r+");
    for (
      const at of [2 ** 31 - 3, 2 ** 32 - 5, 2 ** 32 + 2 ** 31, 5 * 2 ** 30]
    ) {
      writeWhole(file.fd, pattern(100, at), at, native);
      const target = new Uint8Array(102).fill(1);
      readWhole(file.fd, target, at - 1, !native);
      assertEquals(target.subarray(1, 101), pattern(100, at));
      assertEquals([target[0], target[101]], [0, 0]);
    }
    // None of it has come to where the low half of the offset leads.
    const low = new Uint8Array(4 * KIB);
    readWhole(file.fd, low, 2 ** 30, native);
    assertEquals(low, new Uint8Array(4 * KIB));
  });

  Deno.test(`nothing is transferred ${way} where nothing is asked for`, async () => {
    await using scratch = await makeScratch();
    using file = open(await makeFile(scratch), "r+");
    for (const descriptor of [file.fd, -1]) {
      readWhole(descriptor, new Uint8Array(0), 5, native);
      writeWhole(descriptor, new Uint8Array(0), 20_000, native);
    }
    assertEquals(fs.fstatSync(file.fd).size, 10_001);
  });

  Deno.test(`a failed transfer gives its reason ${way}`, async () => {
    await using scratch = await makeScratch();
    const path = await makeFile(scratch);
    using file = open(path, "r");
    using folder = open(scratch.path, "r");
    const byte = new Uint8Array(1);
    const read = (fd: number, at = 0, target = byte) =>
      codeOf(() => readWhole(fd, target, at, native));
    const write = (fd: number) => codeOf(() => writeWhole(fd, byte, 0, native));
    const ends = "the file ends before";
    // As the device has it when it is closed: no number is another's.
    const closed = "ERR_OUT_OF_RANGE";
    assertEquals([read(-1), write(-1)], [closed, closed]);
    assertEquals(write(file.fd), "EBADF", "it is open for reading only");
    assertEquals(read(folder.fd), "EISDIR");
    assertEquals(read(file.fd, 10_001), ends);
    assertEquals(read(file.fd, 2 ** 40), ends);
    const target = new Uint8Array(8);
    assertEquals(read(file.fd, 9_996, target), ends);
    assertEquals(target.subarray(0, 5), pattern(10_001, 3).subarray(9_996));
    assertEquals(await Deno.readFile(path), pattern(10_001, 3));
  });

  testUnless(`no space is reported ${way}`, whyNoFull(), () => {
    using full = open("/dev/full", "r+");
    const write = () => writeWhole(full.fd, new Uint8Array(9), 0, native);
    assertEquals(codeOf(write), "ENOSPC");
    const target = new Uint8Array(9).fill(1);
    readWhole(full.fd, target, 0, native);
    assertEquals(target, new Uint8Array(9));
  });

  Deno.test(`memory of every kind is read into ${way}`, async () => {
    await using scratch = await makeScratch();
    using file = open(await makeFile(scratch), "r");
    const resizable = new ArrayBuffer(0, { maxByteLength: 100_000 });
    const target = new Uint8Array(resizable);
    // Its address is looked up while it is empty, and while it is not.
    readWhole(file.fd, target, 0, native);
    for (const size of [10, 1000, 100, 10_000]) {
      resizable.resize(size);
      target.fill(0);
      readWhole(file.fd, target, 1, native);
      assertEquals(target, pattern(10_001, 3).slice(1, 1 + size));
    }
    const moved = new Uint8Array(new ArrayBuffer(5000));
    readWhole(file.fd, moved, 0, native);
    // What has gone elsewhere is empty here, and is not touched any more.
    const elsewhere = structuredClone(moved, { transfer: [moved.buffer] });
    elsewhere.fill(1);
    readWhole(file.fd, moved, 0, native);
    assertEquals(elsewhere, new Uint8Array(5000).fill(1));
    readWhole(file.fd, elsewhere, 0, native);
    assertEquals(elsewhere, pattern(10_001, 3).slice(0, 5000));
    const shared = new Uint8Array(new SharedArrayBuffer(100), 7, 50);
    readWhole(file.fd, shared, 2, native);
    assertEquals(shared.slice(), pattern(10_001, 3).slice(2, 52));
  });

  testUnless(
    `a full file system is reported ${way}, and what fits is written`,
    await whyNoMount(),
    async () => {
      await using scratch = await makeScratch();
      await using tiny = await mountTiny(scratch.file("tiny"));
      const path = tiny.file("disk");
      createSparseFile(path, 8 * MIB);
      const device = new FileDevice(path, { native });
      device.write(pattern(MIB, 1), MIB);
      // The first half of it finds room.
      const act = () => device.write(pattern(4 * MIB, 2), 2 * MIB);
      assertEquals(assertThrows(act, VirstorError).code, "no-space");
      const kept = new Uint8Array(MIB);
      device.read(kept, MIB);
      assertEquals(kept, pattern(MIB, 1));
      device.read(kept.subarray(0, 4 * KIB), 2 * MIB);
      const start = pattern(4 * MIB, 2).subarray(0, 4 * KIB);
      assertEquals(kept.subarray(0, 4 * KIB), start);
      await device.close();
    },
  );

  testUnless(
    `a client reads ENOSPC where the file system is full (${way})`,
    await whyNoMount(),
    async () => {
      await using scratch = await makeScratch();
      await using tiny = await mountTiny(scratch.file("tiny"));
      createSparseFile(tiny.file("disk"), 8 * MIB);
      const device = new FileDevice(tiny.file("disk"), { native });
      const path = scratch.file("socket");
      const served = { name: "disk", description: "", readOnly: false, device };
      const server = new NbdServer({ exports: [served] });
      server.serve(Deno.listen({ transport: "unix", path }));
      {
        using client = await NbdClient.open({ path }, "disk");
        const payload = pattern(3 * MIB, 1);
        const command = NBD.CMD_WRITE;
        const { errno } = await client.call({ command, offset: 0, payload });
        assertEquals(errno, NBD.ENOSPC);
        // What is there can be read and overwritten all the same.
        await client.write(4 * KIB, pattern(4 * KIB, 2));
        assertEquals(await client.read(4 * KIB, 4 * KIB), pattern(4 * KIB, 2));
      }
      await server.close({ graceMs: 0 });
      await device.close();
    },
  );
}

Deno.test({
  name: "native calls say so where they have not done all",
  ignore: !hasNative,
  async fn() {
    await using scratch = await makeScratch();
    const path = await makeFile(scratch);
    using file = open(path, "r+");
    using full = open("/dev/full", "r+");
    const bytes = new Uint8Array(100);
    assert(readNatively(file.fd, bytes, 9901));
    assertEquals(bytes, pattern(10_001, 3).slice(9901));
    assert(!readNatively(file.fd, bytes, 9902), "the last byte is not there");
    assert(!readNatively(-1, bytes, 0));
    assert(!writeNatively(-1, bytes, 0));
    assert(!writeNatively(full.fd, bytes, 0));
    assert(writeNatively(file.fd, pattern(100, 5), 10_001));
    assertEquals((await Deno.readFile(path)).slice(10_001), pattern(100, 5));
  },
});

Deno.test({
  name: "what is in the page cache is read without waiting, up to the end",
  ignore: !hasNative,
  async fn() {
    await using scratch = await makeScratch();
    using file = open(await makeFile(scratch), "r");
    const memory = new Uint8Array(200);
    const count = readNoWait(file.fd, memory.subarray(9, 109), 9951);
    // -1 where the file system does not tell.
    if (count >= 0) {
      assertEquals(count, 50);
      assertEquals(memory.slice(9, 59), pattern(10_001, 3).slice(9951));
    } else assertEquals(count, -1);
    assertEquals(memory.slice(59), new Uint8Array(141));
    assertEquals(readNoWait(-1, memory, 0), -1);
  },
});

Deno.test({
  name: "an address is that of the first byte",
  ignore: !hasNative,
  fn() {
    const bytes = new Uint8Array(1000);
    const pointer = Deno.UnsafePointer.of(bytes.subarray(7));
    const wanted = Number(Deno.UnsafePointer.value(pointer));
    assertEquals(addressOf(bytes.subarray(7)), wanted);
    // Also when it is known already.
    assertEquals(addressOf(bytes.subarray(8, 9)), wanted + 1);
    assertEquals(addressOf(bytes), wanted - 7);
  },
});
