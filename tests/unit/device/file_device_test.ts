/**
 * The only access to a descriptor, on real files.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createSparseFile, FileDevice } from "../../../device/mod.ts";
import { fileIdentity } from "../../../device/file/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { testNatively } from "../../helpers/native.ts";
import {
  KIB,
  makeScratch,
  MIB,
  pattern,
  readBytes,
} from "../../helpers/scratch.ts";

Deno.test("FileDevice reads what it wrote, also at the last byte", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("disk");
  createSparseFile(path, 10_001);
  const device = new FileDevice(path);
  assertEquals(device.size, 10_001);
  assertEquals(device.write(pattern(5000, 1), 17), undefined);
  assertEquals(device.write(pattern(1, 2), 10_000), undefined);
  assertEquals(await readBytes(device, 17, 5000), pattern(5000, 1));
  assertEquals(await readBytes(device, 10_000, 1), pattern(1, 2));
  assertEquals(await readBytes(device, 0, 17), new Uint8Array(17));
  await device.flush();
  assertEquals(device.flush(), undefined);
  await device.close();
});

Deno.test("FileDevice.read() fails where the file has become shorter", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("disk");
  createSparseFile(path, 8 * KIB);
  const device = new FileDevice(path);
  await Deno.truncate(path, 5000);
  const act = () => device.read(new Uint8Array(4 * KIB), 4 * KIB);
  assertEquals(assertThrows(act, VirstorError, "the file ends").code, "io");
  await device.close();
});

for (const native of [true, false]) {
  const test = native ? testNatively : Deno.test;
  const how = native ? "with native calls" : "without";
  test(`FileDevice gives zeroes and gives space back, ${how}`, async () => {
    await using scratch = await makeScratch();
    const path = scratch.file("disk");
    createSparseFile(path, 20 * MIB);
    const device = new FileDevice(path, { native });
    device.write(pattern(20 * MIB, 1), 0);
    await device.flush();
    const before = (await Deno.stat(path)).blocks ?? 0;
    // Neither end is the start of a block, and it is long.
    await device.writeZeroes(1001, 12 * MIB);
    await device.flush();
    const read = await readBytes(device, 0, 20 * MIB);
    const wanted = pattern(20 * MIB, 1).fill(0, 1001, 1001 + 12 * MIB);
    assertEquals(read, wanted);
    const after = (await Deno.stat(path)).blocks ?? 0;
    assertEquals(device.capabilities.discard, native);
    assertEquals(after < before - 11 * MIB / 512, native);
    assertEquals((await Deno.stat(path)).size, 20 * MIB);
    if (!native) {
      const act = () => device.writeZeroes(0, 1, { fastOnly: true });
      assertEquals(assertThrows(act, VirstorError).code, "unsupported");
    }
    await device.close();
  });

  const losses: [string, (path: string) => Promise<void>, string][] = [
    ["deleted", (path) => Deno.remove(path), "was deleted"],
    ["truncated", (path) => Deno.truncate(path, 1), "was made shorter"],
    // More than 32 bits tell.
    ["cut a little", (path) => Deno.truncate(path, 5120 * MIB - 1), "shorter"],
  ];
  for (const [what, act, words] of losses) {
    test(`FileDevice.flush() fails on a file that was ${what}, ${how}`, async () => {
      await using scratch = await makeScratch();
      const path = scratch.file("disk");
      createSparseFile(path, 5120 * MIB);
      const device = new FileDevice(path, { native });
      device.write(pattern(100, 1), 0);
      await act(path);
      await assertRejects(
        async () => await device.flush(),
        VirstorError,
        words,
      );
      await device.close();
    });
  }

  test(`FileDevice.flush() takes a file that has become longer, ${how}`, async () => {
    await using scratch = await makeScratch();
    const path = scratch.file("disk");
    createSparseFile(path, 5120 * MIB);
    const device = new FileDevice(path, { native });
    device.write(pattern(100, 1), 0);
    await Deno.truncate(path, 8192 * MIB);
    await device.flush();
    await device.close();
  });
}

Deno.test("FileDevice.writeZeroes() with noHole keeps space", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("disk");
  createSparseFile(path, 4 * MIB);
  const device = new FileDevice(path);
  await device.writeZeroes(0, 2 * MIB, { noHole: true });
  await device.flush();
  assert(((await Deno.stat(path)).blocks ?? 0) >= 2 * MIB / 512);
  assertEquals(await readBytes(device, 0, MIB), new Uint8Array(MIB));
  await device.close();
});

Deno.test("FileDevice.flush() makes durable what an earlier process wrote", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("disk");
  createSparseFile(path, MIB);
  const before = new FileDevice(path);
  before.write(pattern(10, 1), 0);
  await before.close(); // As a kill would: nothing was flushed.
  const device = new FileDevice(path);
  const flush = device.flush();
  assert(flush !== undefined, "the system was not asked to make it durable");
  await flush;
  assertEquals(device.flush(), undefined);
  await device.close();
  const reader = new FileDevice(path, { readOnly: true });
  assertEquals(reader.flush(), undefined);
  await reader.close();
});

testNatively("FileDevice.flush() leaves the file's times alone", async () => {
  await using scratch = await makeScratch();
  // A tick of the kernel's clock may lie between two writes.
  for (let tries = 0;; tries++) {
    assert(tries < 100, "the write after a flush has had a time of its own");
    const devices = ["a", "b"].map((name) => {
      const path = scratch.file(`${name}${tries}`);
      createSparseFile(path, KIB);
      return new FileDevice(path);
    });
    const [other, flushed] = devices;
    assert(flushed !== undefined && other !== undefined);
    for (const device of devices) device.write(pattern(10, 1), 0);
    await flushed.flush();
    // Whose times were asked for has the next change noted exactly.
    for (const device of devices) device.write(pattern(10, 2), 0);
    // The runtime tells milliseconds only.
    const { stdout } = await new Deno.Command("stat", {
      args: ["--format=%.9Y", ...devices.map(({ path }) => path)],
    }).output();
    const [one, two] = new TextDecoder().decode(stdout).split("\n");
    for (const device of devices) await device.close();
    if (one === two) break;
  }
});

Deno.test("FileDevice.flush() covers writes made while another flush runs", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("disk");
  createSparseFile(path, MIB);
  const device = new FileDevice(path);
  device.write(pattern(10, 1), 0);
  const first = device.flush();
  assertEquals(device.flush(), first);
  device.write(pattern(10, 2), 0);
  const second = device.flush();
  assert(second !== undefined && second !== first);
  assertEquals(device.flush(), second);
  await first;
  let secondIsDone = false;
  second.then(() => secondIsDone = true);
  await Promise.resolve();
  assert(!secondIsDone, "the first fdatasync does not cover the later write");
  await second;
  assertEquals(device.flush(), undefined);
  await device.close();
});

Deno.test("FileDevice.flush() tells its observer, and shares what is in flight", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("disk");
  createSparseFile(path, MIB);
  const device = new FileDevice(path);
  await device.flush();
  const told: string[] = [];
  device.observer = {
    flushBegins: () => told.push("begins"),
    flushEnds: () => told.push("ends"),
  };
  assertEquals(device.flush(), undefined, "there is nothing to flush");
  device.write(pattern(10, 1), 0);
  const done = device.flush();
  assert(done !== undefined, "the event loop does not wait for a disk");
  assertEquals(told, ["begins"]);
  assertEquals(device.flush(), done, "nothing was written meanwhile");
  device.write(pattern(10, 2), 0);
  const next = device.flush();
  assert(next !== undefined && next !== done);
  assertEquals(device.flush(), next);
  await next;
  assertEquals(told, ["begins", "ends", "begins", "ends"]);
  await device.close();
});

const UNCOUNTED: [string, (device: FileDevice) => void][] = [
  ["other threads wrote", (device) => device.touched()],
  ["space was given back", (device) => void device.discard(0, 64 * KIB)],
  ["zeroes were written", (device) => void device.writeZeroes(0, 64 * KIB)],
];

for (const [what, act] of UNCOUNTED) {
  testNatively(
    `FileDevice.flush() has something to do after ${what}`,
    async () => {
      await using scratch = await makeScratch();
      const path = scratch.file("disk");
      createSparseFile(path, MIB);
      const device = new FileDevice(path);
      await device.flush();
      assertEquals(device.flush(), undefined);
      act(device);
      const done = device.flush();
      assert(done !== undefined);
      await done;
      await device.close();
    },
  );
}

Deno.test("FileDevice.flush() fails for good where it fails", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("disk");
  createSparseFile(path, MIB);
  const device = new FileDevice(path);
  await device.flush();
  let ends = 0;
  device.observer = { flushBegins: () => {}, flushEnds: () => ends++ };
  await Deno.remove(path);
  device.write(pattern(10, 1), 0);
  const act = async () => await device.flush();
  await assertRejects(act, VirstorError, "was deleted");
  await assertRejects(act, VirstorError, "was deleted");
  assertEquals(ends, 0);
  await device.close();
});

Deno.test("FileDevice fails after close() and never touches another's descriptor", async () => {
  await using scratch = await makeScratch();
  createSparseFile(scratch.file("a"), MIB);
  createSparseFile(scratch.file("b"), MIB);
  const device = new FileDevice(scratch.file("a"));
  await device.close();
  await device.close();
  const other = new FileDevice(scratch.file("b")); // Takes the same number.
  const act = () => device.write(pattern(100, 1), 0);
  assertEquals(assertThrows(act, VirstorError, "it is closed").code, "io");
  assertThrows(() => device.read(new Uint8Array(1), 0), VirstorError);
  assertEquals(await readBytes(other, 0, 100), new Uint8Array(100));
  await other.close();
});

Deno.test("FileDevice.close() waits for a running flush", async () => {
  await using scratch = await makeScratch();
  createSparseFile(scratch.file("a"), MIB);
  const device = new FileDevice(scratch.file("a"));
  device.write(pattern(10, 1), 0);
  const flush = device.flush();
  await device.close();
  await flush;
});

Deno.test("FileDevice refuses what is no disk, with one line", async () => {
  await using scratch = await makeScratch();
  const fifo = scratch.file("fifo");
  await new Deno.Command("mkfifo", { args: [fifo] }).output();
  for (
    const [path, code, text] of [
      [scratch.path, "invalid", "it is a directory"],
      [fifo, "invalid", "it is neither a file nor a block device"],
      [scratch.file("none"), "not-found", "there is no such file"],
      [scratch.file("a/b"), "not-found", "there is no directory"],
    ] as const
  ) {
    const error = assertThrows(() => new FileDevice(path), VirstorError, text);
    assertEquals(error.code, code);
    assert(error.message.includes(path));
    assert(!error.message.includes("\n"));
  }
});

testNatively(
  "FileDevice locks exclusively or together, and names the holder",
  async () => {
    await using scratch = await makeScratch();
    const path = scratch.file("disk");
    createSparseFile(path, MIB);
    const shared = { readOnly: true, lock: "shared" } as const;
    const one = new FileDevice(path, shared);
    const two = new FileDevice(path, shared);
    const act = () => new FileDevice(path, { lock: "exclusive" });
    const error = assertThrows(act, VirstorError, `process ${Deno.pid}`);
    assertEquals(error.code, "busy");
    await one.close();
    await two.close();
    const alone = act();
    assertThrows(() => new FileDevice(path, shared), VirstorError);
    new FileDevice(path, { readOnly: true }).close();
    await alone.close();
  },
);

Deno.test("createSparseFile() makes a sparse file, and overwrites none", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("disk");
  createSparseFile(path, 100 * MIB);
  const stat = await Deno.stat(path);
  assertEquals(stat.size, 100 * MIB);
  assert((stat.blocks ?? 0) * 512 < MIB);
  const again = () => createSparseFile(path, 1);
  assertEquals(assertThrows(again, VirstorError).code, "exists");
  const nowhere = () => createSparseFile(scratch.file("no/disk"), 1);
  assertEquals(assertThrows(nowhere, VirstorError).code, "not-found");
  assertEquals((await Deno.stat(path)).size, 100 * MIB);
});

Deno.test("fileIdentity() is the same for links, and for them only", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("disk");
  createSparseFile(path, 1);
  createSparseFile(scratch.file("other"), 1);
  await Deno.link(path, scratch.file("hard"));
  await Deno.symlink(path, scratch.file("soft"));
  const identity = fileIdentity(path);
  assertEquals(fileIdentity(scratch.file("hard")), identity);
  assertEquals(fileIdentity(scratch.file("soft")), identity);
  assert(fileIdentity(scratch.file("other")) !== identity);
  assertThrows(() => fileIdentity(scratch.file("none")), VirstorError);
});

Deno.test("FileDevice works without the permission for native calls", async () => {
  await using scratch = await makeScratch();
  const module = new URL("../../../device/mod.ts", import.meta.url);
  const program = scratch.file("program.ts");
  await Deno.writeTextFile(
    program,
    `import { createSparseFile, FileDevice } from "${module}";
    const path = Deno.args[0];
    createSparseFile(path, 1 << 20);
    const device = new FileDevice(path, { lock: "exclusive" });
    device.write(new Uint8Array(1 << 20).fill(7), 0);
    await device.writeZeroes(10, 100_000, { fua: true });
    await device.discard(0, 5);
    try {
      new FileDevice(path, { lock: "exclusive" });
    } catch (error) {
      console.log(error.message);
    }
    const read = new Uint8Array(1 << 20);
    device.read(read, 0);
    console.log(device.capabilities.discard, read.indexOf(0), read[100_010]);
    await device.close();`,
  );
  const path = scratch.file("disk");
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--no-lock",
      "--no-config",
      "--allow-read",
      "--allow-write",
      program,
      path,
    ],
  }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  assertEquals(
    new TextDecoder().decode(stdout),
    `Cannot open "${path}": it is in use by another process\nfalse 10 7\n`,
  );
});

testNatively(
  "FileDevice knows whether the disk turns, as the system has it",
  async () => {
    await using scratch = await makeScratch();
    const path = scratch.file("disk");
    createSparseFile(path, 4096);
    const device = new FileDevice(path);
    const { stdout } = await new Deno.Command("findmnt", {
      args: ["--noheadings", "--output", "MAJ:MIN", "--target", path],
    }).output();
    const number = new TextDecoder().decode(stdout).trim();
    const { stdout: flag } = await new Deno.Command("sh", {
      args: [
        "-c",
        `cat /sys/dev/block/${number}/queue/rotational \
        /sys/dev/block/${number}/../queue/rotational 2>/dev/null`,
      ],
    }).output();
    assertEquals(device.rotational, new TextDecoder().decode(flag)[0] === "1");
    await device.close();
    const plain = new FileDevice(path, { native: false });
    assertEquals(plain.rotational, false);
    await plain.close();
  },
);
