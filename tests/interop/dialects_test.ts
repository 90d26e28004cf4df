/**
 * Chunks, holes and block status, as other clients use them: libnbd and qemu
 * ask for structured replies and `base:allocation` of their own accord.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { BlockDevice } from "../../device/mod.ts";
import { VirstorError } from "../../errors.ts";
import { NbdServer } from "../../nbd/mod.ts";
import { peerTest } from "../helpers/peers.ts";
import { firstDifference } from "../helpers/bytes.ts";
import { makeScratch, type Scratch } from "../helpers/scratch.ts";
import { pattern } from "../unit/nbd/serving.ts";
import { SparseDevice } from "../unit/nbd/sparse_device.ts";
import {
  CHUNK,
  MIB,
  peerSucceeds,
  runPeer,
  ServedPool,
  stampedBytes,
} from "./served_pool.ts";

/** Where data is written: two chunks, one, and the last one. */
const MAPPED: readonly (readonly [chunk: number, count: number])[] = [
  [2, 2],
  [10, 1],
  [511, 1],
];
const VIRTUAL_CHUNKS = 512;

/** `[offset, length, isData]` of the disk with data at {@linkcode MAPPED}. */
function wantedMap(): [number, number, boolean][] {
  const map: [number, number, boolean][] = [];
  let at = 0;
  for (const [chunk, count] of MAPPED) {
    map.push([at * CHUNK, (chunk - at) * CHUNK, false]);
    map.push([chunk * CHUNK, count * CHUNK, true]);
    at = chunk + count;
  }
  assertEquals(at, VIRTUAL_CHUNKS);
  return map;
}

async function startMapped(): Promise<ServedPool> {
  const pool = await ServedPool.start();
  using client = await pool.connect();
  for (const [chunk, count] of MAPPED) {
    const bytes = stampedBytes(count * CHUNK, chunk);
    const { errno } = await client.write(chunk * CHUNK, bytes);
    assertEquals(errno, 0);
  }
  await client.disconnect();
  return pool;
}

/** Bytes that clients have read so far. */
async function bytesRead(pool: ServedPool): Promise<number> {
  return (await pool.status()).server?.counters.bytesRead ?? NaN;
}

interface NbdinfoRun {
  offset: number;
  length: number;
  type: number;
}

function mapOfNbdinfo(json: string): [number, number, boolean][] {
  const runs: NbdinfoRun[] = JSON.parse(json);
  return runs.map(({ offset, length, type }) => {
    assert(type === 0 || type === 3, `the type is ${type}`);
    return [offset, length, type === 0];
  });
}

peerTest(
  "nbdinfo --map shows which chunks are mapped, also through nbdkit",
  ["nbdinfo", "nbdkit"],
  async () => {
    await using pool = await startMapped();
    const { uri } = pool;
    const direct = await peerSucceeds("nbdinfo", ["--map", "--json", uri]);
    assertEquals(mapOfNbdinfo(direct), wantedMap());
    const relayed = await peerSucceeds("nbdkit", [
      ...["-U", "-", "nbd", `uri=${uri}`, "--run"],
      'nbdinfo --map --json "$uri"',
    ]);
    assertEquals(mapOfNbdinfo(relayed), wantedMap());
    assertEquals(await bytesRead(pool), 0);
    const info = JSON.parse(await peerSucceeds("nbdinfo", ["--json", uri]));
    const [{ contexts, can_df }] = info.exports;
    const virstor = ["virstor:chunk", "virstor:pressure"];
    assertEquals(contexts, ["base:allocation", ...virstor]);
    assertEquals(can_df, true);
    await pool.stopAndCheck();
  },
);

peerTest(
  "qemu-img map shows which chunks are mapped",
  ["qemu-img"],
  async () => {
    await using pool = await startMapped();
    const runs: { start: number; length: number; data: boolean }[] = JSON.parse(
      await peerSucceeds("qemu-img", [
        ...["map", "-f", "raw", "--output=json", pool.uri],
      ]),
    );
    assertEquals(
      runs.map(({ start, length, data }) => [start, length, data]),
      wantedMap(),
    );
    assertEquals(await bytesRead(pool), 0);
    await pool.stopAndCheck();
  },
);

peerTest("qemu-nbd --list names the context", ["qemu-nbd"], async () => {
  await using pool = await ServedPool.start();
  const listed = await peerSucceeds("qemu-nbd", ["-L", "-k", pool.socket]);
  assertStringIncludes(listed, "base:allocation");
  assertStringIncludes(listed, " df ");
  await pool.stopAndCheck();
});

const COPIES: Readonly<Record<string, (uri: string, out: string) => string[]>> =
  {
    nbdcopy: (uri, out) => [uri, out],
    "qemu-img": (uri, out) => [
      ...["convert", "-f", "raw", "-O", "raw", uri, out],
    ],
  };

for (const [program, args] of Object.entries(COPIES)) {
  peerTest(
    `${program} copies a pool without reading its holes`,
    [program],
    async () => {
      await using pool = await startMapped();
      const out = pool.work.path("out");
      await peerSucceeds(program, args(pool.uri, out));
      const read = await bytesRead(pool);
      // Some read twice as much at once as a chunk has here.
      const mapped = 4 * CHUNK;
      assert(read >= mapped && read <= 2 * mapped, `${read} bytes read`);
      const got = await Deno.readFile(out);
      const wanted = new Uint8Array(VIRTUAL_CHUNKS * CHUNK);
      for (const [chunk, count] of MAPPED) {
        wanted.set(stampedBytes(count * CHUNK, chunk), chunk * CHUNK);
      }
      assertEquals(got.length, wanted.length);
      const wrong = firstDifference(wanted, got);
      assertEquals(wrong, -1, `byte ${wrong} is wrong`);
      await pool.stopAndCheck();
    },
  );
}

