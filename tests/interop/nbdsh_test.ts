/**
 * Goal: libnbd gets what it asks for, and the documented error for what it must
 * not ask. Method: `nbdsh` scripts that choose every setting and flag
 * themselves; a real server; what libnbd says is compared with what docs/nbd.md
 * promises.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { type Completion, MemoryDevice } from "../../device/mod.ts";
import { VirstorError } from "../../errors.ts";
import { NbdServer } from "../../nbd/mod.ts";
import { nbdShell } from "../helpers/nbd_shell.ts";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch } from "../helpers/scratch.ts";
import { MIB, ServedPool } from "./served_pool.ts";

/** How a script chooses its dialect. */
const DIALECTS = [
  { name: "simple", set: "h.set_request_structured_replies(False)\n" },
  { name: "structured", set: "h.set_request_structured_replies(True)\n" },
] as const;

const BEYOND = `
S = h.get_size()
tell("negotiated", h.get_structured_replies_negotiated(), h.can_df())
tell("beyond", *[attempt(call, 512, S) for call in
  (h.pread, h.zero, h.trim, h.cache)], attempt(h.pwrite, bytes(512), S))
tell("across", *[attempt(call, 1024, S - 512) for call in
  (h.pread, h.zero, h.trim, h.cache)], attempt(h.pwrite, bytes(1024), S - 512))
far = 2**63 - 512
tell("far", *[attempt(call, 512, far) for call in
  (h.pread, h.zero, h.trim, h.cache)], attempt(h.pwrite, bytes(512), far))
tell("nothing", *[attempt(call, 0, 4096) for call in
  (h.zero, h.trim, h.cache)], attempt(h.pwrite, b"", 4096),
  len(h.pread(0, 4096)))
tell("too long", attempt(h.pread, 2**25 + 1, 0),
  attempt(h.pwrite, bytes(2**25 + 1), 0))
tell("longest", attempt(h.pwrite, b"long" * 2**23, 4096),
  h.pread(2**25, 4096) == b"long" * 2**23)
tell("whole disk", *[attempt(call, S, 0) for call in (h.cache, h.trim, h.zero)])
tell("still there", h.pread(8, S - 8))
`;

for (const { name, set } of DIALECTS) {
  peerTest(
    `nbdsh gets the documented error for every range, ${name} replies`,
    ["nbdsh"],
    async () => {
      await using pool = await ServedPool.start({ componentSize: "20M" });
      const script = `${set}h.connect_uri(uri)\n${BEYOND}`;
      const beyond = ["EINVAL", "ENOSPC", "EINVAL", "EINVAL", "ENOSPC"];
      const chunked = name === "structured";
      assertEquals(await nbdShell(pool.uri, script), [
        ["negotiated", chunked, chunked],
        ["beyond", ...beyond],
        ["across", ...beyond],
        ["far", ...beyond],
        ["nothing", "ok", "ok", "ok", "ok", 0],
        ["too long", "EOVERFLOW", "EINVAL"],
        ["longest", "ok", true],
        ["whole disk", "ok", "ok", "ok"],
        ["still there", "0000000000000000"],
      ]);
      await pool.stopAndCheck();
    },
  );

  peerTest(
    `nbdsh may set each flag only where it is documented, ${name} replies`,
    ["nbdsh"],
    async () => {
      await using pool = await ServedPool.start();
      const told = await nbdShell(
        pool.uri,
        `
${set}h.add_meta_context("base:allocation")
h.connect_uri(uri)
calls = {
  "READ": lambda flags: h.pread(512, 0, flags) and None,
  "WRITE": lambda flags: h.pwrite(b"w" * 512, 0, flags),
  "FLUSH": lambda flags: h.flush(flags),
  "TRIM": lambda flags: h.trim(512, 0, flags),
  "CACHE": lambda flags: h.cache(512, 0, flags),
  "WRITE_ZEROES": lambda flags: h.zero(512, 0, flags),
  "BLOCK_STATUS": lambda flags:
    h.block_status(512, 0, lambda *extents: 0, flags),
}
for command, call in calls.items():
    results = [(bit, attempt(call, 1 << bit)) for bit in range(16)]
    tell(command, [bit for bit, result in results if result == "ok"],
      sorted({result for bit, result in results if result != "ok"}))
tell(attempt(h.zero, 512, 0, nbd.CMD_FLAG_FUA | nbd.CMD_FLAG_NO_HOLE))
tell(attempt(h.zero, 512, 0, 1 | 2 | 16))
`,
      );
      const [FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO] = [0, 1, 2, 3, 4];
      const chunked = name === "structured";
      assertEquals(told, [
        ["READ", chunked ? [FUA, DF] : [FUA], ["EINVAL"]],
        ["WRITE", [FUA], ["EINVAL"]],
        ["FLUSH", [FUA], ["EINVAL"]],
        ["TRIM", [FUA], ["EINVAL"]],
        ["CACHE", [FUA], ["EINVAL"]],
        ["WRITE_ZEROES", [FUA, NO_HOLE, FAST_ZERO], ["EINVAL"]],
        // Without chunks there is no context to be selected.
        ["BLOCK_STATUS", chunked ? [FUA, REQ_ONE] : [], ["EINVAL"]],
        ["ok"],
        ["ok"],
      ]);
      await pool.stopAndCheck();
    },
  );
}

