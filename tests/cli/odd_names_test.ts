/**
 * Goal: a file is never taken for one of another name, and a name never gives
 * the terminal orders. Method: the real launcher with names that are not UTF-8;
 * every command that shows names with one that would end the line, begin an
 * escape sequence, and turn the direction of writing.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { delimiter, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { Workspace } from "../helpers/virstor.ts";
import { makeSmallPool } from "./served.ts";

const LAUNCHER = fileURLToPath(new URL("../../virstor", import.meta.url));

/** Runs a line of the shell; `$V` is the launcher. */
async function shell(
  work: Workspace,
  line: string,
): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", line],
    cwd: work.directory,
    env: {
      V: LAUNCHER,
      NO_COLOR: "1",
      VIRSTOR_STATE_DIR: work.stateDirectory,
      PATH: [dirname(Deno.execPath()), Deno.env.get("PATH")].join(delimiter),
    },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

for (
  const words of [
    'label --create 64M -s 1G new "$name"',
    'label --create 64M -s 1G new good "$name"',
    'add --create 64M pool "$name"',
    'remove pool "$name"',
    'clear "$name"',
    'dump "$name"',
    'taste "$name"',
    'serve --socket "$name" pool',
    '--state-dir "$name" list',
  ]
) {
  Deno.test(`virstor refuses a name that is not UTF-8: ${words}`, async () => {
    await using work = await Workspace.create();
    await work.succeed(["label", "-s", "1G", "--create", "64M", "pool", "a"]);
    const names = () =>
      [...Deno.readDirSync(work.directory)].map((one) => one.name).toSorted();
    const before = names();
    // A byte that is no UTF-8, half a character, and an encoded surrogate.
    for (const bytes of ["\\377", "\\303", "\\355\\240\\200"]) {
      const line = `name=$(printf 'disk${bytes}.img'); "$V" ${words}`;
      const { code, text } = await shell(work, line);
      assertEquals(code, 9, text);
      assertMatch(text, /^virstor: .* UTF-8 .*\n$/);
    }
    assertEquals(names(), before);
  });
}

Deno.test("virstor refuses to work in a directory whose name is not UTF-8", async () => {
  await using work = await Workspace.create();
  const line = 'd=$(printf \'d\\377\'); mkdir "$d"; cd "$d"; ' +
    '"$V" label --create 64M -s 1G new a';
  const { code, text } = await shell(work, line);
  assertEquals(code, 1, text);
  assertMatch(text, /^virstor: .*UTF-8\n$/);
});

Deno.test("virstor refuses a state directory whose name is not UTF-8", async () => {
  await using work = await Workspace.create();
  for (const variable of ["VIRSTOR_STATE_DIR", "XDG_STATE_HOME"]) {
    const line = "unset VIRSTOR_STATE_DIR; " +
      `export ${variable}="$(printf '/tmp/d\\377')"; "$V" list`;
    const { code, text } = await shell(work, line);
    assertEquals(code, 9, text);
    assertMatch(text, new RegExp(`^virstor: .* ${variable}: .*UTF-8\\n$`));
  }
});

Deno.test("virstor taste passes over files whose names are not UTF-8", async () => {
  await using work = await Workspace.create();
  await work.succeed(["label", "-s", "1G", "--create", "64M", "pool", "a"]);
  const line = 'cp a "$(printf \'a\\377\')"; "$V" taste .';
  const { code, text } = await shell(work, line);
  assertEquals(code, 0, text);
  assertMatch(
    text,
    /^virstor: Notice: Passed over ".*": its name is not UTF-8$/m,
  );
  assertStringIncludes(text, 'Pool "pool": 1 of 1 component');
});

/** A name with all that a terminal would obey. */
const NAME = "a\n\x1b[31mred\r\u202eoga\u200b\x7f.img";
const SHOWN = "a\\n\\u001b[31mred\\r\\u202eoga\\u200b\\u007f.img";

Deno.test("virstor shows what is in names, and obeys nothing of it", async () => {
  await using work = await Workspace.create();
  const create = ["-s", "1G", "--create", "8M"];
  const texts: string[] = [];
  const say = async (...args: string[]) => {
    const { stdout, stderr } = await work.run(args);
    texts.push(stdout + stderr);
    return stdout + stderr;
  };
  await say("label", "-v", ...create, "pool", NAME, "b");
  await say("add", "-v", "--create", "8M", "pool", `${NAME}.2`);
  await say("status", "pool");
  await say("status", "-v");
  await say("list");
  await say("dump", NAME);
  await say("taste", ".");
  await say("remove", "--dry-run", "pool", `${NAME}.2`);
  await say("remove", "-v", "pool", `${NAME}.2`);
  await work.makeFile(NAME + ".3", 8);
  await say("taste", ".");
  await say("label", ...create, "new", NAME);
  await say("dump", NAME + ".3");
  await say("label", ...create, "new", "nowhere/" + NAME);
  await Deno.copyFile(work.path(NAME), work.path(`${NAME}.4`));
  await say("clear", "-v", `${NAME}.4`);
  const server = await work.serve(["serve", "--socket", "s", "pool"]);
  await say("status", "pool");
  await say("add", "-v", "--create", "8M", "pool", `${NAME}.5`);
  await say("stop", "-f", "pool");
  const { stdout, stderr } = await server.ended();
  texts.push(stdout, stderr);
  await Deno.truncate(work.path("b"), 4 * 1024 ** 2);
  await Deno.truncate(work.path(NAME), 4 * 1024 ** 2);
  await say("status", "pool");
  await say("check", "pool");
  await say("list");
  for (const text of texts) {
    // deno-lint-ignore no-control-regex -- these are what must not be there
    assertEquals(text.match(/[\0-\x09\x0b-\x1f\x7f-\x9f\u200b-\u202e]/g), null);
    for (const line of text.split("\n")) {
      assertEquals(line.startsWith("\\u001b[31m"), false, text);
    }
  }
  const all = texts.join("");
  assertStringIncludes(all, SHOWN);
  // In JSON it is what it is.
  const status = JSON.parse(await work.succeed(["list", "--json"]));
  assertEquals(status[0].components[0], work.path(NAME));
});

Deno.test("virstor label refuses names that look like a volume's", async () => {
  await using work = await makeSmallPool("native", ["a"]);
  for (const name of ["x/y", "x@y"]) {
    for (const format of ["native", "freebsd"]) {
      const { code, stderr } = await work.run([
        ...["label", "--format", format, "--create", "64M", "-s", "1G"],
        ...[name, "z"],
      ]);
      assertEquals(code, 9);
      assertMatch(stderr, /the name has "\/" or "@"/);
    }
  }
});
