/**
 * Goal: the registry is a hint. Where it cannot be written that is reported,
 * and a pool opens by its name all the same as long as its components lie
 * beside each other. Nothing older than the rest is used unasked, and `taste`
 * forgets nothing.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { copyFile } from "node:fs/promises";
import { FORMATS } from "../helpers/scratch.ts";
import { testUnless } from "../helpers/peers.ts";
import { mountTiny, whyNoMount } from "../helpers/tiny_fs.ts";
import { Workspace } from "../helpers/virstor.ts";
import { serve } from "./served.ts";

const NO_MOUNT = await whyNoMount();

/** A pool "demo" of the files a and b in x. */
async function makePool(format: string): Promise<Workspace> {
  const work = await Workspace.create();
  await Deno.mkdir(work.path("x"));
  await label(work, "demo", ["x/a", "x/b"], format);
  return work;
}

async function label(
  work: Workspace,
  name: string,
  paths: string[],
  format = "native",
  env: Record<string, string> = {},
): Promise<void> {
  const sizes = ["-s", "64M", "-m", "128K", "--create", "1M"];
  const args = ["label", "--format", format, ...sizes, name, ...paths];
  await work.succeed(args, { env });
}

function registryOf(work: Workspace): { path: string; known(): string[] } {
  const path = work.path("state/pools/demo.json");
  const known = () => JSON.parse(Deno.readTextFileSync(path)).components;
  return { path, known };
}

async function pathsOf(work: Workspace): Promise<string[]> {
  const { pool } = JSON.parse(
    await work.succeed(["status", "--json", "demo"]),
  );
  return pool.components.map(({ path }: { path: string }) => path);
}

/** Opens and closes the pool for writing: its generation goes up. */
async function open(work: Workspace): Promise<void> {
  const server = await serve(work);
  await server.stop();
}

for (const format of FORMATS) {
  for (const trouble of ["full", "read-only"]) {
    testUnless(
      `virstor add tells that the state directory is ${trouble}, and the pool opens by name afterwards (${format})`,
      NO_MOUNT,
      async () => {
        await using work = await Workspace.create();
        await using state = await mountTiny(work.stateDirectory);
        await label(work, "demo", ["a"], format);
        if (trouble === "full") {
          await Deno.writeFile(state.file("large"), new Uint8Array(3 << 20))
            .catch(() => {});
        } else {
          await new Deno.Command("mount", {
            args: ["-o", "remount,ro", state.path],
          }).output();
        }
        const before = registryOf(work).known();
        const add = await work.run(["add", "--create", "1M", "demo", "b"]);
        assertEquals(add.code, 0, add.stderr);
        assertMatch(
          add.stderr,
          /^virstor: Warning: Cannot register pool "demo" in ".*": .*taste$/m,
        );
        assertEquals(registryOf(work).known(), before);
        assertEquals(await pathsOf(work), ["a", "b"].map((n) => work.path(n)));
        if (trouble === "read-only") return;
        // A server tells the client, too.
        const server = await serve(work);
        const more = await work.run(["add", "--create", "1M", "demo", "c"]);
        assertEquals(more.code, 0, more.stderr);
        assertMatch(more.stderr, /^virstor: Warning: Cannot register pool /m);
        await server.stop();
        assertEquals((await pathsOf(work)).length, 3);
      },
    );
  }

  Deno.test(`virstor finds components beside others that the registry does not know (${format})`, async () => {
    await using work = await makePool(format);
    const registry = registryOf(work);
    const old = await Deno.readTextFile(registry.path);
    await work.succeed(["add", "--create", "1M", "demo", "x/c"]);
    await work.succeed(["add", "--create", "1M", "demo", "x/d"]);
    // A power cut brings an older one back.
    await Deno.writeTextFile(registry.path, old);
    const all = ["a", "b", "c", "d"].map((name) => work.path(`x/${name}`));
    assertEquals(await pathsOf(work), all);
    assertEquals((await work.run(["check", "demo"])).code, 0);
    assertEquals(registry.known().length, 2);
    const server = await serve(work);
    assertMatch(server.stderr, /Notice: ".*\/x\/c" is a component of pool/);
    await server.stop();
    assertEquals(registry.known(), all);
  });

  Deno.test(`virstor writes an entry of the registry in one step and leaves nothing behind (${format})`, async () => {
    await using work = await makePool(format);
    await work.succeed(["add", "--create", "1M", "demo", "x/c"]);
    const names = [...Deno.readDirSync(work.path("state/pools"))];
    assertEquals(names.map(({ name }) => name), ["demo.json"]);
  });

  Deno.test(`virstor uses the whole pool that the user names, whatever copies are known (${format})`, async () => {
    await using work = await makePool(format);
    await Deno.mkdir(work.path("y"));
    await copyFile(work.path("x/b"), work.path("y/b"));
    const { path, known } = registryOf(work);
    const entry = JSON.parse(await Deno.readTextFile(path));
    entry.components.push(work.path("y/b"));
    await Deno.writeTextFile(path, JSON.stringify(entry));
    const { code, stderr } = await work.run(["status", "demo"]);
    assertEquals(code, 2);
    assertMatch(stderr, /both claim to be component/);
    const right = ["--component", "x/a", "--component", "x/b"];
    // Not all of it: which of the two is right is still open.
    const half = await work.run(["serve", "demo", ...right.slice(2)]);
    assertEquals(half.code, 2);
    const server = await serve(work, ...right);
    await server.stop();
    assertEquals(known(), [work.path("x/a"), work.path("x/b")]);
    await work.succeed(["status", "demo"]);
  });

  Deno.test(`virstor taste keeps what is away for a moment, and forgets what is none any more (${format})`, async () => {
    await using work = await makePool(format);
    const { known } = registryOf(work);
    const [a, b] = ["x/a", "x/b"].map((name) => work.path(name));
    assert(a !== undefined && b !== undefined);
    await Deno.mkdir(work.path("away"));
    await Deno.rename(b, work.path("away/b"));
    assertEquals(
      await work.succeed(["taste", "x"]),
      'Pool "demo": 1 of 2 components; component 1 missing\n',
    );
    assertEquals(known(), [a, b]);
    await Deno.rename(work.path("away/b"), b);
    await work.succeed(["status", "demo"]);
    // Found elsewhere: where it was is no place of it any more.
    await Deno.rename(b, work.path("away/b"));
    await work.succeed(["taste", "away"]);
    assertEquals(known(), [a, work.path("away/b")]);
    await work.makeFile("x/b", 1 << 20);
    await Deno.rename(work.path("away/b"), work.path("away2"));
    await work.succeed(["taste", "x"]);
    assertEquals(known(), [a, work.path("away/b")]);
  });

  Deno.test(`virstor taste registers no copy of a component that is known (${format})`, async () => {
    await using work = await makePool(format);
    const before = registryOf(work).known();
    await Deno.mkdir(work.path("y"));
    await copyFile(work.path("x/b"), work.path("y/b"));
    const { code, stdout, stderr } = await work.run(["taste", "y", "x"]);
    assertEquals([code, stdout], [0, 'Pool "demo": 2 of 2 components\n']);
    assertMatch(stderr, /Passed over ".*y\/b": it is a copy of ".*x\/b"/);
    assertEquals(registryOf(work).known(), before);
    await work.succeed(["status", "demo"]);
  });
}