peerTest(
  "nbdsh gets holes and data as chunks, and with DF one chunk",
  ["nbdsh"],
  async () => {
    await using pool = await ServedPool.start();
    const told = await nbdShell(
      pool.uri,
      `
h.connect_uri(uri)
K = 1024
h.pwrite(b"d" * 128 * K, 256 * K)
def chunks(flags, length=640 * K, offset=0):
    found = []
    def chunk(data, at, status, error):
        found.append([at // K, len(data) // K, status])
        return 0
    data = h.pread_structured(length, offset, chunk, flags)
    tell(sorted(found), data == (bytes(256 * K) + b"d" * 128 * K
      + bytes(256 * K))[offset:][:length])
chunks(0)
chunks(nbd.CMD_FLAG_DF)
chunks(0, 128 * K)
chunks(nbd.CMD_FLAG_DF, 128 * K)
chunks(0, 128 * K, 256 * K)
chunks(nbd.CMD_FLAG_DF, 64 * K, 320 * K)
h.set_pread_initialize(False)
chunks(0)
chunks(nbd.CMD_FLAG_DF)
tell(nbd.READ_DATA, nbd.READ_HOLE)
`,
    );
    const [DATA, HOLE] = [1, 2];
    const pieces = [[0, 256, HOLE], [256, 128, DATA], [384, 256, HOLE]];
    assertEquals(told, [
      [pieces, true],
      [[[0, 640, DATA]], true],
      [[[0, 128, HOLE]], true],
      [[[0, 128, HOLE]], true],
      [[[256, 128, DATA]], true],
      [[[320, 64, DATA]], true],
      [pieces, true],
      [[[0, 640, DATA]], true],
      [DATA, HOLE],
    ]);
    await pool.stopAndCheck();
  },
);

peerTest(
  "nbdsh sees in the block status what zeroes and trims did",
  ["nbdsh"],
  async () => {
    await using pool = await ServedPool.start({ format: "native" });
    const told = await nbdShell(
      pool.uri,
      `
h.add_meta_context("base:allocation")
h.add_meta_context("no-such:context")
h.connect_uri(uri)
C = 128 * 1024
def status(length=8 * C, offset=0, flags=0):
    found = []
    def extents(name, at, entries, error):
        found.append([name, at // C, [entry // C if i % 2 == 0 else entry
          for i, entry in enumerate(entries)]])
        return 0
    h.block_status(length, offset, extents, flags)
    tell(*found)
tell(h.can_meta_context("base:allocation"),
  h.can_meta_context("no-such:context"))
status()
h.pwrite(b"1" * 3 * C, C)
status()
status(8 * C, 0, nbd.CMD_FLAG_REQ_ONE)
status(C, 2 * C)
status(C, 2 * C, nbd.CMD_FLAG_REQ_ONE)
h.trim(C, 2 * C)
status()
h.zero(C, 6 * C, nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FUA)
tell(h.pread(16, 6 * C))
h.zero(C, 3 * C)
status(4 * C)
tell(h.pread(C, 2 * C) == bytes(C), h.pread(C, 3 * C) == bytes(C))
`,
    );
    const base = "base:allocation";
    const [DATA, HOLE] = [0, 3];
    assertEquals(told.slice(0, 6), [
      [true, false],
      [[base, 0, [8, HOLE]]],
      [[base, 0, [1, HOLE, 3, DATA, 4, HOLE]]],
      [[base, 0, [1, HOLE]]],
      [[base, 2, [1, DATA]]],
      [[base, 2, [1, DATA]]],
    ]);
    assertEquals(told.slice(6), [
      [[base, 0, [1, HOLE, 1, DATA, 1, HOLE, 1, DATA, 4, HOLE]]],
      ["0".repeat(32)],
      [[base, 0, [1, HOLE, 1, DATA, 2, HOLE]]],
      [true, true],
    ]);
    // One that was asked for with its space, and one that keeps its data.
    assertEquals((await pool.status()).pool.mappedChunks, 2);
    await pool.stopAndCheck();
  },
);

