/**
 * Patterns, holes and refusals, by qemu-io.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { NBD } from "../helpers/nbd_client.ts";
import { peerTest } from "../helpers/peers.ts";

import {
  CHUNK,
  MIB,
  peerSucceeds,
  runPeer,
  ServedPool,
} from "./served_pool.ts";

/** Runs commands of qemu-io; a wrong pattern is a failure. */
async function qemuIo(uri: string, commands: readonly string[]): Promise<void> {
  const output = await peerSucceeds("qemu-io", [
    ...["-f", "raw", "-d", "unmap"],
    ...commands.flatMap((command) => ["-c", command]),
    uri,
  ]);
  assertEquals(output.includes("failed"), false, output);
}

peerTest("qemu-io reads the patterns that it wrote", ["qemu-io"], async () => {
  await using pool = await ServedPool.start();
  await qemuIo(pool.uri, [
    "read -P 0 0 1M",
    "write -P 17 0 128k",
    "write -P 34 128k 128k",
    "read -P 17 0 128k",
    "read -P 34 128k 128k",
    // Over the end of a chunk, mapped on one side only.
    "write -P 51 192k 128k",
    "read -P 34 128k 64k",
    "read -P 51 192k 128k",
    "read -P 0 320k 64k",
    // Larger than the server's receive buffer.
    "write -P 68 10M 2M",
    "read -P 68 10M 2M",
    // The last bytes of the disk.
    "write -P 85 65535k 1k",
    "read -P 85 65535k 1k",
    "write -f -P 86 1M 4k",
    "flush",
    "aio_write -P 99 30M 64k",
    "aio_write -P 98 31M 64k",
    "aio_flush",
    "read -P 99 30M 64k",
    "read -P 98 31M 64k",
  ]);
  await pool.stopAndCheck();
  await pool.restart();
  await qemuIo(pool.uri, [
    "read -P 17 0 128k",
    "read -P 51 192k 128k",
    "read -P 68 10M 2M",
    "read -P 85 65535k 1k",
    "read -P 86 1M 4k",
    "read -P 98 31M 64k",
  ]);
  await pool.stopAndCheck();
});

peerTest(
  "qemu-io writes and reads at any byte, not only at sectors",
  ["qemu-io"],
  async () => {
    await using pool = await ServedPool.start();
    await qemuIo(pool.uri, [
      "write -P 1 131000 1000",
      "write -P 2 131071 2",
      "write -P 3 262143 1",
      "read -P 0 130999 1",
      "read -P 1 131000 71",
      "read -P 2 131071 2",
      "read -P 1 131073 927",
      "read -P 0 132000 100",
      "read -P 3 262143 1",
      "write -z 131050 100",
      "read -P 1 131000 50",
      "read -P 0 131050 100",
      "read -P 1 131150 850",
    ]);
    await pool.stopAndCheck();
  },
);

peerTest(
  "qemu-io's zeroes and discards read as zeroes and take no chunk",
  ["qemu-io"],
  async () => {
    await using pool = await ServedPool.start();
    const mapped = async () => (await pool.status()).pool.mappedChunks;
    await qemuIo(pool.uri, [
      "write -P 7 0 512k",
      "write -z 4k 4k",
      "read -P 7 0 4k",
      "read -P 0 4k 4k",
      "write -z -u 64k 128k",
      "read -P 7 8k 56k",
      "read -P 0 64k 128k",
      "read -P 7 192k 64k",
      "discard 256k 128k",
      "read -P 0 256k 128k",
      "read -P 7 384k 128k",
      // A hole is written again.
      "write -P 8 300k 4k",
      "read -P 0 256k 44k",
      "read -P 8 300k 4k",
    ]);
    assertEquals(await mapped(), 4);
    // Nothing was ever written here.
    await qemuIo(pool.uri, [
      "write -z -u 2M 8M",
      "discard 0 64M",
      "read -P 0 0 64M",
    ]);
    assertEquals(await mapped(), 4);
    // Without -u qemu asks for real space.
    await qemuIo(pool.uri, ["write -z 16M 128k", "read -P 0 16M 128k"]);
    assertEquals(await mapped(), 5);
    await pool.stopAndCheck();
  },
);

peerTest(
  "qemu-io cannot write beyond the end, nor on a read-only pool",
  ["qemu-io"],
  async () => {
    await using pool = await ServedPool.start();
    const beyond = ["-f", "raw", "-c", "write -P 1 64M 4k", pool.uri];
    assertEquals((await runPeer("qemu-io", beyond)).code, 1);
    // qemu refuses by itself; the server refuses a client that does not.
    using client = await pool.connect();
    const [inside, over, read, next] = await Promise.all([
      client.write(64 * MIB - 512, new Uint8Array(512).fill(1)),
      client.write(64 * MIB - 512, new Uint8Array(513)),
      client.read(64 * MIB, 1),
      client.read(64 * MIB - 512, 512),
    ]);
    assertEquals([inside.errno, over.errno, read.errno], [
      0,
      NBD.ENOSPC,
      NBD.EINVAL,
    ]);
    assertEquals(next.payload, new Uint8Array(512).fill(1));
    await client.disconnect();
    await pool.stopAndCheck();

    const server = await pool.work.serve(
      ["serve", "--read-only", "--socket", pool.work.path("ro"), "pool"],
    );
    const { code, stderr } = await runPeer("qemu-io", [
      ...["-f", "raw", "-c", "write -P 1 0 4k", server.uri],
    ]);
    assertEquals(code, 1);
    assertStringIncludes(stderr.toLowerCase(), "denied");
    await peerSucceeds("qemu-io", [
      ...["-r", "-f", "raw", "-c", `read -P 0 0 ${CHUNK}`, server.uri],
    ]);
    assertEquals((await server.stop()).code, 0);
    await pool.assertSound();
  },
);
