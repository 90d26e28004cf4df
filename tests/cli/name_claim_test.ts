/**
 * Goal: a name leads to one pool. Commands that give a name to a pool at the same
 * time run one after the other, and the later one sees what the earlier one did.
 * What a killed command has left in the registry disturbs none and is removed.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { openHeld } from "../../cli/state/registry_file.ts";
import { forgetPool, updatePool, whileClaimed } from "../../cli/state/mod.ts";
import { VirstorError } from "../../errors.ts";
import { readLabel } from "../../pool/mod.ts";
import { type CommandResult, Workspace } from "../helpers/virstor.ts";
import { pause } from "../helpers/patience.ts";

const LABEL = ["label", "-s", "64M", "-m", "128K"];

/** The name of the pool that a file is of; "" without a label. */
function poolOf(path: string): string {
  try {
    return readLabel(path).name;
  } catch (error) {
    if (error instanceof VirstorError && error.code === "not-found") return "";
    throw error;
  }
}

/** The names of all files of the registry. */
function filesOf(work: Workspace): string[] {
  return [...Deno.readDirSync(work.path("state/pools"))]
    .map(({ name }) => name).toSorted();
}

/**
 * Asserts that one of several commands has succeeded. The others find the name
 * taken, or still claimed after some seconds.
 *
 * @returns Its index.
 */
function wonBy(results: readonly CommandResult[]): number {
  const codes = results.map(({ code }) => code);
  const won = codes.indexOf(0);
  const isRefused = (code: number) => code === 4 || code === 8;
  const lost = codes.filter((_, index) => index !== won);
  assert(won >= 0 && lost.every(isRefused), JSON.stringify(results));
  return won;
}

async function makePool(work: Workspace, ...names: string[]): Promise<void> {
  for (const name of names) {
    await work.succeed([...LABEL, "--create", "1M", name, `of ${name}`]);
  }
}

Deno.test("virstor label makes one pool of a name, also by two commands at once", async () => {
  await using work = await Workspace.create();
  const paths = ["a", "b"].map((name) => work.path(name));
  for (const path of paths) await work.makeFile(path.slice(-1), 1 << 20);
  const results = await Promise.all(
    paths.map((path) => work.run([...LABEL, "vm", path])),
  );
  const won = wonBy(results);
  const lost = 1 - won;
  assertMatch(
    results[lost]?.stderr ?? "",
    /^virstor: Cannot label pool "vm": (a pool of this name exists, on |another )/,
  );
  assertEquals(poolOf(paths[won] ?? ""), "vm");
  const bytes = await Deno.readFile(paths[lost] ?? "");
  assertEquals(bytes, new Uint8Array(1 << 20));
  assertStringIncludes(await work.succeed(["status", "vm"]), paths[won] ?? "");
  assertEquals(filesOf(work), ["vm.json"]);
});

Deno.test("virstor rename and label at once give a name to one pool", async () => {
  await using work = await Workspace.create();
  await makePool(work, "one", "two");
  await work.makeFile("new", 1 << 20);
  const results = await Promise.all([
    work.run(["rename", "one", "vm"]),
    work.run(["rename", "two", "vm"]),
    work.run([...LABEL, "vm", "new"]),
  ]);
  const names = ["of one", "of two", "new"].map((file) =>
    poolOf(work.path(file))
  );
  const won = wonBy(results);
  const before = ["one", "two", ""];
  assertEquals(names, before.with(won, "vm"));
  const known = before.with(won, "vm").filter((name) => name !== "");
  assertEquals(filesOf(work), known.map((name) => `${name}.json`).toSorted());
  for (const name of known) await work.succeed(["check", name]);
});

Deno.test("virstor waits for the command that gives the name to a pool", async () => {
  await using work = await Workspace.create();
  await makePool(work, "one");
  const components = [{ path: work.path("other") }];
  const waiting = await whileClaimed(
    work.stateDirectory,
    "vm",
    "test",
    async ({ update }) => {
      const renamed = work.run(["rename", "one", "vm"]);
      await pause(100);
      await update(() => Promise.resolve({ name: "vm", id: "1", components }));
      return [renamed];
    },
  );
  const [renamed] = await Promise.all(waiting);
  assertEquals(renamed?.code, 4, renamed?.stderr);
  assertEquals(poolOf(work.path("of one")), "one");
});