peerTest("nbdsh learns of a read-only pool, and of a full one", [
  "nbdsh",
], async () => {
  await using pool = await ServedPool.start({ serve: ["--on-full", "error"] });
  const full = await nbdShell(
    pool.uri,
    `
h.connect_uri(uri)
C = 128 * 1024
results = [attempt(h.pwrite, b"f" * C, i * C) for i in range(40)]
tell(sorted(set(results)), results.index("ENOSPC"))
tell(attempt(h.zero, C, 50 * C), attempt(h.pwrite, b"again", 0),
  attempt(h.zero, C, 50 * C, nbd.CMD_FLAG_NO_HOLE), attempt(h.flush))
`,
  );
  assertEquals(full, [
    [["ENOSPC", "ok"], 28],
    ["ok", "ok", "ENOSPC", "ok"],
  ]);
  assertEquals((await pool.server.stop()).code, 0);
  const readOnly = await pool.work.serve(
    ["serve", "--read-only", "--socket", pool.socket, "pool"],
  );
  const told = await nbdShell(
    readOnly.uri,
    `
h.connect_uri(uri)
tell(h.is_read_only(), h.can_trim(), h.can_zero(), h.can_fast_zero())
tell(attempt(h.pwrite, b"w", 0), attempt(h.trim, 512, 0),
  attempt(h.zero, 512, 0), attempt(h.flush), h.pread(5, 0).decode())
`,
  );
  assertEquals(told, [
    [true, false, false, false],
    ["EPERM", "EPERM", "EPERM", "ok", "again"],
  ]);
  assertEquals((await readOnly.stop()).code, 0);
  await pool.assertSound();
});

peerTest("nbdsh learns that the server stops", ["nbdsh"], async () => {
  await using pool = await ServedPool.start();
  const told = await nbdShell(
    pool.uri,
    `
import signal
h.connect_uri(uri)
C = 128 * 1024
for i in range(28):
    h.pwrite(b"f" * C, i * C)
delayed = [h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(b"w" * 512)), i * C)
  for i in (40, 41)]
tell(h.pread(4, 0).decode(), h.aio_in_flight())
os.kill(${pool.server.pid}, signal.SIGTERM)
for cookie in delayed:
    result = 0
    while result == 0:
        h.poll(-1)
        result = attempt(h.aio_command_completed, cookie)
    tell(result)
`,
  );
  assertEquals(told, [["ffff", 2], ["ESHUTDOWN"], ["ESHUTDOWN"]]);
  assertEquals((await pool.server.ended()).code, 0);
  await pool.assertSound();
});

/** A device of 512 byte blocks that fails in every way that a client sees. */
class FailingDevice extends MemoryDevice {
  override read(target: Uint8Array, offset: number): Completion {
    if (offset === 4096) throw new VirstorError("io", "Cannot read: bad block");
    return super.read(target, offset);
  }
  override writeZeroes(
    offset: number,
    length: number,
    options: { readonly fastOnly?: boolean } = {},
  ): Completion {
    if (options.fastOnly === true) {
      throw new VirstorError("unsupported", "Cannot write zeroes fast");
    }
    return super.writeZeroes(offset, length);
  }
}

for (const { name, set } of DIALECTS) {
  peerTest(
    `nbdsh learns block sizes and a device's errors, ${name} replies`,
    ["nbdsh"],
    async () => {
      await using scratch = await makeScratch();
      const path = scratch.file("nbd.sock");
      const device = new FailingDevice(MIB, { blockSize: 512 });
      const server = new NbdServer({
        exports: [{ name: "disk", description: "", device, readOnly: false }],
      });
      server.serve(Deno.listen({ transport: "unix", path }));
      try {
        const told = await nbdShell(
          `nbd+unix:///disk?socket=${path}`,
          `
${set}h.connect_uri(uri)
tell(h.get_block_size(nbd.SIZE_MINIMUM), h.get_block_size(nbd.SIZE_PREFERRED),
  h.get_block_size(nbd.SIZE_MAXIMUM))
tell(*[attempt(call, length, offset)
  for call in (h.pread, h.trim, h.zero, h.cache)
  for length, offset in ((512, 1), (513, 0))])
tell(attempt(h.pwrite, bytes(512), 511), attempt(h.pwrite, bytes(100), 512))
tell(attempt(h.pread, 512, 4096), len(h.pread(512, 0)))
tell(attempt(h.zero, 512, 0, nbd.CMD_FLAG_FAST_ZERO), attempt(h.zero, 512, 0))
`,
        );
        assertEquals(told, [
          [512, 4096, 32 * MIB],
          Array(8).fill("EINVAL"),
          ["EINVAL", "EINVAL"],
          ["EIO", 512],
          ["ENOTSUP", "ok"],
        ]);
      } finally {
        await server.close();
      }
    },
  );
}
