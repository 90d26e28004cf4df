/**
 * `parseArgs` as our commands use it, its surprises too. Runs against the real
 * package as well, with `deno task test:jsr`: what is said here is true of both.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { parseArgs } from "@std/cli";
import { parseArgs as sameParseArgs } from "@std/cli/parse-args";

Deno.test("parseArgs() is found under both names", () => {
  assertEquals(sameParseArgs(["-v"]), parseArgs(["-v"]));
});

Deno.test("parseArgs() takes a value after a space and after an equal sign", () => {
  const options = { string: ["size", "s"] } as const;
  assertEquals(parseArgs(["--size", "10G"], options).size, "10G");
  assertEquals(parseArgs(["--size=10G"], options).size, "10G");
  assertEquals(parseArgs(["-s", "10G"], options).s, "10G");
  assertEquals(parseArgs(["-s=10G"], options).s, "10G");
  assertEquals(parseArgs(["-s10"], options).s, "10");
});

Deno.test("parseArgs() takes -s10G for four letters", () => {
  const { _, ...flags } = parseArgs(["-s10G"], { string: ["s"] });
  assertEquals({ ...flags }, { s: "", 1: true, 0: true, G: true });
});

Deno.test("parseArgs() takes letters together, the last one with a value", () => {
  const flags = parseArgs(["-vfs", "10G", "pool"], {
    boolean: ["v", "f"],
    string: ["s"],
  });
  assertEquals({ ...flags }, { v: true, f: true, s: "10G", _: ["pool"] });
});

Deno.test("parseArgs() leaves what follows a boolean alone", () => {
  const flags = parseArgs(["--json", "demo", "-v", "more"], {
    boolean: ["json", "v"],
  });
  assertEquals({ ...flags }, { json: true, v: true, _: ["demo", "more"] });
});

Deno.test("parseArgs() gives false for booleans that are not given", () => {
  const flags = parseArgs([], { boolean: ["force"], string: ["size"] });
  const force: boolean = flags.force;
  const size: string | undefined = flags.size;
  assertEquals([force, size], [false, undefined]);
});

Deno.test("parseArgs() takes true and false after a boolean", () => {
  const options = { boolean: ["json"] } as const;
  assertEquals(parseArgs(["--json", "false"], options).json, false);
  assertEquals(parseArgs(["--json=false"], options).json, false);
  assertEquals(parseArgs(["--json=true"], options).json, true);
});

Deno.test("parseArgs() keeps a string that has no value empty", () => {
  const options = { string: ["size"], boolean: ["v"] } as const;
  assertEquals(parseArgs(["--size"], options).size, "");
  const flags = parseArgs(["--size", "-v"], options);
  assertEquals({ ...flags }, { size: "", v: true, _: [] });
});

Deno.test("parseArgs() sets all names of an option", () => {
  const flags = parseArgs(["-h"], {
    boolean: ["help"],
    alias: { help: ["h", "?"] },
  });
  assertEquals({ ...flags }, { help: true, h: true, "?": true, _: [] });
});

Deno.test("parseArgs() makes numbers, but not of strings", () => {
  const flags = parseArgs(["--port", "10809", "--name", "007", "12"], {
    string: ["name"],
  });
  assertEquals({ ...flags }, { port: 10809, name: "007", _: [12] });
  assertEquals(parseArgs(["12"], { string: ["_"] })._, ["12"]);
});

Deno.test("parseArgs() collects what is given again", () => {
  const options = {
    string: ["component"],
    collect: ["component"],
  } as const;
  const flags = parseArgs(["--component", "a", "--component=b"], options);
  const components: string[] = flags.component;
  assertEquals(components, ["a", "b"]);
  assertEquals(parseArgs([], options).component, []);
});

Deno.test("parseArgs() takes the last of what is given again otherwise", () => {
  const flags = parseArgs(["--size=1G", "--size=2G"], { string: ["size"] });
  assertEquals(flags.size, "2G");
});

Deno.test("parseArgs() negates only what may be negated", () => {
  const flags = parseArgs(["--no-color", "--no-size"], {
    boolean: ["color"],
    negatable: ["color"],
    default: { color: true },
  });
  assertEquals({ ...flags }, { color: false, "no-size": true, _: [] });
});

Deno.test("parseArgs() puts in defaults", () => {
  const options = { string: ["on-full"], default: { "on-full": "delay" } };
  const waits: unknown = parseArgs([], options)["on-full"];
  assertEquals(waits, "delay");
  assertEquals(parseArgs(["--on-full", "error"], options)["on-full"], "error");
});

Deno.test("parseArgs() parses nothing after two dashes", () => {
  assertEquals(parseArgs(["a", "--", "-v", "5"])._, ["a", "-v", "5"]);
  const flags = parseArgs(["a", "--", "-v"], { "--": true });
  assertEquals({ ...flags }, { _: ["a"], "--": ["-v"] });
});

Deno.test("parseArgs() stops at the first argument if asked to", () => {
  const flags = parseArgs(["-v", "label", "-s", "10G"], {
    boolean: ["v"],
    stopEarly: true,
  });
  assertEquals({ ...flags }, { v: true, _: ["label", "-s", "10G"] });
});

Deno.test("parseArgs() tells what it does not know, and leaves it out", () => {
  const unknown: unknown[][] = [];
  const flags = parseArgs(["--size", "1G", "pool", "--colour=red", "-x"], {
    string: ["size"],
    unknown: (arg, key, value) => {
      unknown.push([arg, key, value]);
      return key === undefined;
    },
  });
  assertEquals({ ...flags }, { size: "1G", _: ["pool"] });
  assertEquals(unknown.map(([arg, key]) => [arg, key]), [
    ["pool", undefined],
    ["--colour=red", "colour"],
    ["-x", "x"],
  ]);
});

Deno.test("parseArgs() takes a single dash for an argument", () => {
  assertEquals(parseArgs(["-", "a"])._, ["-", "a"]);
});
