/**
 * `virstor info`, `copy` and `ping` with the servers of others, beside the
 * tools of others.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { isZero } from "../helpers/bytes.ts";
import { eventually, PATIENCE_MS } from "../helpers/patience.ts";
import { peerTest } from "../helpers/peers.ts";
import { firstDifference } from "../helpers/bytes.ts";
import { pattern } from "../helpers/scratch.ts";
import { CERTIFICATES } from "../helpers/tls_client.ts";
import { Workspace } from "../helpers/virstor.ts";
import { FarServer } from "../remote/peers.ts";
import { MIB, peerSucceeds } from "./served_pool.ts";

const PIECE = 256 * 1024;

/** Data, a hole, zeroes that were written, and an odd end. */
function sampleImage(): Uint8Array {
  const image = new Uint8Array(6 * MIB + 512);
  image.set(pattern(MIB, 1), 0);
  image.set(pattern(1000, 2), 3 * MIB + 77);
  image.set(pattern(512, 3), 6 * MIB);
  return image;
}

async function writeSample(work: Workspace): Promise<string> {
  const path = work.path("sample");
  const image = sampleImage();
  using file = await Deno.open(path, { write: true, create: true });
  await file.truncate(image.length);
  for (let at = 0; at < image.length; at += PIECE) {
    const piece = image.subarray(at, at + PIECE);
    if (isZero(piece) && at !== 5 * MIB) continue;
    await file.seek(at, Deno.SeekMode.Start);
    await file.write(piece);
  }
  return path;
}

async function assertSample(path: string): Promise<void> {
  const content = await Deno.readFile(path);
  const wanted = sampleImage();
  const wrong = firstDifference(wanted, content);
  assertEquals([content.length, wrong], [wanted.length, -1]);
}

/** Kibibytes that a file occupies. */
async function occupied(path: string): Promise<number> {
  return ((await Deno.stat(path)).blocks ?? 0) / 2;
}

peerTest(
  "virstor info says what nbdinfo says",
  ["nbdkit", "nbdinfo"],
  async () => {
    await using work = await Workspace.create();
    const sample = await writeSample(work);
    const servers = [
      ["file", sample],
      ["--readonly", "file", sample],
      ["--no-sr", "memory", "1M"],
      ["--filter=noextents", "--filter=nozero", "file", sample],
      [
        ...["--filter=blocksize-policy", "memory", "1M"],
        ...["blocksize-minimum=512", "blocksize-preferred=4096"],
        "blocksize-maximum=32M",
      ],
    ];
    for (const [index, args] of servers.entries()) {
      const socket = work.path(`s${index}`);
      await using far = await FarServer.nbdkit(socket, args);
      const own = JSON.parse(
        await work.succeed(["info", "--json", far.uri]),
      );
      const theirs = JSON.parse(
        await peerSucceeds("nbdinfo", ["--json", far.uri]),
      );
      assertEquals(own["protocol"], theirs["protocol"]);
      assertEquals(own["structured"], theirs["structured"]);
      assertEquals(own["TLS"], theirs["TLS"]);
      for (const [key, value] of Object.entries(theirs.exports[0])) {
        // What only a look at the content can tell, and a size in words.
        if (["content", "export-size-str"].includes(key)) continue;
        const found = own.exports[0][key.replace("block_size", "block")];
        assertEquals(found ?? [], value, `${args.join(" ")}: ${key}`);
      }
      const map = JSON.parse(
        await work.succeed(["info", "--map", "--json", far.uri]),
      );
      const theirMap = args.includes("--no-sr") ? map : JSON.parse(
        await peerSucceeds("nbdinfo", ["--map", "--json", far.uri]),
      );
      assertEquals(map, theirMap, args.join(" "));
    }
  },
);

peerTest(
  "virstor info --list describes every export",
  ["qemu-nbd"],
  async () => {
    await using work = await Workspace.create();
    const sample = await writeSample(work);
    await using far = await FarServer.qemu(work.path("s"), sample, [
      ...["--export-name=one two/3", "--description=A sample"],
    ]);
    // The default export is not there.
    const listed = await retried(work, ["info", "--list", far.uri]);
    assertMatch(listed, /^Export: +"one two\/3"$/m);
    assertMatch(listed, /^URI: +nbd\+unix:\/\/\/one%20two%2F3\?socket=/m);
    assertMatch(listed, /^Size: +6291968 bytes \(6 MiB\)$/m);
    assertMatch(listed, /^Requests: +1 to 33554432 bytes, preferably 4096$/m);
    assertMatch(listed, /^Description: +A sample$/m);
    const { code, stderr } = await work.run(["info", far.uri]);
    assertEquals(code, 3);
    assertMatch(
      stderr,
      /^virstor: Cannot connect to "nbd.*": The server has no export ""/,
    );
  },
);