/** Serves a device from here. */
function serveHere(
  scratch: Scratch,
  device: BlockDevice,
): { uri: string; server: NbdServer } & AsyncDisposable {
  const path = scratch.file("nbd.sock");
  const server = new NbdServer({
    exports: [{ name: "disk", description: "", device, readOnly: false }],
  });
  server.serve(Deno.listen({ transport: "unix", path }));
  return {
    uri: `nbd+unix:///disk?socket=${path}`,
    server,
    [Symbol.asyncDispose]: () => server.close(),
  };
}

/** 64 MiB with data here and there, and what it reads as. */
async function patchy(): Promise<{ device: SparseDevice; model: Uint8Array }> {
  const device = new SparseDevice(64 * MIB);
  const model = new Uint8Array(64 * MIB);
  const patches = [[0, 1], [70_000, 4096], [5 * MIB, 9 * MIB], [63 * MIB, MIB]];
  for (const [offset = 0, length = 0] of patches) {
    const bytes = pattern(length, offset);
    await device.write(bytes, offset);
    model.set(bytes, offset);
  }
  return { device, model };
}

for (
  const args of [
    ["--no-extents"],
    ["--no-extents", "--request-size=33554432", "--connections=1"],
    ["--no-extents", "--synchronous", "--request-size=1048576"],
  ]
) {
  peerTest(
    `nbdcopy ${args.join(" ")} gets holes as holes`,
    ["nbdcopy"],
    async () => {
      await using scratch = await makeScratch();
      const { device, model } = await patchy();
      await using served = serveHere(scratch, device);
      const out = scratch.file("out");
      await peerSucceeds("nbdcopy", [...args, served.uri, out]);
      const got = await Deno.readFile(out);
      const wrong = firstDifference(model, got);
      assertEquals([got.length, wrong], [model.length, -1]);
      assertEquals(served.server.counters.bytesRead, 64 * MIB);
      const sent = device.reads.reduce(
        (sum, read) => sum + Number(read.split("+")[1]),
        0,
      );
      assert(sent < 11 * MIB, `${sent} bytes were sent`);
    },
  );
}

peerTest(
  "nbdkit's NBD plugin passes holes and data on",
  ["nbdkit", "nbdcopy"],
  async () => {
    await using scratch = await makeScratch();
    const { device, model } = await patchy();
    await using served = serveHere(scratch, device);
    const out = scratch.file("out");
    await peerSucceeds("nbdkit", [
      ...["-U", "-", "nbd", `uri=${served.uri}`, "--run"],
      `nbdcopy --no-extents "$uri" '${out}'`,
    ]);
    const got = await Deno.readFile(out);
    const wrong = firstDifference(model, got);
    assertEquals([got.length, wrong], [model.length, -1]);
  },
);

peerTest(
  "qemu-io reads over the edges of holes, and qemu-img compares",
  ["qemu-io", "qemu-img"],
  async () => {
    await using scratch = await makeScratch();
    const device = new SparseDevice(64 * MIB);
    await using served = serveHere(scratch, device);
    const commands = [
      "read -P 0 0 32M",
      "write -P 17 1M 64k",
      "read -P 0 960k 64k",
      "read -P 17 1M 64k",
      "read -P 0 1088k 3M",
      "write -P 34 4M 20M",
      "read -P 34 4M 20M",
      "read -P 0 24M 16M",
      "read -v 1048570 20",
    ];
    const output = await peerSucceeds("qemu-io", [
      ...["-f", "raw"],
      ...commands.flatMap((command) => ["-c", command]),
      served.uri,
    ]);
    assertEquals(output.includes("failed"), false, output);
    assertStringIncludes(output, "00 00 00 00 00 00 11 11 11 11");
    const image = scratch.file("image");
    const raw = ["-f", "raw", "-O", "raw"];
    await peerSucceeds("qemu-img", ["convert", ...raw, served.uri, image]);
    await peerSucceeds("qemu-img", [
      ...["compare", "-f", "raw", "-F", "raw", image, served.uri],
    ]);
  },
);

peerTest(
  "qemu-io learns of a read that fails, and reads on",
  ["qemu-io"],
  async () => {
    await using scratch = await makeScratch();
    const device = new SparseDevice(64 * MIB);
    await device.write(pattern(64 * MIB), 0);
    const read = device.read.bind(device);
    device.read = (target, offset) => {
      if (offset + target.length > 9 * MIB && offset < 10 * MIB) {
        throw new VirstorError("io", "Cannot read: bad sector");
      }
      return read(target, offset);
    };
    await using served = serveHere(scratch, device);
    const commands = ["read 0 8M", "read 0 16M", "read 9M 4k", "read 10M 32M"];
    const { stdout, stderr } = await runPeer("qemu-io", [
      ...["-f", "raw"],
      ...commands.flatMap((command) => ["-c", command]),
      served.uri,
    ]);
    const failed = (stdout + stderr).match(/read failed: Input\/output error/g);
    assertEquals(failed?.length, 2);
    const done = stdout.match(/^read \d+\/\d+ bytes/gm);
    assertEquals(done, [
      `read ${8 * MIB}/${8 * MIB} bytes`,
      `read ${32 * MIB}/${32 * MIB} bytes`,
    ]);
  },
);
