/**
 * An installed `virstor` works: from the package of npm, and with `deno install`.
 * It runs with an environment of nothing but a search path and a home.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { hasPeer, peerPath, peerTest } from "../helpers/peers.ts";
import { makeScratch, type Scratch } from "../helpers/scratch.ts";
import { Server } from "../helpers/virstor.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

async function run(
  program: string,
  args: readonly string[],
  options: Deno.CommandOptions = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    ...options,
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

async function succeed(...args: Parameters<typeof run>): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  assertEquals(code, 0, `${args[0]} ${args[1].join(" ")}: ${stderr}`);
  return stdout;
}

async function bundle(directory: string): Promise<void> {
  const args = ["run", "-A", "tools/bundle.ts", directory];
  await succeed(Deno.execPath(), args, { cwd: ROOT });
}

/** The environment of a machine on which nothing is set. */
function bareEnv(scratch: Scratch, path: string): Deno.CommandOptions {
  const env = { PATH: path, HOME: scratch.file("home") };
  return { clearEnv: true, env, cwd: scratch.file("home") };
}

/** Runs the demo, and lets nbdinfo ask it. */
async function assertDemo(
  program: string,
  options: Deno.CommandOptions,
): Promise<void> {
  const server = new Server(
    new Deno.Command(program, {
      args: ["demo", "--listen", "127.0.0.1:0"],
      ...options,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
  try {
    await server.ready();
    const answer = await succeed(peerPath("nbdinfo") ?? "", [server.uri]);
    assertMatch(answer, /export-size: 1073741824 \(1G\)/);
    // A thread serves a client, where the machine has them.
    assertMatch(server.stderr, / connected: /);
  } finally {
    assertEquals((await server.stop()).code, 0);
  }
}

peerTest(
  "a virstor that npm has installed from its package serves the demo",
  ["npm", "node", "nbdinfo"],
  async () => {
    await using scratch = await makeScratch();
    await Deno.mkdir(scratch.file("home"));
    const dist = scratch.file("dist");
    await bundle(dist);
    const npm = peerPath("npm") ?? "";
    const inHere = { cwd: scratch.path };
    const name = await succeed(npm, ["pack", "--silent", dist], inHere);
    const prefix = scratch.file("prefix");
    await succeed(npm, [
      ...["install", "--silent", "--global", "--prefix", prefix],
      scratch.file(name.trim()),
    ], inHere);
    const program = `${prefix}/bin/virstor`;
    const bare = bareEnv(scratch, "/usr/bin:/bin");
    const version = await succeed(program, ["version"], bare);
    assertMatch(version, /^virstor \d.*\nDeno \d/);
    assertMatch(version, /threads for clients/);
    await assertDemo(program, bare);
    // Other runtimes say what is missing.
    const main = `${dist}/cli/main.js`;
    for (const runtime of ["node", "bun"].filter(hasPeer)) {
      const refused = await run(peerPath(runtime) ?? "", [main, "status"]);
      assertEquals(refused.code, 69, runtime);
      assertMatch(
        refused.stderr,
        /^virstor: Cannot start on this runtime: .*\n$/,
      );
    }
  },
);

peerTest(
  "a virstor that deno install has installed serves the demo",
  ["nbdinfo"],
  async () => {
    await using scratch = await makeScratch();
    await Deno.mkdir(scratch.file("home"));
    const dist = scratch.file("dist");
    await bundle(dist);
    await succeed(Deno.execPath(), [
      ...["install", "--global", "--root", scratch.file("root")],
      ...["--name", "virstor", "--no-config"],
      ...["read", "write", "net", "ffi", "env"].map((one) => `--allow-${one}`),
      `${dist}/cli/main.js`,
    ], { cwd: scratch.path });
    const path = `${Deno.execPath().replace(/\/[^/]*$/, "")}:/usr/bin:/bin`;
    const bare = bareEnv(scratch, path);
    const program = scratch.file("root/bin/virstor");
    assertStringIncludes(await succeed(program, ["version"], bare), "virstor ");
    await assertDemo(program, bare);
  },
);
