/**
 * Real file systems, copied into a pool and out again by the programs that
 * people use for that.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { peerTest } from "../helpers/peers.ts";
import type { Workspace } from "../helpers/virstor.ts";
import {
  peerSucceeds,
  ServedPool,
  type ServedPoolOptions,
} from "./served_pool.ts";
import { firstDifference } from "../helpers/bytes.ts";

/** A disk as large as the image, on components that can hold all of it. */
const POOL: ServedPoolOptions = { virtualSize: "48M", componentSize: "32M" };
/** Each way with another format. */
const WAYS = [
  { way: "TCP", tcp: true, format: "native" },
  { way: "a Unix socket", tcp: false, format: "freebsd" },
] as const;

/** Makes an ext4 file system of 48 MiB with a few files in it. */
async function makeImage(work: Workspace): Promise<string> {
  const content = work.path("content");
  await Deno.mkdir(`${content}/deep/deeper`, { recursive: true });
  for (const [i, size] of [0, 1, 5000, 3_000_000].entries()) {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at += 65_536) {
      crypto.getRandomValues(bytes.subarray(at, at + 65_536));
    }
    await Deno.writeFile(`${content}/file${i}`, bytes);
    await Deno.writeTextFile(`${content}/deep/deeper/note${i}`, `Note ${i}\n`);
  }
  const image = work.path("image");
  await peerSucceeds("mkfs.ext4", ["-q", "-F", "-d", content, image, "48M"]);
  return image;
}

async function assertSameBytes(one: string, other: string): Promise<void> {
  const [a, b] = [await Deno.readFile(one), await Deno.readFile(other)];
  assertEquals(a.length, b.length);
  const differing = firstDifference(a, b);
  assertEquals(differing, -1, `The first byte that differs is ${differing}`);
}

for (const { way, tcp, format } of WAYS) {
  peerTest(
    `nbdcopy copies an ext4 file system in and out over ${way} (${format})`,
    ["nbdcopy", "mkfs.ext4", "e2fsck"],
    async () => {
      await using pool = await ServedPool.start({ ...POOL, tcp, format });
      const { work, uri } = pool;
      const image = await makeImage(work);
      await peerSucceeds("nbdcopy", ["--flush", image, uri]);
      await peerSucceeds("nbdcopy", [uri, work.path("out")]);
      await assertSameBytes(image, work.path("out"));
      await peerSucceeds("e2fsck", ["-fn", work.path("out")]);
      const { server, pool: { mappedChunks } } = await pool.status();
      assertEquals(server?.clients, []);
      assert(mappedChunks > 24, "3 MB of files take chunks");
      await pool.stopAndCheck();
      await pool.restart();
      await peerSucceeds("nbdcopy", [pool.uri, work.path("again")]);
      await assertSameBytes(image, work.path("again"));
      await pool.stopAndCheck();
    },
  );

  peerTest(
    `qemu-img converts an ext4 file system in and out over ${way} (${format})`,
    ["qemu-img", "mkfs.ext4", "e2fsck"],
    async () => {
      await using pool = await ServedPool.start({ ...POOL, tcp, format });
      const { work, uri } = pool;
      const image = await makeImage(work);
      const raw = ["-f", "raw", "-O", "raw"];
      await peerSucceeds("qemu-img", ["convert", "-n", ...raw, image, uri]);
      await peerSucceeds("qemu-img", [
        ...["compare", "-f", "raw", "-F", "raw", image, uri],
      ]);
      await peerSucceeds("qemu-img", [
        ...["convert", ...raw, uri, work.path("out")],
      ]);
      await assertSameBytes(image, work.path("out"));
      await peerSucceeds("e2fsck", ["-fn", work.path("out")]);
      await pool.stopAndCheck();
    },
  );
}

peerTest(
  "nbdcopy copies an ext4 file system through nbdkit's NBD plugin",
  ["nbdcopy", "nbdkit", "mkfs.ext4"],
  async () => {
    await using pool = await ServedPool.start(POOL);
    const { work, uri } = pool;
    const image = await makeImage(work);
    const out = work.path("out");
    await peerSucceeds("nbdkit", [
      ...["-U", "-", "nbd", `uri=${uri}`, "--run"],
      `nbdcopy --flush '${image}' "$uri" && nbdcopy "$uri" '${out}'`,
    ]);
    await assertSameBytes(image, out);
    await pool.stopAndCheck();
  },
);

peerTest(
  "nbdcopy waits while the pool is full, and completes after virstor add",
  ["nbdcopy", "mkfs.ext4"],
  async () => {
    await using pool = await ServedPool.start({
      virtualSize: "48M",
      componentSize: "1M",
    });
    const { work, uri } = pool;
    const image = await makeImage(work);
    const copied = peerSucceeds("nbdcopy", ["--flush", image, uri]);
    await pool.statusUntil(({ pool }) => pool.delayed.count > 0);
    await pool.add("2M");
    await pool.statusUntil(({ pool }) =>
      pool.delayed.count > 0 && pool.components.length === 3
    );
    await pool.add("48M");
    await copied;
    await peerSucceeds("nbdcopy", [uri, work.path("out")]);
    await assertSameBytes(image, work.path("out"));
    await pool.stopAndCheck();
  },
);