Deno.test("virstor changes nothing under a name that another command keeps claimed", async () => {
  await using work = await Workspace.create();
  await makePool(work, "vm", "one");
  await work.makeFile("new", 1 << 20);
  await work.makeFile("more", 1 << 20);
  const before = await Deno.readTextFile(work.path("state/pools/vm.json"));
  const [label, rename, taste, forget, add] = await whileClaimed(
    work.stateDirectory,
    "vm",
    "test",
    () =>
      Promise.all([
        work.run([...LABEL, "-f", "vm", "new"]),
        work.run(["rename", "one", "vm"]),
        work.run(["taste", "of vm"]),
        work.run(["forget", "vm"]),
        work.run(["add", "vm", "more"]),
      ]),
  );
  const what = 'another command gives the name "vm" to a pool at the moment';
  for (const result of [label, rename, taste, forget]) {
    assertEquals(result?.code, 8, result?.stderr);
    assertStringIncludes(result?.stderr ?? "", what);
  }
  assertEquals(add?.code, 0, add?.stderr);
  assertStringIncludes(add?.stderr ?? "", `Warning: Cannot register pool "vm"`);
  assertEquals(poolOf(work.path("new")), "");
  assertEquals(poolOf(work.path("of one")), "one");
  assertEquals(
    await Deno.readTextFile(work.path("state/pools/vm.json")),
    before,
  );
});

Deno.test("virstor leaves the entry of a pool that has got the name meanwhile", async () => {
  await using work = await Workspace.create();
  await makePool(work, "vm");
  const server = await work.serve(["serve", "--socket", "s", "vm"]);
  await work.makeFile("new", 1 << 20);
  await work.succeed([...LABEL, "-f", "vm", "new"]);
  const entry = await Deno.readTextFile(work.path("state/pools/vm.json"));
  const { code, stderr } = await work.run([
    ...["add", "--create", "1M", "vm", "more"],
  ]);
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "the registry has another pool of this name");
  await server.stop();
  await forgetPool(work.stateDirectory, "vm", "the id of the other");
  assertEquals(
    await Deno.readTextFile(work.path("state/pools/vm.json")),
    entry,
  );
});

Deno.test("virstor removes what a killed command has left in the registry, and nothing that is in use", async () => {
  await using work = await Workspace.create();
  await makePool(work, "vm");
  const pools = work.path("state/pools");
  const left = ["vm.json.4711.new", "vm.json.4711-0.new", "one.json.claim"];
  for (const name of left) await Deno.writeTextFile(`${pools}/${name}`, "{");
  using used = openHeld(`${pools}/two.json.12-3.new`);
  assert(used !== undefined);
  await work.succeed(["add", "--create", "1M", "vm", "b"]);
  assertEquals(filesOf(work), ["two.json.12-3.new", "vm.json"]);
  // A name whose claim was left behind is free at once.
  await Deno.writeTextFile(`${pools}/vm.json.claim`, "");
  await work.succeed(["rename", "vm", "one"]);
  assertEquals(filesOf(work), ["one.json", "two.json.12-3.new"]);
});

Deno.test("a file is held by one at a time, and is the one at its path", async () => {
  await using work = await Workspace.create();
  const path = work.path("held");
  const updates: Promise<void>[] = [];
  let inside = 0;
  let most = 0;
  for (let i = 0; i < 4; i++) {
    updates.push(updatePool(work.stateDirectory, "vm", async () => {
      most = Math.max(most, ++inside);
      await Promise.resolve();
      inside--;
      return { name: "vm", id: String(i), components: [{ path }] };
    }));
  }
  await Promise.all(updates);
  assertEquals([most, inside], [1, 0]);
  const first = openHeld(path);
  assert(first !== undefined);
  assertEquals(openHeld(path), undefined);
  Deno.removeSync(path);
  using second = openHeld(path);
  assert(second !== undefined);
  first.close();
  assertEquals(openHeld(path), undefined);
});