Deno.test("virstor finds a native component that was renamed, and no copy of an earlier time", async () => {
  await using work = await makePool("native");
  await copyFile(work.path("x/b"), work.path("x/old copy"));
  await open(work);
  await Deno.rename(work.path("x/b"), work.path("x/new name"));
  assertEquals(
    await pathsOf(work),
    ["x/a", "x/new name"].map((name) => work.path(name)),
  );
  await Deno.remove(work.path("x/new name"));
  const { code, stderr } = await work.run(["status", "demo"]);
  assertEquals(code, 3);
  assertMatch(stderr, /"[^"]*old copy" claims to be component 1: if it is /);
});

Deno.test("virstor does not choose between two copies beside the others", async () => {
  await using work = await makePool("native");
  await Deno.rename(work.path("x/b"), work.path("x/one"));
  await copyFile(work.path("x/one"), work.path("x/two"));
  const { code, stderr } = await work.run(["status", "demo"]);
  assertEquals(code, 3);
  assertMatch(stderr, /"[^"]*one" claims to be .*"[^"]*two" claims to be /);
});

Deno.test("virstor tells of renamed components where no known one can be read", async () => {
  await using work = await makePool("native");
  await Deno.rename(work.path("x/b"), work.path("x/b new"));
  const { size } = await Deno.stat(work.path("x/a"));
  await Deno.truncate(work.path("x/a"), size - 1);
  const isClaimed = /"[^"]*b new" claims to be component 1: if it is /;
  const cut = await work.run(["status", "demo"]);
  assertEquals(cut.code, 3);
  assertMatch(cut.stderr, /is 1 byte shorter than its label says/);
  assertMatch(cut.stderr, isClaimed);
  await Deno.rename(work.path("x/a"), work.path("x/a new"));
  await Deno.truncate(work.path("x/a new"), size);
  for (const [code, command] of [[3, "status"], [2, "check"], [2, "repair"]]) {
    const result = await work.run([`${command}`, "demo"]);
    assertEquals(result.code, code);
    assertMatch(result.stderr, /"[^"]*a new" claims to be component 0: /);
    assertMatch(result.stderr, isClaimed);
  }
  await work.succeed(["taste", "x"]);
  await work.succeed(["check", "demo"]);
});

Deno.test("virstor only tells of a file that claims the place of a missing one in the FreeBSD format", async () => {
  await using work = await makePool("freebsd");
  // Nothing tells how old it is.
  await Deno.rename(work.path("x/b"), work.path("x/copy"));
  const { code, stderr } = await work.run(["status", "demo"]);
  assertEquals(code, 3);
  assertMatch(stderr, /"[^"]*copy" claims to be component 1: if it is /);
  const check = await work.run(["check", "demo"]);
  assertEquals(check.code, 2);
  const server = await serve(work, "--component", "x/copy");
  await server.stop();
  assertEquals((await pathsOf(work))[1], work.path("x/copy"));
});

Deno.test("virstor taste registers the other pools, and of two of a name the known or the whole one", async () => {
  await using work = await makePool("native");
  const env = { VIRSTOR_STATE_DIR: work.path("state2") };
  await Deno.mkdir(work.path("y"));
  await label(work, "demo", ["y/a", "y/b"], "native", env);
  await label(work, "other", ["x/other"], "native", env);
  const before = registryOf(work).known();
  const known = await work.run(["taste", "x", "y"]);
  assertEquals(
    [known.code, known.stdout],
    [4, 'Pool "other": 1 of 1 component\n'],
  );
  assertMatch(known.stderr, /belong to different pools of this name/);
  assertEquals(registryOf(work).known(), before);
  await work.succeed(["status", "other"]);
  // Nothing is known: the only whole one is it.
  await Deno.remove(work.stateDirectory, { recursive: true });
  const both = await work.run(["taste", "x", "y"]);
  assertEquals([both.code, both.stdout.split("\n").length], [4, 2]);
  assertEquals((await work.run(["status", "demo"])).code, 3);
  await Deno.remove(work.path("y/b"));
  assertEquals((await work.run(["taste", "x", "y"])).code, 4);
  assertEquals(await pathsOf(work), before);
});
