/**
 * Files that are no components: a few lines tell of any number of them.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { passedOverNotices } from "../../cli/registry/passed_over.ts";
import { MIB } from "../helpers/scratch.ts";
import { Workspace } from "../helpers/virstor.ts";

const FOREIGN = 300;

Deno.test("virstor taste tells of 300 foreign files in a few lines", async () => {
  await using work = await Workspace.create();
  const sizes = ["-s", "64M", "--create", "4M"];
  await work.succeed(["label", ...sizes, "demo", "a", "b"]);
  for (let i = 0; i < FOREIGN; i++) await work.makeFile(`f${i}`, MIB + i);
  // One that is worse than foreign is not lost among them.
  await Deno.copyFile(work.path("a"), work.path("damaged"));
  using file = Deno.openSync(work.path("damaged"), { write: true });
  for (const slot of [2, 1]) {
    file.seekSync(-slot * 65_536 + 64, Deno.SeekMode.End);
    file.writeSync(new Uint8Array(64).fill(0xa5));
  }
  const { code, stdout, stderr } = await work.run(["taste", "."]);
  assertEquals([code, stdout], [0, 'Pool "demo": 2 of 2 components\n']);
  const lines = stderr.trimEnd().split("\n");
  assertEquals(lines.length, 2, stderr);
  assertMatch(lines[0] ?? "", /Passed over ".*\/damaged": .*checksum/);
  assertMatch(
    lines[1] ?? "",
    /Passed over ".*\/f\d+": .* \(and 299 more like it\)$/,
  );
  const { rejected } = JSON.parse(
    await work.succeed(["taste", "--json", "."]),
  );
  assertEquals(rejected.length, FOREIGN + 1);
});

Deno.test("passedOverNotices() counts every file once, the rarest reasons first", () => {
  const file = (path: string, reason: string) => ({ path, reason });
  const many = Array.from(
    { length: FOREIGN },
    (_, i) => file(`/d/${i}`, `There is no label on "/d/${i}"`),
  );
  assertEquals(passedOverNotices([]), []);
  assertEquals(passedOverNotices([...many, file("/x", "It is damaged")]), [
    'Passed over "/x": It is damaged',
    'Passed over "/d/0": There is no label on "/d/0" (and 299 more like it)',
  ]);
  assertEquals(passedOverNotices(many.slice(0, 3)).length, 3);
  const all = "abcdefghijklmnopqrstuvwxyz".split("")
    .map((letter) => file(`/${letter}`, `Reason ${letter}${letter}`));
  const notices = passedOverNotices(all);
  assertEquals(notices.length, 11);
  assertEquals(notices.at(-1), "Passed over 16 more files, --json lists them");
});

Deno.test("virstor status tells of 300 foreign files in its registry in a few lines", async () => {
  await using work = await Workspace.create();
  const sizes = ["-s", "64M", "--create", "4M"];
  await work.succeed(["label", ...sizes, "demo", "a"]);
  for (let i = 0; i < FOREIGN; i++) {
    await Deno.writeTextFile(work.path(`state/pools/f${i}.json`), "{}");
  }
  const { code, stderr } = await work.run(["status"]);
  assertEquals(code, 0);
  const lines = stderr.trimEnd().split("\n");
  assertEquals(lines.length, 12, stderr);
  assertEquals(
    lines.at(-1),
    "virstor: Notice: There are 289 more notices like these",
  );
});

Deno.test("virstor serve names a few of 300 files that are no components", async () => {
  await using work = await Workspace.create();
  const sizes = ["-s", "64M", "--create", "4M"];
  await work.succeed(["label", ...sizes, "demo", "a", "b"]);
  await Deno.remove(work.path("b"));
  const args: string[] = [];
  for (let i = 0; i < FOREIGN; i++) {
    args.push("--component", await work.makeFile(`f${i}`, MIB));
  }
  const { code, stderr } = await work.run(["serve", ...args, "demo"]);
  assertEquals(code, 3);
  assert(stderr.length < 1500, stderr);
  assertMatch(stderr, /component 1.* of 2 .* is missing \(.*; and \d+ more\)/);
});

Deno.test("virstor taste knows a file under a second name as the same file", async () => {
  await using work = await Workspace.create();
  await Deno.mkdir(work.path("one"));
  const sizes = ["-s", "64M", "--create", "4M"];
  await work.succeed(["label", ...sizes, "demo", "one/a", "one/b"]);
  // What a bind mount shows, without the right to mount.
  await Deno.symlink("one", work.path("two"));
  const isKnown = ["taste", "one", "two"];
  const isNew = ["--state-dir", work.path("other"), "taste", "two", "one"];
  for (const words of [isKnown, isNew]) {
    const { code, stdout, stderr } = await work.run(words);
    assertEquals([code, stdout], [0, 'Pool "demo": 2 of 2 components\n']);
    const lines = stderr.trimEnd().split("\n");
    assertEquals(lines.length, 2, stderr);
    for (const line of lines) {
      assertMatch(
        line,
        /"\S*\/two\/[ab]": it is the same file as "\S*\/one\/[ab]"$/,
      );
    }
  }
});
