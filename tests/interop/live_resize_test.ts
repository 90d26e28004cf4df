/**
 * Goal: a pool that is resized while it is served never gives an old
 * connection anything but the truth. Method: one connection in each dialect
 * that knows the old size, `virstor resize` from another process, then every
 * command in the range that is gone, in the one that is left, and over the
 * edge; libnbd and new connections beside them.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import {
  type Dialect,
  NBD,
  NbdClient,
  type RawRequest,
} from "../helpers/nbd_client.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import { nbdShell } from "../helpers/nbd_shell.ts";
import { peerTest } from "../helpers/peers.ts";
import { CHUNK, MIB, ServedPool, stampedBytes } from "./served_pool.ts";

const OLD_SIZE = 64 * MIB;
const NEW_SIZE = 32 * MIB;
const DIALECTS: readonly Dialect[] = ["simple", "structured", "extended"];

async function connect(pool: ServedPool, dialect: Dialect): Promise<NbdClient> {
  const client = await NbdClient.connect({ path: pool.socket });
  await client.greet();
  await client.speak(dialect);
  if (dialect !== "simple") await client.contexts("pool", ["base:allocation"]);
  assertEquals((await client.go("pool")).size, BigInt(OLD_SIZE));
  return client;
}

async function resize(pool: ServedPool, size: number): Promise<void> {
  await pool.work.succeed(["resize", "--force", "pool", `${size}`]);
  using fresh = await NbdClient.connect({ path: pool.socket });
  await fresh.greet();
  assertEquals((await fresh.go("pool")).size, BigInt(size));
}

/** Every command that has a range, and how it fails. */
function requestsAt(
  offset: number,
  length: number,
  dialect: Dialect,
): [RawRequest, number][] {
  const zeroes = { command: NBD.CMD_WRITE_ZEROES, offset, length };
  const payload = stampedBytes(length, 7);
  const requests: [RawRequest, number][] = [
    [{ command: NBD.CMD_READ, offset, length }, NBD.EINVAL],
    [{ command: NBD.CMD_WRITE, offset, payload }, NBD.ENOSPC],
    [{ command: NBD.CMD_WRITE, offset, payload, flags: 1 }, NBD.ENOSPC],
    [zeroes, NBD.ENOSPC],
    [{ ...zeroes, flags: NBD.CMD_FLAG_NO_HOLE }, NBD.ENOSPC],
    [{ ...zeroes, flags: NBD.CMD_FLAG_FAST_ZERO }, NBD.ENOSPC],
    [{ command: NBD.CMD_TRIM, offset, length }, NBD.EINVAL],
    [{ command: NBD.CMD_CACHE, offset, length }, NBD.EINVAL],
  ];
  if (dialect === "simple") return requests;
  const status = { command: NBD.CMD_BLOCK_STATUS, offset, length };
  return [
    ...requests,
    [
      { command: NBD.CMD_READ, offset, length, flags: NBD.CMD_FLAG_DF },
      NBD.EINVAL,
    ],
    [status, NBD.EINVAL],
    [{ ...status, flags: NBD.CMD_FLAG_REQ_ONE }, NBD.EINVAL],
  ];
}

/** Everything that is out of range is refused, and nothing else. */
async function assertGone(client: NbdClient): Promise<void> {
  const ranges = [
    [48 * MIB, 4096],
    [NEW_SIZE, CHUNK],
    [OLD_SIZE - 4 * MIB, 4 * MIB],
    // Over the edge.
    [NEW_SIZE - 4096, 8192],
    [NEW_SIZE - 3 * MIB, 6 * MIB],
  ];
  for (const [offset = 0, length = 0] of ranges) {
    for (const [request, errno] of requestsAt(offset, length, client.dialect)) {
      const { command, flags } = request;
      const reply = await client.call(request);
      assertEquals(
        { command, flags, offset, errno: reply.errno },
        { command, flags, offset, errno },
      );
    }
  }
  const last = NEW_SIZE - 4096;
  await client.write(last, stampedBytes(4096, 3), NBD.CMD_FLAG_FUA);
  assertEquals(await client.read(last, 4096), stampedBytes(4096, 3));
}