/** Runs a command again until the server listens. */
async function retried(
  work: Workspace,
  args: readonly string[],
): Promise<string> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const { code, stdout, stderr } = await work.run(args);
    if (code === 0) return stdout;
    if (Date.now() > end) throw new Error(stderr);
  }
}

const SERVERS: Readonly<
  Record<string, (work: Workspace, image: string) => Promise<FarServer>>
> = {
  nbdkit: (work, image) => FarServer.nbdkit(work.path("s"), ["file", image]),
  "qemu-nbd": (work, image) =>
    FarServer.qemu(work.path("s"), image, ["--discard=unmap"]),
};

for (const [name, start] of Object.entries(SERVERS)) {
  peerTest(
    `virstor copy copies to ${name} and back, with holes`,
    [name],
    async () => {
      await using work = await Workspace.create();
      const sample = await writeSample(work);
      // What is there is overwritten, with holes where they belong.
      const image = work.path("image");
      const size = 8 * MIB;
      await Deno.writeFile(image, new Uint8Array(size).fill(0xaa));
      await using far = await start(work, image);
      await retried(work, ["copy", sample, far.uri]);
      const rest = new Uint8Array(size).fill(0xaa);
      rest.set(sampleImage());
      const wrong = firstDifference(await Deno.readFile(image), rest);
      assertEquals(wrong, -1);
      assert(await occupied(image) < 5 * 1024);

      const copy = work.path("copy");
      const text = await work.succeed(["copy", "-v", far.uri, copy]);
      assertMatch(
        text,
        /^Copied 8 MiB, 3.\d+ MiB of it data, in .* s: .*\/s\n/,
      );
      await Deno.truncate(copy, sampleImage().length);
      await assertSample(copy);
      assert(await occupied(copy) < 5 * 1024);
    },
  );
}

peerTest("virstor copy copies between two servers", ["nbdkit"], async () => {
  await using work = await Workspace.create();
  const sample = await writeSample(work);
  await using from = await FarServer.nbdkit(work.path("a"), ["file", sample]);
  const image = await work.makeFile("image", sampleImage().length);
  await using to = await FarServer.nbdkit(work.path("b"), ["file", image]);
  await retried(work, ["info", to.uri]);
  await retried(work, ["copy", "--connections", "1", from.uri, to.uri]);
  await assertSample(image);
});

peerTest(
  "virstor copy goes on when the server is killed",
  ["nbdkit"],
  async () => {
    await using work = await Workspace.create();
    const size = 64 * MIB;
    const source = work.path("source");
    await Deno.writeFile(source, pattern(size, 4));
    const image = await work.makeFile("image", size);
    await using far = await FarServer.nbdkit(work.path("s"), [
      ...["--filter=cache", "--filter=rate", "file", image],
      ...["cache=writeback", "rate=400M"],
    ]);
    await retried(work, ["info", far.uri]);
    const copying = work.run(["copy", source, far.uri]);
    let isDone = false;
    copying.then(() => isDone = true);
    // The first half is durable, the rest on its way.
    await eventually("something is durable", async () => {
      return isDone || await occupied(image) > 0;
    });
    await far.kill();
    await far.start();
    assertEquals(await copying, { code: 0, stdout: "", stderr: "" });
    await far.kill();
    const wrong = firstDifference(pattern(size, 4), await Deno.readFile(image));
    assertEquals(wrong, -1);
  },
);

peerTest("virstor copy and ping work over TLS", ["nbdkit"], async () => {
  await using work = await Workspace.create();
  const sample = await writeSample(work);
  const socket = work.path("s");
  await using _far = await FarServer.nbdkit(socket, [
    ...["--tls=require", `--tls-certificates=${CERTIFICATES}good`],
    ...["file", sample],
  ]);
  const base = `nbds+unix:///?socket=${socket}`;
  const uri = `${base}&tls-certificates=${CERTIFICATES}good`;
  await retried(work, ["copy", uri, "out"]);
  await assertSample(work.path("out"));
  const pong = await work.succeed(["ping", "--count", "1", uri]);
  assertMatch(
    pong,
    /^1: read [\d.]+ ms, flush [\d.]+ ms\n1 answered, 0 failed/,
  );
  const refused = await work.run(["info", base]);
  assertEquals(refused.code, 9);
  assertMatch(refused.stderr, /Cannot negotiate TLS with "localhost"/);
});
