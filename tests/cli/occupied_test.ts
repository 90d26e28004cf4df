/**
 * Goal: nothing is overwritten that may still be needed, and what is in the way
 * is named. Method: the real command, with its usual permissions, on files that
 * real programs have made or have open; no byte of them may change.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { PATIENCE_MS } from "../helpers/patience.ts";
import { pattern } from "../helpers/scratch.ts";
import { peerPath, peerTest, testUnless } from "../helpers/peers.ts";
import { Workspace } from "../helpers/virstor.ts";

const MIB = 1024 * 1024;

async function hashOf(path: string): Promise<string> {
  const bytes = await Deno.readFile(path);
  const hash = await crypto.subtle.digest("SHA-256", bytes);
  return new Uint8Array(hash).toHex();
}

/** Runs a program that must do what it is asked. */
async function run(name: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(
    peerPath(name) ?? name,
    { args, stdin: "null" },
  ).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${name}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout).trim();
}

/** A program that has a file open, until it is disposed of. */
class Opener implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Starts it and waits until the file is among its descriptors. */
  static async start(
    file: string,
    name: string,
    ...args: string[]
  ): Promise<Opener> {
    const process = new Deno.Command(peerPath(name) ?? name, {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const opener = new Opener(process);
    const until = performance.now() + PATIENCE_MS;
    while (!hasOpen(process.pid, file)) {
      if (performance.now() > until) {
        await opener[Symbol.asyncDispose]();
        throw new Error(`${name} does not open ${file}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return opener;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
  }
}

function hasOpen(pid: number, file: string): boolean {
  const real = Deno.realPathSync(file);
  try {
    return Deno.readDirSync(`/proc/${pid}/fd`).some(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/${pid}/fd/${name}`) === real;
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}

/** What is made of a file, and how the message calls it. */
const CONTENTS: Record<
  string,
  { peer: string; args: string[]; name: RegExp; size?: number }
> = {
  "an ext4 file system": {
    peer: "mkfs.ext4",
    args: ["-q", "-F", "-L", "home", "FILE"],
    name: /an ext4 file system \(label "home", UUID [-\da-f]{36}\)/,
  },
  "an ext2 file system": {
    peer: "mkfs.ext2",
    args: ["-q", "-F", "FILE"],
    name: /an ext2 file system \(UUID [-\da-f]{36}\)/,
  },
  "swap space": {
    peer: "mkswap",
    args: ["-L", "paging", "FILE"],
    name: /swap space \(label "paging", UUID [-\da-f]{36}\)/,
  },
  "a partition table": {
    peer: "sfdisk",
    args: ["--quiet", "FILE"],
    name: /a GPT partition table/,
  },
  "an XFS file system": {
    peer: "mkfs.xfs",
    args: ["-q", "-f", "FILE"],
    name: /an XFS file system/,
    size: 320 * MIB,
  },
  "a Btrfs file system": {
    peer: "mkfs.btrfs",
    args: ["-q", "-f", "FILE"],
    name: /a Btrfs file system/,
    size: 128 * MIB,
  },
  "a qcow2 image": {
    peer: "qemu-img",
    args: [
      "create",
      "-q",
      "-f",
      "qcow2",
      "-o",
      "preallocation=full",
      "FILE",
      "8M",
    ],
    name: /a qcow2 image/,
  },
  "a VHDX image": {
    peer: "qemu-img",
    args: ["create", "-q", "-f", "vhdx", "FILE", "64M"],
    name: /a VHDX image/,
  },
};

for (const [what, content] of Object.entries(CONTENTS)) {
  const { peer, args, name } = content;
  peerTest(`virstor label and add refuse ${what}`, [peer], async () => {
    await using work = await Workspace.create();
    const file = await work.makeFile("file", content.size ?? 16 * MIB);
    const good = await work.makeFile("good", 64 * MIB);
    await fill(peer, args, file);
    const { size } = await Deno.stat(file);
    if (size < 4 * MIB) await Deno.truncate(file, 8 * MIB);
    const before = await hashOf(file);
    await work.succeed(["label", "-s", "1G", "--create", "64M", "pool", "a"]);
    for (
      const command of [
        [
          "label",
          "-s",
          "1G",
          "--create",
          "64M",
          "new",
          "good",
          "file",
          "later",
        ],
        ["add", "--create", "64M", "pool", "good", "file", "later"],
      ]
    ) {
      const { code, stderr } = await work.run(command);
      assertEquals(code, 4, stderr);
      assertMatch(stderr, name);
      assertStringIncludes(stderr, `Cannot use "${file}": it holds `);
      assertStringIncludes(stderr, "-f overwrites it");
      assertEquals(stderr.trim().split("\n").length, 1);
    }
    assertEquals(await hashOf(file), before);
    assertEquals((await Deno.stat(good)).blocks, 0);
    const names = [...Deno.readDirSync(work.directory)].map((one) => one.name);
    assertEquals(names.includes("later"), false);
    await work.succeed(["add", "-f", "pool", "file"]);
    await work.succeed(["check", "pool"]);
  });
}

async function fill(
  peer: string,
  args: readonly string[],
  file: string,
): Promise<void> {
  const words = args.map((word) => word === "FILE" ? file : word);
  if (peer !== "sfdisk") {
    await run(peer, ...words);
    return;
  }
  const process = new Deno.Command(peerPath(peer) ?? peer, {
    args: words,
    stdin: "piped",
    stdout: "null",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode("label: gpt\n,,L\n"));
  await writer.close();
  assertEquals((await process.status).success, true);
}

Deno.test("virstor label takes files without content, with zeroes, and with anything", async () => {
  await using work = await Workspace.create();
  await work.makeFile("hole", 4 * MIB);
  await Deno.writeFile(work.path("zeroes"), new Uint8Array(4 * MIB));
  await Deno.writeFile(work.path("bytes"), pattern(4 * MIB, 7));
  await work.succeed(["label", "-s", "1G", "p", "hole", "zeroes", "bytes"]);
});

peerTest(
  "virstor refuses files that another server has open for writing",
  ["qemu-nbd"],
  async () => {
    await using work = await Workspace.create();
    const file = await work.makeFile("file", 64 * MIB);
    await work.succeed(["label", "-s", "1G", "--create", "64M", "pool", "a"]);
    const socket = ["-f", "raw", "-t", "-k", work.path("s")];
    {
      await using server = await Opener.start(
        file,
        "qemu-nbd",
        ...socket,
        file,
      );
      const commands = [
        ["label", "-s", "1G", "new", "file"],
        ["label", "-f", "-s", "1G", "new", "file"],
        ["add", "pool", "file"],
        ["add", "-f", "pool", "file"],
      ];
      for (const command of commands) {
        const { code, stderr } = await work.run(command);
        assertEquals(code, 8, stderr);
        assertStringIncludes(
          stderr,
          `Cannot open "${file}": it is open for writing in process ` +
            `${server.pid} (`,
        );
        assertStringIncludes(stderr, "qemu-nbd");
      }
    }
    await work.succeed(["add", "pool", "file"]);
    await using server = await Opener.start(file, "qemu-nbd", ...socket, file);
    for (
      const command of [
        ["serve", "--socket", "t", "pool"],
        ["clear", "-f", "file"],
        ["remove", "pool", "file"],
      ]
    ) {
      const { code, stderr } = await work.run(command);
      assertEquals(code, 8, stderr);
      assertStringIncludes(stderr, `for writing in process ${server.pid} (`);
    }
    // A look does no harm.
    await work.succeed(["status", "pool"]);
  },
);

peerTest(
  "virstor refuses without -f files that another server reads",
  ["qemu-nbd"],
  async () => {
    await using work = await Workspace.create();
    const file = await work.makeFile("file", 64 * MIB);
    const args = ["-r", "-f", "raw", "-t", "-k", work.path("s"), file];
    await using server = await Opener.start(file, "qemu-nbd", ...args);
    const command = ["-s", "1G", "new", "file"];
    const { code, stderr } = await work.run(["label", ...command]);
    assertEquals(code, 8, stderr);
    assertStringIncludes(stderr, `it is open in process ${server.pid} (`);
    assertStringIncludes(stderr, "or use -f");
    await work.succeed(["label", "-f", ...command]);
    // One that reads does not hinder a server.
    const serve = await work.serve(["serve", "--socket", "t", "new"]);
    assertEquals((await serve.stop()).code, 0);
  },
);

/** Why there are no loop devices to mount here, if there are none. */
async function whyNoLoop(): Promise<string | undefined> {
  if (peerPath("mkfs.ext4") === undefined) return '"mkfs.ext4" not installed';
  await using work = await Workspace.create();
  const file = await work.makeFile("file", 8 * MIB);
  try {
    await run("losetup", "-d", await run("losetup", "-f", "--show", file));
    return undefined;
  } catch {
    return "no loop device can be had";
  }
}

const NO_LOOP = await whyNoLoop();

for (const options of ["rw", "ro"]) {
  testUnless(
    `virstor refuses a mounted loop device and its file, with -f too (${options})`,
    NO_LOOP,
    async () => {
      await using work = await Workspace.create();
      const file = await work.makeFile("file", 64 * MIB);
      await Deno.link(file, work.path("link"));
      await Deno.mkdir(work.path("mnt"));
      await run("mkfs.ext4", "-q", "-F", file);
      await work.succeed(["label", "-s", "1G", "--create", "64M", "pool", "a"]);
      const place = work.path("mnt");
      await run("mount", "-o", `loop,${options}`, file, place);
      try {
        for (const path of ["file", "link"]) {
          for (const command of [["label", "new"], ["add", "pool"]]) {
            const [verb = "", ...rest] = command;
            const { code, stderr } = await work.run([
              verb,
              "-f",
              ...rest,
              path,
            ]);
            assertEquals(code, 8, stderr);
            assertMatch(
              stderr,
              /it is attached to "\/dev\/loop\d+", which is /,
            );
            assertStringIncludes(stderr, `mounted on "${place}", unmount it`);
          }
        }
        const device = await run("findmnt", "-no", "SOURCE", place);
        const { code, stderr } = await work.run(
          ["label", "-f", "new", device],
          { allPermissions: true },
        );
        assertEquals(code, 8, stderr);
        assertStringIncludes(
          stderr,
          `Cannot open "${device}": it is mounted on "${place}", unmount it`,
        );
      } finally {
        await run("umount", place);
      }
      await run("fsck.ext4", "-fn", file);
    },
  );
}

testUnless("virstor refuses the file of a loop device", NO_LOOP, async () => {
  await using work = await Workspace.create();
  const file = await work.makeFile("file", 64 * MIB);
  for (const flags of [[], ["-r"]]) {
    const device = await run("losetup", ...flags, "-f", "--show", file);
    try {
      const { code, stderr } = await work.run(["label", "-f", "new", "file"]);
      assertEquals(code, 8, stderr);
      assertStringIncludes(stderr, `it is attached to "${device}", detach it`);
    } finally {
      await run("losetup", "-d", device);
    }
  }
});

testUnless(
  "virstor refuses swap space in use",
  NO_LOOP,
  async () => {
    await using work = await Workspace.create();
    const file = work.path("file");
    await Deno.writeFile(file, new Uint8Array(16 * MIB), { mode: 0o600 });
    await run("mkswap", file);
    try {
      await run("swapon", file);
    } catch {
      // Not on this file system, or not on this machine.
      return;
    }
    try {
      const { code, stderr } = await work.run(["label", "-f", "new", "file"]);
      assertEquals(code, 8, stderr);
      assertStringIncludes(stderr, "it is in use as swap space, run swapoff");
    } finally {
      await run("swapoff", file);
    }
  },
);

Deno.test("virstor demo overwrites nothing", async () => {
  await using work = await Workspace.create();
  await Deno.mkdir(work.path("demo-pool"));
  const bytes = pattern(64 * MIB, 3);
  bytes.set(new TextEncoder().encode("XFSB"));
  await Deno.writeFile(work.path("demo-pool/component-1.img"), bytes);
  const { code, stderr } = await work.run(
    ["demo", "--listen", "127.0.0.1:0"],
  );
  assertEquals(code, 4, stderr);
  assertStringIncludes(stderr, "an XFS file system");
  const path = work.path("demo-pool/component-1.img");
  assertEquals(await Deno.readFile(path), bytes);
});

for (const format of ["native", "freebsd"]) {
  Deno.test(`virstor clear asks for -f where there are data (${format})`, async () => {
    await using work = await Workspace.create();
    const options = ["--format", format, "-m", "1M", "-s", "1G"];
    await work.succeed(
      ["label", ...options, "--create", "8M", "pool", "a", "b"],
    );
    const server = await work.serve(["serve", "--socket", "s", "pool"]);
    {
      using client = await BusyClient.open({ path: work.path("s") }, "pool");
      for (const at of [0, MIB]) {
        assertEquals((await client.write(at, pattern(4096, 1))).errno, 0);
      }
    }
    await work.succeed(["stop", "-f", "pool"]);
    await server.ended();
    const status = JSON.parse(await work.succeed(["status", "--json", "pool"]));
    const [a, b] = status.pool.components;
    assertEquals(a.used + b.used, 2);
    const full = a.used > 0 ? a : b;
    const { code, stderr } = await work.run(["clear", "a", "b"]);
    assertEquals(
      { code, stderr },
      {
        code: 4,
        stderr: `virstor: Cannot clear "${full.path}": it holds ` +
          `${full.used * MIB} bytes of data of pool "pool", -f clears it\n`,
      },
    );
    await work.succeed(["check", "pool"]);
    await work.succeed(["clear", "-f", "a", "b"]);
    const again = await work.run(["clear", "-f", "a"]);
    assertEquals(again.code, 3);
  });

  Deno.test(`virstor clear clears what holds nothing (${format})`, async () => {
    await using work = await Workspace.create();
    const options = ["--format", format, "-m", "1M", "-s", "1G"];
    await work.succeed(
      ["label", ...options, "--create", "8M", "pool", "a", "b"],
    );
    await work.succeed(["clear", "a", "b"]);
  });
}
