/**
 * Block devices as components. Deno allows no access to `/dev` without all
 * permissions, so these run the launcher with `VIRSTOR_ALLOW_ALL=1`.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { delimiter, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { FormatName } from "../../pool/mod.ts";
import { assertFreebsd } from "../helpers/freebsd_checker.ts";
import { NBD } from "../helpers/nbd_client.ts";
import { peerPath, testUnless } from "../helpers/peers.ts";
import { Server, Workspace } from "../helpers/virstor.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import { firstDifference } from "../helpers/bytes.ts";
import { FORMATS } from "../helpers/scratch.ts";
import { CHUNK, MIB, peerSucceeds, stampedBytes } from "./served_pool.ts";

const LAUNCHER = fileURLToPath(new URL("../../virstor", import.meta.url));

/** Why there are no loop devices here, if there are none. */
function reasonAgainst(): string | undefined {
  const losetup = peerPath("losetup");
  if (losetup === undefined) return '"losetup" not installed';
  const path = Deno.makeTempFileSync();
  try {
    Deno.truncateSync(path, MIB);
    const run = (...args: string[]) =>
      new Deno.Command(losetup, { args, stderr: "null" }).outputSync();
    const { success, stdout } = run("--find", "--show", path);
    if (!success) return "no loop device can be had";
    run("--detach", new TextDecoder().decode(stdout).trim());
    return undefined;
  } finally {
    Deno.removeSync(path);
  }
}

/** A loop device on a file of a workspace. */
class LoopDevice implements AsyncDisposable {
  readonly path: string;
  readonly file: string;

  private constructor(path: string, file: string) {
    this.path = path;
    this.file = file;
  }

  static async create(work: Workspace, name: string): Promise<LoopDevice> {
    const file = await work.makeFile(name, 4 * MIB);
    const path = await peerSucceeds("losetup", ["--find", "--show", file]);
    return new LoopDevice(path.trim(), file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await peerSucceeds("losetup", ["--detach", this.path]);
  }
}

function launch(work: Workspace, args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(LAUNCHER, {
    args: [...args],
    cwd: work.directory,
    env: {
      NO_COLOR: "1",
      VIRSTOR_ALLOW_ALL: "1",
      VIRSTOR_STATE_DIR: work.stateDirectory,
      PATH: [dirname(Deno.execPath()), Deno.env.get("PATH")].join(delimiter),
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function succeed(
  work: Workspace,
  args: readonly string[],
): Promise<string> {
  const { code, stdout, stderr } = await launch(work, args).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** Serves the pool, has it used, and stops it. */
async function serving(
  work: Workspace,
  use: (client: BusyClient) => Promise<void>,
): Promise<void> {
  const path = work.path("socket");
  const server = new Server(launch(work, ["serve", "--socket", path, "pool"]));
  try {
    await server.ready();
    using client = await BusyClient.open({ path }, "pool");
    await use(client);
    await client.disconnect();
    const ended = await server.stop();
    assertEquals(ended.code, 0, ended.stderr);
  } finally {
    await server.kill();
  }
}

/** What is written at the start of a chunk; the rest of it stays zero. */
function partOf(chunk: number): Uint8Array {
  return stampedBytes(CHUNK / 2, chunk + 1);
}

/** Makes a pool of 30 chunks or so on each of its components of 4 MiB. */
async function label(
  work: Workspace,
  format: FormatName,
  components: readonly string[],
): Promise<void> {
  const options = ["--format", format, "-s64M", "-m128K"];
  await succeed(work, ["label", ...options, "pool", ...components]);
}

/** Writes to more chunks than the first component has, and verifies. */
async function useAndCheck(
  work: Workspace,
  format: FormatName,
  files: readonly string[],
): Promise<void> {
  const chunks = Array.from({ length: 40 }, (_, i) => i);
  await serving(work, async (client) => {
    for (const chunk of chunks) {
      const { errno } = await client.write(chunk * CHUNK, partOf(chunk));
      assertEquals(errno, 0);
    }
    const replies = await Promise.all([
      client.write(5 * CHUNK, stampedBytes(8192, 500), NBD.CMD_FLAG_FUA),
      client.writeZeroes(6 * CHUNK, CHUNK),
      client.writeZeroes(39 * CHUNK, CHUNK, NBD.CMD_FLAG_NO_HOLE),
      client.flush(),
    ]);
    assertEquals(replies.map(({ errno }) => errno), [0, 0, 0, 0]);
  });
  assertEquals(
    await succeed(work, ["check", "pool"]),
    'Pool "pool" is sound\n',
  );
  if (format === "freebsd") assertFreebsd(files);
  await serving(work, async (client) => {
    for (const chunk of chunks) {
      const wanted = new Uint8Array(CHUNK);
      if (chunk !== 6 && chunk !== 39) wanted.set(partOf(chunk));
      if (chunk === 5) wanted.set(stampedBytes(8192, 500));
      const { payload } = await client.read(chunk * CHUNK, CHUNK);
      const wrong = firstDifference(wanted, payload);
      assertEquals(wrong, -1, `byte ${wrong} of chunk ${chunk} is wrong`);
    }
  });
}

const REASON = reasonAgainst();

for (const format of FORMATS) {
  testUnless(
    `A pool on loop devices is labelled, served and sound (${format})`,
    REASON,
    async () => {
      await using work = await Workspace.create();
      await using one = await LoopDevice.create(work, "one");
      await using other = await LoopDevice.create(work, "other");
      // What the devices held before shows nowhere.
      const old = new Uint8Array(4 * MIB).fill(0xdd);
      for (const { path } of [one, other]) await Deno.writeFile(path, old);
      await label(work, format, [one.path, other.path]);
      await useAndCheck(work, format, [one.file, other.file]);
      const refused = await work.run(["status", "pool"]);
      assertStringIncludes(refused.stderr, "VIRSTOR_ALLOW_ALL=1");
    },
  );

  testUnless(
    `A pool mixes a file and a loop device (${format})`,
    REASON,
    async () => {
      await using work = await Workspace.create();
      await using device = await LoopDevice.create(work, "device");
      const file = await work.makeFile("file", 4 * MIB);
      await label(work, format, [file]);
      await succeed(work, ["add", "pool", device.path]);
      await useAndCheck(work, format, [file, device.file]);
    },
  );
}
