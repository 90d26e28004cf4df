/**
 * Goal: a file is distinguished from every other one, and what else has it open
 * is found out before it is written. Method: files that this process and others
 * have open, and an overlay file system whose inode numbers are above 2^53.
 *
 * @module
 */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { createSparseFile, fileIdentity } from "../../../device/file/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { labelPool, openPool } from "../../../pool/mod.ts";
import { NO_NATIVE_CALLS, testNatively } from "../../helpers/native.ts";
import { hasPeer, peerPath, testUnless } from "../../helpers/peers.ts";
import { makeScratch, MIB, type Scratch } from "../../helpers/scratch.ts";

async function run(name: string, ...args: string[]): Promise<boolean> {
  const { success } = await new Deno.Command(peerPath(name) ?? name, {
    args,
    stdout: "null",
    stderr: "null",
  }).output();
  return success;
}

/** An overlay of two file systems, with inode numbers above 2^53. */
async function mountOverlay(scratch: Scratch): Promise<AsyncDisposable> {
  const mounted: string[] = [];
  const dispose = async () => {
    for (const path of mounted.toReversed()) await run("umount", "-l", path);
  };
  const mount = async (name: string, ...args: string[]) => {
    await Deno.mkdir(scratch.file(name));
    if (!await run("mount", ...args, scratch.file(name))) {
      await dispose();
      throw new Error("Cannot mount here");
    }
    mounted.push(scratch.file(name));
  };
  await mount("low", "-t", "tmpfs", "tmpfs");
  await mount("up", "-t", "tmpfs", "tmpfs");
  await Deno.mkdir(scratch.file("up/upper"));
  await Deno.mkdir(scratch.file("up/work"));
  for (const name of ["a", "b"]) {
    using file = await Deno.create(scratch.file(`low/${name}`));
    await file.truncate(8 * MIB);
  }
  const options = `lowerdir=${scratch.file("low")},` +
    `upperdir=${scratch.file("up/upper")},workdir=${scratch.file("up/work")}`;
  const xino = `${options},xino=on`;
  await mount("over", "-t", "overlay", "overlay", "-o", xino);
  return { [Symbol.asyncDispose]: dispose };
}

async function whyNoOverlay(): Promise<string | undefined> {
  await using scratch = await makeScratch();
  try {
    await using _overlay = await mountOverlay(scratch);
    const { ino } = Deno.statSync(scratch.file("over/a"));
    if ((ino ?? 0) > Number.MAX_SAFE_INTEGER) return undefined;
    return "inode numbers of overlay file systems are small here";
  } catch {
    return "no overlay file system can be mounted here";
  }
}

testUnless(
  "files with inode numbers above 2^53 are distinguished",
  NO_NATIVE_CALLS ?? await whyNoOverlay(),
  async () => {
    await using scratch = await makeScratch();
    await using _overlay = await mountOverlay(scratch);
    const paths = ["a", "b"].map((name) => scratch.file(`over/${name}`));
    const [a = "", b = ""] = paths;
    await Deno.symlink(a, scratch.file("link"));
    assertNotEquals(fileIdentity(a), fileIdentity(b));
    assertEquals(fileIdentity(scratch.file("link")), fileIdentity(a));
    await labelPool({ name: "p", paths, virtualSize: 64 * MIB });
    const pool = await openPool(paths);
    try {
      assertEquals(pool.status().components.length, 2);
      for (const path of paths) {
        const device = new FileDevice(path, { readOnly: true });
        assertEquals(device.identity, fileIdentity(path));
        device.close();
      }
      // The holder of a lock is found by such a number, too.
      const error = errorOf(() => new FileDevice(a, { lock: "exclusive" }));
      assert(error.message.includes(`process ${Deno.pid}`), error.message);
    } finally {
      await pool.close();
    }
  },
);

function errorOf(act: () => unknown): VirstorError {
  try {
    act();
  } catch (error) {
    if (error instanceof VirstorError) return error;
    throw error;
  }
  throw new Error("It was not refused");
}

testNatively(
  "FileDevice with an exclusive lock tells what else has the file open",
  async () => {
    await using scratch = await makeScratch();
    const path = scratch.file("a");
    await Deno.writeFile(path, new Uint8Array(MIB));
    const look = () => {
      const device = new FileDevice(path, { lock: "exclusive" });
      device.close();
      return device.openElsewhere;
    };
    assertEquals(look(), "no");
    {
      using _reader = await Deno.open(path);
      assertEquals(look(), "reading");
    }
    assertEquals(look(), "no");
    {
      using _writer = await Deno.open(path, { write: true });
      const error = errorOf(look);
      assertEquals(error.code, "busy");
      assert(error.message.includes("open for writing"), error.message);
      // To read it does no harm.
      new FileDevice(path, { readOnly: true, lock: "shared" }).close();
    }
    assertEquals(look(), "no");
    // It can be opened and closed again and again, and is claimed meanwhile.
    const device = new FileDevice(path, { lock: "exclusive" });
    assertEquals(errorOf(look).code, "busy");
    device.close();
    assertEquals(look(), "no");
  },
);

testUnless(
  "FileDevice refuses a file that only a memory mapping of another process can write",
  NO_NATIVE_CALLS ??
    (hasPeer("python3") ? undefined : '"python3" not installed'),
  async () => {
    await using scratch = await makeScratch();
    const path = scratch.file("a");
    await Deno.writeFile(path, new Uint8Array(MIB));
    const process = new Deno.Command("python3", {
      args: [
        "-c",
        "import mmap, sys\n" +
        "f = open(sys.argv[1], 'r+b')\n" +
        "m = mmap.mmap(f.fileno(), 0)\n" +
        "f.close()\n" +
        "print('ready', flush=True)\n" +
        "sys.stdin.read()",
        path,
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = process.stdout.getReader();
    await reader.read();
    const error = errorOf(() => new FileDevice(path, { lock: "exclusive" }));
    assertEquals(error.code, "busy");
    await process.stdin.close();
    await process.status;
    await reader.cancel();
    new FileDevice(path, { lock: "exclusive" }).close();
  },
);

testUnless(
  "a file that this process had open is not in use by its children that start",
  NO_NATIVE_CALLS,
  async () => {
    await using scratch = await makeScratch();
    const thread = new Worker(
      new URL("./starting_thread.ts", import.meta.url),
      { type: "module" },
    );
    await new Promise((done) => thread.onmessage = done);
    try {
      for (let i = 0; i < 100; i++) {
        const path = scratch.file(`made${i}`);
        createSparseFile(path, MIB);
        await new FileDevice(path, { lock: "exclusive" }).close();
        await Deno.remove(path);
        await new Promise((done) => setTimeout(done, 0));
      }
    } finally {
      thread.terminate();
    }
  },
);