for (const dialect of DIALECTS) {
  Deno.test(`An old connection is refused what a shrunk pool has no more (${dialect})`, async () => {
    await using pool = await ServedPool.start({ format: "native" });
    using client = await connect(pool, dialect);
    await client.write(0, stampedBytes(CHUNK, 1));
    await client.write(NEW_SIZE - CHUNK, stampedBytes(CHUNK, 2));
    await resize(pool, NEW_SIZE);
    await assertGone(client);
    assertEquals(await client.read(0, CHUNK), stampedBytes(CHUNK, 1));
    const { pool: { virtualSize } } = await pool.status();
    assertEquals(virtualSize, NEW_SIZE);

    // What is there again has been forgotten.
    await resize(pool, OLD_SIZE);
    assertEquals(await client.read(NEW_SIZE, CHUNK), new Uint8Array(CHUNK));
    await client.write(48 * MIB, stampedBytes(512, 4));
    assertEquals(await client.read(48 * MIB, 512), stampedBytes(512, 4));

    // Larger than ever: an old connection keeps the negotiated size.
    await resize(pool, 2 * OLD_SIZE);
    const [read, write] = [
      await client.call({ command: NBD.CMD_READ, offset: OLD_SIZE, length: 1 }),
      await client.call({
        command: NBD.CMD_WRITE,
        offset: OLD_SIZE,
        payload: new Uint8Array(1),
      }),
    ];
    assertEquals([read.errno, write.errno], [NBD.EINVAL, NBD.ENOSPC]);
    await client.disconnect();
    await pool.stopAndCheck();
  });
}

peerTest("nbdsh lives on when a pool becomes smaller and larger", [
  "nbdsh",
], async () => {
  await using pool = await ServedPool.start({ format: "native" });
  const { stateDirectory } = pool.work;
  const told = await nbdShell(
    pool.uri,
    `
import subprocess
def resize(size):
    subprocess.run([${JSON.stringify(Deno.execPath())}, "run", "-A", "-q",
      ${JSON.stringify(new URL("../../cli/main.ts", import.meta.url).pathname)},
      "resize", "-f", "--state-dir", ${JSON.stringify(stateDirectory)},
      "pool", size], check=True, capture_output=True)
    fresh = handle()
    fresh.connect_uri(uri)
    return fresh.get_size() // 2**20
h.connect_uri(uri)
h.pwrite(b"kept", 0)
M = 2**20
tell(resize("32M"), attempt(h.pread, 512, 48 * M),
  attempt(h.pwrite, bytes(512), 48 * M), h.pread(4, 0).decode())
tell(resize("128M"), h.get_size() // M, attempt(h.pread, 4, 48 * M),
  attempt(h.pread, 512, 100 * M))
`,
  );
  assertEquals(told, [
    [32, "EINVAL", "ENOSPC", "kept"],
    [128, 64, "00000000", "EINVAL"],
  ]);
  await pool.stopAndCheck();
});

Deno.test("The place of a write that waits for space is not taken away", async () => {
  await using pool = await ServedPool.start({ format: "native" });
  using client = await BusyClient.open({ path: pool.socket }, "pool");
  for (let chunk = 0; chunk < 28; chunk++) {
    await client.write(chunk * CHUNK, stampedBytes(4096, chunk));
  }
  const inside = client.write(30 * CHUNK, stampedBytes(512, 30));
  const gone = client.write(48 * MIB, stampedBytes(512, 48));
  const edge = client.write(NEW_SIZE - 256, stampedBytes(512, 49));
  await pool.statusUntil(({ pool }) => pool.delayed.count === 3);
  const resized = await pool.work.run(["resize", "-f", "pool", `${NEW_SIZE}`]);
  await pool.add();
  const replies = await Promise.all([inside, gone, edge]);
  assertEquals([resized.code, resized.stdout], [9, ""]);
  assertMatch(resized.stderr, /writes beyond byte 33554432 wait for space/);
  assertEquals(replies.map(({ errno }) => errno), [0, 0, 0]);
  const { payload } = await client.read(48 * MIB, 512);
  assertEquals(payload, stampedBytes(512, 48));
  await client.disconnect();
  await pool.stopAndCheck();
});
