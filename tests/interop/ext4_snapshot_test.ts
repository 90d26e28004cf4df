/**
 * Goal: a snapshot that is taken while a file system is busy is as good as the
 * disk after a power cut: nothing that was synced is missing. Method: the
 * kernel's ext4 on a volume, by way of nbdfuse and a loop device, with files
 * written, synced and removed all the time; then copies of snapshots are
 * mounted, which replays the journal, read, and checked by e2fsck.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { hasPeer, testUnless } from "../helpers/peers.ts";
import { whyNoMount } from "../helpers/tiny_fs.ts";
import type { Workspace } from "../helpers/virstor.ts";
import { until } from "../helpers/small_pools.ts";
import { peerSucceeds, ServedPool, stampedBytes } from "./served_pool.ts";

const PEERS = [
  "nbdfuse",
  "losetup",
  "mkfs.ext4",
  "dumpe2fs",
  "e2fsck",
  "nbdcopy",
];
const FILE_SIZE = 48 * 1024;
/** Files that are there at a time, about. */
const FILES = 24;

/** Why the kernel's ext4 cannot be used here, if so. */
async function reasonAgainst(): Promise<string | undefined> {
  const missing = PEERS.filter((peer) => !hasPeer(peer));
  if (missing.length > 0) return `${missing.join(", ")} not installed`;
  try {
    Deno.openSync("/dev/fuse", { read: true, write: true }).close();
    Deno.openSync("/dev/loop-control", { read: true, write: true }).close();
  } catch {
    return "no FUSE or no loop devices";
  }
  return await whyNoMount();
}

/** An image that is mounted by way of a loop device. */
class Mounted implements AsyncDisposable {
  readonly directory: string;
  readonly #device: string;

  private constructor(directory: string, device: string) {
    this.directory = directory;
    this.#device = device;
  }

  static async mount(image: string, directory: string): Promise<Mounted> {
    await Deno.mkdir(directory);
    const args = ["--find", "--show", image];
    const device = (await peerSucceeds("losetup", args)).trim();
    try {
      await peerSucceeds("mount", ["-t", "ext4", device, directory]);
    } catch (error) {
      await peerSucceeds("losetup", ["--detach", device]);
      throw error;
    }
    return new Mounted(directory, device);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await peerSucceeds("umount", [this.directory]);
    await peerSucceeds("losetup", ["--detach", this.#device]);
  }
}

/** An export as a file. */
class FuseFile implements AsyncDisposable {
  readonly path: string;
  readonly #directory: string;
  readonly #process: Deno.ChildProcess;

  private constructor(directory: string, process: Deno.ChildProcess) {
    this.#directory = directory;
    this.path = `${directory}/disk`;
    this.#process = process;
  }

  static async open(work: Workspace, uri: string): Promise<FuseFile> {
    const directory = work.path("fuse");
    await Deno.mkdir(directory);
    const process = new Deno.Command("nbdfuse", {
      args: [`${directory}/disk`, uri],
      stdin: "null",
    }).spawn();
    const file = new FuseFile(directory, process);
    await until(() => {
      try {
        return Deno.statSync(file.path).size > 0;
      } catch {
        return false;
      }
    });
    return file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await peerSucceeds("umount", [this.#directory]);
    await this.#process.status;
  }
}

/** Writes and removes files, one after the other, until it is ended. */
class Load {
  /** The files that are synced, until their removal begins. */
  readonly synced = new Set<number>();
  /** How many files have been synced. */
  count = 0;
  /** Set while no file may be removed. */
  keeps = false;
  readonly #directory: string;
  #isEnding = false;
  readonly #running: Promise<void>;

  constructor(directory: string) {
    this.#directory = directory;
    this.#running = this.#run();
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let n = 0; !this.#isEnding;) {
      if (this.keeps && this.synced.size >= 3 * FILES) {
        await this.#write("scratch", n);
        continue;
      }
      await this.#write(String(n), n);
      this.synced.add(n++);
      this.count++;
      const [oldest] = this.synced;
      if (this.keeps || this.synced.size <= FILES) continue;
      if (oldest === undefined) continue;
      this.synced.delete(oldest);
      await Deno.remove(`${this.#directory}/${oldest}`);
    }
  }

  async #write(name: string, seed: number): Promise<void> {
    using file = await Deno.open(`${this.#directory}/${name}`, {
      write: true,
      create: true,
    });
    const bytes = stampedBytes(FILE_SIZE, seed);
    for (let at = 0; at < bytes.length;) {
      at += await file.write(bytes.subarray(at));
    }
    await file.sync();
  }
}

/** Copies a snapshot, mounts the copy, reads it, and checks it. */
async function examine(
  pool: ServedPool,
  name: string,
  wanted: readonly number[],
): Promise<void> {
  const { work } = pool;
  const image = work.path(`image-${name}`);
  const uri = pool.uri.replace("/pool?", `/pool/v@${name}?`);
  await peerSucceeds("nbdcopy", [uri, image]);
  // It was busy: the journal has something to replay.
  assertMatch(
    await peerSucceeds("dumpe2fs", ["-h", image]),
    /features:.*needs_recovery/,
  );
  {
    await using mounted = await Mounted.mount(image, work.path(`mnt-${name}`));
    for (const n of wanted) {
      const bytes = await Deno.readFile(`${mounted.directory}/${n}`);
      assertEquals(bytes, stampedBytes(FILE_SIZE, n), `file ${n} of ${name}`);
    }
  }
  await peerSucceeds("e2fsck", ["-fn", image]);
}

testUnless(
  "ext4 snapshotted under load has all that was synced, and is sound",
  await reasonAgainst(),
  async () => {
    await using pool = await ServedPool.start({
      format: "native",
      componentSize: "64M",
    });
    const { work } = pool;
    await work.succeed(["volume", "create", "-s", "24M", "pool/v"]);
    const wanted = new Map<string, number[]>();
    {
      const uri = pool.uri.replace("/pool?", "/pool/v?");
      await using disk = await FuseFile.open(work, uri);
      await peerSucceeds("mkfs.ext4", ["-q", "-F", disk.path]);
      await using mounted = await Mounted.mount(disk.path, work.path("mnt"));
      const load = new Load(mounted.directory);
      try {
        for (const name of ["a", "b", "c"]) {
          const count = load.count + FILES;
          await until(() => load.count >= count);
          load.keeps = true;
          wanted.set(name, [...load.synced]);
          await work.succeed(["snapshot", `pool/v@${name}`]);
          load.keeps = false;
        }
      } finally {
        await load.end();
      }
    }
    for (const [name, files] of wanted) {
      assert(files.length >= FILES);
      await examine(pool, name, files);
    }
    await pool.stopAndCheck();
  },
);
