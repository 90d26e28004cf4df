/**
 * Goal: an evacuation that may lose what a disk cannot read loses that and
 * nothing else, and names it. Method: pages that begin with a mark cannot be
 * read, wherever they lie.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { lossWarnings } from "../../../pool/change/mod.ts";
import { type Loss, openPool, type Pool } from "../../../pool/mod.ts";
import type { BlockDevice } from "../../../device/mod.ts";
import {
  componentSize,
  openSmallPool,
  readBytes,
  type Scratch,
  SMALL_CHUNK,
  type SmallPool,
} from "../../helpers/scratch.ts";
import {
  assertSound,
  chunkBytes,
  makeQuickScratch,
  until,
} from "../../helpers/small_pools.ts";

const PAGE = 4096;
/** A page that begins with it cannot be read once the disk is broken. */
const MARK = [0xba, 0xdb, 0xad, 0xba, 0xdb, 0xad];

/** The pool, and the component that is to leave. */
interface BrokenPool extends SmallPool {
  readonly broken: string;
  readonly good: string;
  /** Whether the marked pages cannot be read. */
  readonly disk: { isBroken: boolean };
}

/** The bytes of a chunk, with marks at some of its pages. */
function marked(seed: number, pages: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(SMALL_CHUNK);
  bytes.set(chunkBytes(seed));
  for (const page of pages) bytes.set(MARK, page * PAGE);
  return bytes;
}

/** The same with zeroes where it cannot be read. */
function without(bytes: Uint8Array, pages: readonly number[]): Uint8Array {
  const rest = bytes.slice();
  for (const page of pages) rest.fill(0, page * PAGE, (page + 1) * PAGE);
  return rest;
}

function holdsMark(bytes: Uint8Array): boolean {
  for (let at = bytes.indexOf(MARK[0] ?? 0); at >= 0;) {
    if (MARK.every((byte, i) => bytes[at + i] === byte)) return true;
    at = bytes.indexOf(MARK[0] ?? 0, at + 1);
  }
  return false;
}

/** A pool whose data is on one component, with room on another. */
async function openBroken(scratch: Scratch): Promise<BrokenPool> {
  const disk = { isBroken: false };
  const createSize = componentSize("native", 10);
  const small = await openSmallPool(scratch, 1, {
    ...{ format: "native", createSize, virtualSize: 64 * SMALL_CHUNK },
    openDevice: (path, options) => {
      const device = new FileDevice(path, options);
      const { read } = FileDevice.prototype;
      device.read = (target, offset) => {
        read.call(device, target, offset);
        if (!disk.isBroken || !path.endsWith("c0") || !holdsMark(target)) {
          return;
        }
        throw new VirstorError("io", `Cannot read "${path}": no spindle turns`);
      };
      return device;
    },
  });
  const good = scratch.file("good");
  return { ...small, broken: small.paths[0] ?? "", good, disk };
}

async function write(pool: Pool, chunk: number, bytes: Uint8Array) {
  await pool.volume().write(bytes, chunk * SMALL_CHUNK);
}

function chunkOf(device: BlockDevice, chunk: number): Promise<Uint8Array> {
  return readBytes(device, chunk * SMALL_CHUNK, SMALL_CHUNK);
}

async function untilStopped(pool: Pool): Promise<string> {
  await until(() => pool.status().evacuation?.state === "stopped");
  return pool.status().evacuation?.reason ?? "";
}

