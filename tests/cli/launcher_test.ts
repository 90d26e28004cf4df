/**
 * The launcher `virstor`: which Deno it runs, and that it asks for it once.
 *
 * Method: a search path with links to what the launcher needs, and with
 * programs that count how often they run.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { absolutePath, parentPath } from "../../cli/state/paths.ts";
import { peerPath } from "../helpers/peers.ts";
import { makeScratch, type Scratch } from "../helpers/scratch.ts";

const LAUNCHER = fileURLToPath(new URL("../../virstor", import.meta.url));
/** What the launcher runs, beside Deno and npx. */
const TOOLS = ["sh", "readlink", "mkdir", "mv", "rm"];

/** A search path without Deno, and the launcher under another name in it. */
async function makePath(scratch: Scratch): Promise<void> {
  await Deno.mkdir(scratch.file("bin"));
  for (const tool of TOOLS) {
    await Deno.symlink(peerPath(tool) ?? "", scratch.file(`bin/${tool}`));
  }
  await Deno.symlink(LAUNCHER, scratch.file("bin/v"));
}

/** Makes a program that notes its call, and prints a text. */
async function fake(
  scratch: Scratch,
  name: string,
  text: string,
): Promise<void> {
  const path = scratch.file(`bin/${name}`);
  const log = scratch.file(`${name}.log`);
  const script = `#!/bin/sh\necho "$*" >>${log}\necho "${text}"\n`;
  await Deno.writeTextFile(path, script, { mode: 0o755 });
}

async function calls(scratch: Scratch, name: string): Promise<number> {
  const text = await Deno.readTextFile(scratch.file(`${name}.log`))
    .catch(() => "");
  return text.split("\n").length - 1;
}

async function launch(
  scratch: Scratch,
  env: Record<string, string> = { HOME: scratch.path },
  args: readonly string[] = ["version", "--json"],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(
    scratch.file("bin/v"),
    {
      args: [...args],
      clearEnv: true,
      env: {
        PATH: scratch.file("bin"),
        DENO_DIR: scratch.file("deno"),
        ...env,
      },
    },
  ).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

Deno.test("the launcher asks npx for Deno once", async () => {
  await using scratch = await makeScratch();
  await makePath(scratch);
  const none = await launch(scratch);
  assertEquals(none.code, 69);
  assertMatch(none.stderr, /^virstor: Cannot start: neither Deno .*\n$/);
  await fake(scratch, "npx", Deno.execPath());
  for (let time = 0; time < 2; time++) {
    const { code, stdout } = await launch(scratch);
    assertEquals(code, 0);
    assertStringIncludes(stdout, '"virstor":');
  }
  assertEquals(await calls(scratch, "npx"), 1);
  // Without a place to keep the answer it asks each time.
  assertEquals((await launch(scratch, {})).code, 0);
  assertEquals(await calls(scratch, "npx"), 2);
});

Deno.test("the launcher takes a Deno on PATH that is new enough, and looks again when it has changed", async () => {
  await using scratch = await makeScratch();
  await makePath(scratch);
  await fake(scratch, "deno", "deno 2.8.9 (stable, release)");
  await fake(scratch, "npx", Deno.execPath());
  assertEquals((await launch(scratch)).code, 0);
  assertEquals((await launch(scratch)).code, 0);
  assertEquals([await calls(scratch, "deno"), await calls(scratch, "npx")], [
    1,
    1,
  ]);
  await fake(scratch, "deno", "deno 2.10.0 (stable, release)");
  const later = new Date(Date.now() + 60_000);
  await Deno.utime(scratch.file("bin/deno"), later, later);
  // The program itself is run then, as what it says it is.
  assertEquals(
    (await launch(scratch)).stdout,
    "deno 2.10.0 (stable, release)\n",
  );
  assertEquals([await calls(scratch, "deno"), await calls(scratch, "npx")], [
    3,
    1,
  ]);
});

Deno.test("the launcher lets Deno compile at once for a server only", async () => {
  await using scratch = await makeScratch();
  await makePath(scratch);
  await fake(scratch, "deno", "deno 2.10.0 (stable, release)");
  const flagged: string[] = [];
  for (const command of ["status", "serve", "demo", "copy"]) {
    const env = { HOME: scratch.path };
    await launch(scratch, env, [command, "pool"]);
    const log = await Deno.readTextFile(scratch.file("deno.log"));
    const last = log.trimEnd().split("\n").at(-1) ?? "";
    assertStringIncludes(last, `cli/main.ts ${command} pool`);
    if (last.includes("--always-sparkplug")) flagged.push(command);
  }
  assertEquals(flagged, ["serve", "demo"]);
});

Deno.test("Deno reads what a command loads when the command loads it", async () => {
  await using scratch = await makeScratch();
  const place = (name: string) => scratch.file(`place/${name}`);
  await Deno.mkdir(place("cli"), { recursive: true });
  await Deno.copyFile(LAUNCHER, place("virstor"));
  await Deno.writeTextFile(place("deno.json"), "{}");
  await Deno.writeTextFile(place("cli/late.ts"), "");
  // What was read before is there for the import, removed or not.
  await Deno.writeTextFile(
    place("cli/main.ts"),
    `await Deno.remove(new URL("./late.ts", import.meta.url));
    console.log(await import("./late.ts").then(() => "early", () => "late"));`,
  );
  const { stdout } = await new Deno.Command(place("virstor")).output();
  assertEquals(new TextDecoder().decode(stdout), "late\n");
});

Deno.test("paths of the state directory are those of node:path", () => {
  const parts = ["a", "b c", ".", "..", "", "ü"];
  for (let seed = 0; seed < 6 ** 4; seed++) {
    const words = [0, 1, 2, 3].map((at) =>
      parts[Math.floor(seed / 6 ** at) % 6] ?? ""
    );
    for (const path of [words.join("/"), `/${words.join("/")}`]) {
      const absolute = absolutePath(path);
      assertEquals(absolute, posix.resolve(path));
      assertEquals(parentPath(absolute), posix.dirname(absolute));
    }
  }
});

Deno.test("the launcher says that its directory is gone", async () => {
  await using scratch = await makeScratch();
  const script = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" version';
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", script, LAUNCHER],
    cwd: scratch.path,
  }).output();
  assertEquals([code, stdout.length], [3, 0]);
  // The shell has its own complaint.
  assertMatch(
    new TextDecoder().decode(stderr),
    /^(sh: .*\n)*virstor: Cannot start: the current directory was removed, .*\n$/,
  );
});
