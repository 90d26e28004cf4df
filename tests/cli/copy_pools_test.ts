/**
 * Goal: `virstor copy` takes volumes and snapshots of stopped and of served
 * pools, and `--since` makes an incremental backup that is whole. Method: a real
 * round trip, each step compared byte for byte; a byte that the test changes in
 * the backup itself must stay, since its chunk has not changed.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { NbdDisk } from "../../nbd/mod.ts";
import { openPool } from "../../pool/mod.ts";
import { firstDifference } from "../helpers/bytes.ts";
import { KIB, MIB, pattern } from "../helpers/scratch.ts";
import { Workspace } from "../helpers/virstor.ts";

const SIZE = 4 * MIB;
const CHUNK = 64 * KIB;
/** What is written between the two snapshots: offset, bytes. */
const WRITES: readonly (readonly [offset: number, bytes: Uint8Array])[] = [
  [MIB + 5, pattern(100, 21)],
  // Over the end of a chunk, and into the hole.
  [2 * MIB - 1000, pattern(2000, 22)],
];
/** A range that is discarded between them. */
const GONE = { offset: 3 * MIB, length: 2 * CHUNK };
/** A byte of a chunk that does not change. */
const UNCHANGED = 10;

/** Bytes with a hole in the middle. */
function firstImage(): Uint8Array {
  const image = pattern(SIZE, 20);
  image.fill(0, 2 * MIB, 3 * MIB);
  return image;
}

function secondImage(): Uint8Array {
  const image = firstImage();
  for (const [offset, bytes] of WRITES) image.set(bytes, offset);
  return image.fill(0, GONE.offset, GONE.offset + GONE.length);
}

/** Changes the volume, through its export or on the stopped pool. */
async function change(work: Workspace, uri: string): Promise<void> {
  await using pool = uri === "" ? await openPool([work.path("c0")]) : undefined;
  await using disk = pool?.volume("data") ?? await NbdDisk.connect(uri);
  for (const [offset, bytes] of WRITES) await disk.write(bytes, offset);
  await disk.discard(GONE.offset, GONE.length);
  await disk.flush();
}

async function assertFile(
  work: Workspace,
  name: string,
  wanted: Uint8Array,
): Promise<void> {
  const bytes = await Deno.readFile(work.path(name));
  assertEquals(bytes.length, wanted.length);
  assertEquals(firstDifference(bytes, wanted), -1, name);
}

async function occupied(work: Workspace, name: string): Promise<number> {
  return ((await Deno.stat(work.path(name))).blocks ?? 0) * 512;
}

/** Two backups and what can be made of them. */
async function roundTrip(work: Workspace, uri: string): Promise<void> {
  await Deno.writeFile(work.path("image"), firstImage());
  await work.succeed(["copy", "image", "vm/data"]);
  await work.succeed(["snapshot", "vm/data@mon"]);
  await work.succeed(["copy", "vm/data@mon", "backup"]);
  await assertFile(work, "backup", firstImage());
  assert(await occupied(work, "backup") <= 3 * MIB + 64 * KIB);
  await change(work, uri);
  await work.succeed(["snapshot", "vm/data@tue"]);

  const backup = await Deno.readFile(work.path("backup"));
  backup[UNCHANGED] = ~(backup[UNCHANGED] ?? 0);
  await Deno.writeFile(work.path("backup"), backup);
  const args = ["copy", "-v", "--since", "mon", "vm/data@tue"];
  const text = await work.succeed([...args, "backup"]);
  // One chunk, two at the hole's beginning, and two that are gone.
  assertMatch(text, /^Copied 320 KiB, /);
  const wanted = secondImage();
  wanted[UNCHANGED] = backup[UNCHANGED] ?? 0;
  await assertFile(work, "backup", wanted);

  // Into a volume of the same pool: first all of it, then what has changed.
  await work.succeed(["volume", "create", "-s", `${SIZE}`, "vm/twin"]);
  await work.succeed(["copy", "vm/data@mon", "vm/twin"]);
  await work.succeed([...args, "vm/twin"]);
  await work.succeed(["copy", "vm/twin", "out"]);
  await assertFile(work, "out", secondImage());
}

async function makePool(): Promise<Workspace> {
  const work = await Workspace.create();
  const sizes = ["-s", "8M", "--chunksize", `${CHUNK}`, "--create", "32M"];
  await work.succeed(["label", ...sizes, "vm", "c0"]);
  await work.succeed(["volume", "create", "-s", `${SIZE}`, "vm/data"]);
  return work;
}

Deno.test("virstor copy --since backs a stopped pool up", async () => {
  await using work = await makePool();
  await roundTrip(work, "");
});

Deno.test("virstor copy --since backs a served pool up", async () => {
  await using work = await makePool();
  const socket = work.path("s");
  const server = await work.serve(["serve", "--socket", socket, "vm"]);
  const uri = `nbd+unix:///vm%2Fdata?socket=${socket}`;
  await roundTrip(work, uri);

  // The same from its export, as another machine would.
  await Deno.writeFile(work.path("far"), firstImage());
  const newer = uri.replace("data", "data@tue");
  await work.succeed(["copy", "--since", "mon", newer, "far"]);
  await assertFile(work, "far", secondImage());
  const unknown = await work.run(["copy", "--since", "sun", newer, "far"]);
  assertEquals(unknown.code, 3);
  assertMatch(unknown.stderr, /no such snapshot .*"virstor:changed:sun"/);
  await server.stop();
});

Deno.test("virstor copy refuses what it cannot mean", async () => {
  await using work = await makePool();
  await work.succeed(["snapshot", "vm/data@mon"]);
  await Deno.writeFile(work.path("image"), pattern(SIZE, 1));
  await Deno.link(work.path("image"), work.path("hard"));
  await Deno.symlink("image", work.path("soft"));
  await work.makeFile("small", 512);
  await work.makeFile("vm", 512);
  await work.succeed(["copy", "image", "vm/data"]);
  const since = ["copy", "--since", "mon", "vm/data"];
  const cases: [string[], number, RegExp][] = [
    [["copy", "vm", "out"], 64, /"vm" is a file, and pool "vm" has that name/],
    [
      ["copy", "image", "vm/data@mon"],
      64,
      /is a snapshot, which never changes/,
    ],
    [["copy", "image", "vm/data"], 4, /"vm\/data": it may hold data, -f over/],
    [["copy", "-f", "vm/data", "vm/data"], 64, /is both ends of the copy/],
    [["copy", "-f", "image", "hard"], 64, /"image" is both ends of the copy/],
    [["copy", "-f", "soft", "image"], 64, /"soft" is both ends of the copy/],
    [["copy", "vm/data@sun", "out"], 3, /"vm\/data@sun": .* no such snapshot/],
    [[...since, "-"], 64, /--since is not for streams/],
    [[...since, "missing"], 3, /"missing": it does not exist; copy all of/],
    [[...since, "small"], 9, /it has 512 bytes, and the disk had 4194304/],
    [["copy", "--since", "mon", "image", "small"], 64, /needs a volume or a/],
    [["copy", "--since", "sun", "vm/data", "image"], 3, /is no such snap/],
  ];
  for (const [args, wanted, message] of cases) {
    const { code, stderr } = await work.run(args);
    assertMatch(stderr, message);
    assertEquals(code, wanted, args.join(" "));
  }
  await assertFile(work, "image", pattern(SIZE, 1));
  await assertFile(work, "small", new Uint8Array(512));
});
