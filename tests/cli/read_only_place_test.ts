/**
 * Components that can be read only, and components that the runtime does not
 * let the program open.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { testUnless } from "../helpers/peers.ts";
import { mountTiny, whyNoMount } from "../helpers/tiny_fs.ts";
import { Workspace } from "../helpers/virstor.ts";

async function shell(...words: string[]): Promise<string> {
  const [program = "", ...args] = words;
  const { success, stdout, stderr } = await new Deno.Command(program, { args })
    .output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(decoder.decode(stderr));
  return decoder.decode(stdout).trim();
}

async function whyNoLoop(): Promise<string | undefined> {
  await using work = await Workspace.create();
  const file = await work.makeFile("file", 2 ** 20);
  try {
    await shell("losetup", "-d", await shell("losetup", "-f", "--show", file));
    return undefined;
  } catch {
    return "no loop device can be had";
  }
}

testUnless(
  "a component on a file system that is read-only is read, and named",
  await whyNoMount(),
  async () => {
    await using work = await Workspace.create();
    await using tiny = await mountTiny(work.path("tiny"));
    const sizes = ["-s", "64M", "--create", "1M"];
    await work.succeed(["label", ...sizes, "demo", "tiny/a", "b"]);
    await shell("mount", "-o", "remount,ro", tiny.path);
    for (const args of [["serve", "demo"], ["resize", "demo", "+1M"]]) {
      const { code, stderr } = await work.run(args);
      assertEquals(code, 6, stderr);
      const path = tiny.file("a");
      assertStringIncludes(
        stderr,
        `annot write to "${path}": it is on a file system, or a device, that is`,
      );
    }
    await work.succeed(["check", "demo"]);
  },
);

testUnless(
  "a device that is read-only is read, and named",
  await whyNoLoop(),
  async () => {
    await using work = await Workspace.create();
    const file = await work.makeFile("file", 2 ** 22);
    const device = await shell("losetup", "-f", "--show", file);
    const options = { allPermissions: true };
    try {
      await work.succeed(["label", "-s", "64M", "demo", device], options);
      await shell("blockdev", "--setro", device);
      const { code, stderr } = await work.run(["serve", "demo"], options);
      assertEquals(code, 6, stderr);
      assertStringIncludes(
        stderr,
        `cannot open "${device}": the device is read`,
      );
      await work.succeed(["check", "demo"], options);
    } finally {
      // The next user of the loop device would find it so.
      await shell("blockdev", "--setrw", device);
      await shell("losetup", "-d", device);
    }
  },
);

Deno.test("a component that the runtime keeps away is no damage, nor is a directory", async () => {
  await using work = await Workspace.create();
  const directory = await Deno.makeTempDir({ dir: "/dev/shm" });
  try {
    await work.succeed(
      ["label", "--create", "1M", "-s", "64M", "demo", `${directory}/a`],
      { allPermissions: true },
    );
    for (const command of ["check", "status"]) {
      const { code, stderr } = await work.run([command, "demo"]);
      assertEquals(code, 7, stderr);
      assertStringIncludes(stderr, "run virstor with VIRSTOR_ALLOW_ALL=1");
    }
    const { code, stderr } = await work.run(
      ["label", "--create", "1M", "-s", "64M", "other", "b"],
      { env: { VIRSTOR_STATE_DIR: directory } },
    );
    assertEquals(code, 1, stderr);
    assertStringIncludes(stderr, "run virstor with VIRSTOR_ALLOW_ALL=1");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
