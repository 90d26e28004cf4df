/**
 * What the house style asks of every file and no linter checks. A rule that
 * matters is checked by a program; this is the program.
 *
 * @module
 */
import { assert, assertEquals, assertExists } from "@std/assert";
import { exists } from "@std/fs";
import { dirname, join } from "node:path";
import { readTextFiles, ROOT } from "./files.ts";

/** Longer files do more than one thing. */
const FILE_LINES_MAX = 400;
/** The same of a test. */
const TEST_LINES_MAX = 500;

const FILES = await readTextFiles();
const SOURCES = FILES.filter(({ path }) => path.endsWith(".ts"));
const PAGES = FILES.filter(({ path }) => path.endsWith(".md"));

function textOf(path: string): string {
  const file = FILES.find((each) => each.path === path);
  assertExists(file, `"${path}" is missing`);
  return file.text;
}

/** `path:line` of every line that matches. */
function linesThatMatch(pattern: RegExp): string[] {
  return FILES.flatMap(({ path, text }) =>
    text.split("\n").flatMap((line, index) =>
      pattern.test(line) ? [`${path}:${index + 1}`] : []
    )
  );
}

Deno.test("every source file begins with what it is, marked @module", () => {
  assert(SOURCES.length > 10, "The sources were not found");
  const without = SOURCES.filter(({ text }) => {
    const comment = /^\/\*\*[^]*?\*\//.exec(text)?.[0] ?? "";
    return !comment.includes("@module");
  });
  assertEquals(without.map(({ path }) => path), []);
});

Deno.test("no source file is too long", () => {
  const tooLong = SOURCES
    .map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
    .filter(({ path, lines }) =>
      lines > (path.startsWith("tests/") ? TEST_LINES_MAX : FILE_LINES_MAX)
    );
  assertEquals(tooLong, []);
});

Deno.test("no test but the simulation takes unhandled rejections away from the test runner", () => {
  // The runner fails a file that ends with one; the simulation fails its run,
  // and a host, which is another process, the command.
  const places = linesThatMatch(/unhandledrejec[t]ion/)
    .filter((place) => place.startsWith("tests/"))
    .map((place) => place.replace(/:\d+$/, ""));
  assertEquals([...new Set(places)], [
    "tests/helpers/command_host.ts",
    "tests/simulation/watch.ts",
  ]);
});

Deno.test("no work is left over without an issue", () => {
  // Put together, so that this line does not find itself.
  assertEquals(
    linesThatMatch(new RegExp("\\bFIX" + "ME\\b|\\bXX" + "X\\b")),
    [],
  );
  assertEquals(
    linesThatMatch(new RegExp("\\bTO" + "DO\\b(?!\\(#\\d+\\))")),
    [],
  );
});

Deno.test("no text speaks of programs as of people", () => {
  // Put together, so that this line does not find itself.
  const people = ["wh" + "o", "wh" + "om", "wh" + "oever"].concat(
    ["no", "some", "any", "every"].flatMap((each) => [
      `${each}body`,
      `${each}${each === "no" ? " " : ""}one`,
    ]),
  );
  const passive = ["is", "are", "was", "were"].map((each) =>
    `${each} to` + "ld"
  );
  const words = [...people, ...passive].join("|");
  assertEquals(linesThatMatch(new RegExp(`\\b(${words})\\b`, "i")), []);
});

Deno.test("no name is one that was given up for the field's term", () => {
  const names = [
    "Late" + "Requests",
    "late" + "Requests",
    "\\w*[fF]ac" + "ts\\w*",
  ];
  assertEquals(
    linesThatMatch(new RegExp(`\\b(${names.join("|")})\\b`))
      .filter((place) => place.includes(".ts:")),
    [],
  );
});

Deno.test("no file names a machine's own directories", () => {
  const directories = ["root", "work", "home/\\w+", "Users/\\w+"].join("|");
  assertEquals(
    linesThatMatch(new RegExp(`(^|[^\\w.~}/-])/(${directories})/`)),
    [],
  );
});

Deno.test("no program names a package registry", () => {
  const hosts = ["registry\\.", "npmjs\\.", "deb\\.debian", "jsr\\.io"].join(
    "|",
  );
  const named = linesThatMatch(new RegExp(`https?://\\S*(${hosts})`));
  assertEquals(named.filter((place) => !/\.md:/.test(place)), []);
});

Deno.test("every relative link of a page leads to a file", async () => {
  const broken: string[] = [];
  for (const { path, text } of PAGES) {
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const file = join(ROOT, dirname(path), target);
      if (!await exists(file)) broken.push(`${path}: ${target}`);
    }
  }
  assertEquals(broken, []);
});

Deno.test("every example with QEMU says that the disk is raw", () => {
  const examples = FILES.flatMap(({ path, text }) =>
    /^(docs\/|cli\/|README)/.test(path)
      ? (text.replaceAll("\\\n", " ").match(
        /^\W*qemu-(img|io|system-\w+) .*/gm,
      ) ?? []).map((line) => `${path}: ${line.trim()}`)
      : []
  );
  assert(examples.length >= 4, "No example was found");
  const guessing = examples.filter((line) =>
    !/ -f raw\b|[ ,](format|driver)=raw\b/.test(line)
  );
  assertEquals(guessing, []);
});

Deno.test("one version of Deno is named everywhere", () => {
  const versions = FILES.flatMap(({ text }) =>
    Array.from(text.matchAll(/\bdeno@(\d[\w.]*\w)/g), ([, version]) => version)
  );
  assert(versions.length > 0, "No version was found");
  assertEquals([...new Set(versions)], ["2.9.6"]);
});

Deno.test("the demo runs with the permissions of the launcher", () => {
  // The demo runs no programs for events.
  const permissions = /--allow-(?!all|run)[\w=,]+/g;
  const { tasks } = JSON.parse(textOf("deno.json"));
  const ofLauncher = textOf("virstor").match(permissions) ?? [];
  const ofDemo = String(tasks.demo.command).match(permissions) ?? [];
  assert(ofLauncher.length > 0, "No permissions were found");
  assertEquals(ofDemo.toSorted(), ofLauncher.toSorted());
});

Deno.test("whatever is exported is linted as documentation and published", () => {
  const config = JSON.parse(textOf("deno.json"));
  const modules = Object.values<string>(config.exports)
    .map((path) => path.replace("./", "")).toSorted();
  const linted = String(config.tasks["doc:lint"]).match(/\S+\.ts/g) ?? [];
  assertEquals(linted.toSorted(), modules);
  const included: string[] = config.publish.include;
  const left = modules.filter((path) =>
    !included.some((each) => path === each || path.startsWith(each))
  );
  assertEquals(left, []);
});