Deno.test("remove() with mayLose leaves out what cannot be read, names it, and keeps the rest", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, broken, good, disk, events } = await openBroken(scratch);
  const [first, second, third] = [
    marked(1, [3, 4, 9]),
    marked(2, []),
    marked(3, [0]),
  ];
  for (const [at, bytes] of [first, second, third].entries()) {
    await write(pool, at, bytes);
  }
  await pool.snapshotChanges.take([{ volume: pool.name, snapshot: "s" }]);
  // From here on only the snapshot sees the marked page.
  await write(pool, 2, second);
  const createSize = componentSize("native", 10);
  await pool.add([good], { createSize });
  disk.isBroken = true;

  await pool.remove([broken]);
  assertMatch(await untilStopped(pool), /no spindle turns/);
  await pool.remove([broken], { mayLose: 3 * PAGE });
  assertMatch(await untilStopped(pool), /more than the 12288 bytes that may/);
  await pool.remove([broken], { mayLose: 4 * PAGE });
  await until(() => pool.status().evacuation === null);

  const name = pool.name;
  const path = broken;
  const lost: Loss[] = [
    { path, names: [name, `${name}@s`], offset: 3 * PAGE, length: 2 * PAGE },
    { path, names: [name, `${name}@s`], offset: 9 * PAGE, length: PAGE },
    { path, names: [`${name}@s`], offset: 2 * SMALL_CHUNK, length: PAGE },
  ];
  const status = pool.status();
  assertEquals(status.lost.bytes, 4 * PAGE);
  assertEquals(status.lost.ranges, lost);
  assert(status.warnings.some((one) => one.includes("has lost 16384 bytes")));
  const told = events.filter((event) => event.kind === "lost");
  const [event] = told;
  assertEquals(
    event?.message,
    `Lost 8192 bytes at byte 12288 of "${name}", "${name}@s": "${broken}" ` +
      "cannot read them, zeroes are there now",
  );
  // A batch that was given up may have named something before.
  for (const { path, names, offset, length } of told.slice(-3)) {
    assert(
      lost.some((one) =>
        one.offset === offset && one.length === length &&
        one.path === path && one.names.join() === names.join()
      ),
    );
  }
  await pool.close();
  await assertSound("native", [good]);
  await using again = await openPool([good]);
  const snapshot = again.snapshotDisk(name, "s");
  for (const disk of [again.volume(), snapshot]) {
    assertEquals(await chunkOf(disk, 0), without(first, [3, 4, 9]));
    assertEquals(await chunkOf(disk, 1), second);
  }
  assertEquals(await chunkOf(again.volume(), 2), second);
  assertEquals(await chunkOf(snapshot, 2), without(third, [0]));
});

Deno.test("what clients write to a page that cannot be read while it moves is kept", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, broken, good, disk } = await openBroken(scratch);
  const before = marked(1, [3]);
  await write(pool, 0, before);
  await pool.add([good], { createSize: componentSize("native", 10) });
  disk.isBroken = true;
  await pool.remove([broken], { mayLose: PAGE });
  const news = chunkBytes(7).subarray(0, 100);
  await pool.volume().write(news, 3 * PAGE + 500);
  await until(() => pool.status().evacuation === null);
  const after = without(before, [3]);
  after.set(news, 3 * PAGE + 500);
  assertEquals(await chunkOf(pool.volume(), 0), after);
  await pool.close();
  await assertSound("native", [good]);
});

Deno.test("the next open gives up nothing more", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, broken, good, disk } = await openBroken(scratch);
  for (let i = 0; i < 3; i++) await write(pool, i, marked(i, [i]));
  await pool.add([good], { createSize: componentSize("native", 10) });
  disk.isBroken = true;
  await pool.remove([broken], { mayLose: PAGE });
  assertMatch(await untilStopped(pool), /more than the 4096 bytes/);
  await pool.close();
  disk.isBroken = false;
  await using again = await openPool([broken, good]);
  await until(() => again.status().evacuation === null);
  for (let i = 0; i < 3; i++) {
    assertEquals(await chunkOf(again.volume(), i), marked(i, [i]));
  }
  assertEquals(again.status().lost.bytes, 0);
});

Deno.test("a warning names what was lost as users type it", () => {
  const lost = (...names: string[]) =>
    lossWarnings("vm", {
      bytes: 4096,
      ranges: [{ path: "/c0", names, offset: 0, length: 4096 }],
    })[0] ?? "";
  assertStringIncludes(lost("vm", "vm@s"), 'of "vm", "vm@s": ');
  assertStringIncludes(lost("data@s", "data@s"), 'of "vm/data@s": ');
  const many = Array.from({ length: 20 }, (_, i) => `v${i}`);
  assertStringIncludes(lost(...many), ' "vm/v7" and 12 more: ');
});
