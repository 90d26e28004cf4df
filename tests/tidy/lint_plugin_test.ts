/**
 * Our lint rules, each with what it must find and what it must leave alone.
 *
 * @module
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import plugin from "../../tools/lint_plugin.ts";
import { ROOT } from "./files.ts";

/** What the rules say of a file: the names of those that were broken. */
function broken(path: string, source: string): string[] {
  return diagnose(path, source).map(({ id }) => id.replace("virstor/", ""));
}

function diagnose(path: string, source: string): Deno.lint.Diagnostic[] {
  return Deno.lint.runPlugin(plugin, join(ROOT, path), source);
}

Deno.test("layers: imports to the left and of the own layer are allowed", () => {
  for (
    const [path, specifier] of [
      ["device/file/file_device.ts", "../../errors.ts"],
      ["device/file/file_device.ts", "./file_runs.ts"],
      ["nbd/server/server.ts", "../../device/mod.ts"],
      ["cli/commands/serve.ts", "../../nbd/mod.ts"],
      ["cli/commands/serve.ts", "@std/cli"],
      ["cli/main.ts", "../deno.json"],
      ["device/file/file_device.ts", "node:fs"],
      ["tests/unit/pool_test.ts", "../../nbd/mod.ts"],
      ["mod.ts", "./nbd/mod.ts"],
    ] as const
  ) {
    assertEquals(broken(path, `import x from "${specifier}";`), [], path);
  }
});

Deno.test("layers: imports to the right are found", () => {
  for (
    const [path, specifier] of [
      ["errors.ts", "./device/mod.ts"],
      ["device/file/file_device.ts", "../../metadata/mod.ts"],
      ["metadata/mod.ts", "../pool/mod.ts"],
      ["pool/pool.ts", "../nbd/mod.ts"],
      ["nbd/server/server.ts", "../../cli/terminal/mod.ts"],
      ["nbd/server/server.ts", "../../pool/mod.ts"],
      ["cli/commands/serve.ts", "../../mod.ts"],
      ["pool/pool.ts", "../mod.ts"],
      ["pool/pool.ts", "../tests/helpers/peers.ts"],
      ["pool/pool.ts", "../deno.json"],
    ] as const
  ) {
    assertEquals(
      broken(path, `import x from "${specifier}";`)[0],
      "layers",
      path,
    );
  }
});

Deno.test("rooms: doors, and rooms below, may be imported", () => {
  for (
    const [path, specifier] of [
      ["pool/io/reads.ts", "./first_writes.ts"],
      ["pool/io/reads.ts", "../core/mod.ts"],
      ["pool/io/reads.ts", "../../device/block/mod.ts"],
      ["pool/open.ts", "./format/native/mod.ts"],
      ["pool/label/clear.ts", "../format/native/mod.ts"],
      ["pool/mod.ts", "./pool.ts"],
      ["nbd/mod.ts", "./server/mod.ts"],
      ["tests/unit/pool/pool_test.ts", "../../../pool/io/reads.ts"],
    ] as const
  ) {
    assertEquals(broken(path, `import x from "${specifier}";`), [], path);
  }
});

Deno.test("rooms: walls, and rooms above, are found", () => {
  for (
    const [path, specifier, words] of [
      ["pool/pool.ts", "./io/reads.ts", "inside another room"],
      ["pool/io/reads.ts", "../core/health.ts", "inside another room"],
      ["pool/core/health.ts", "../io/mod.ts", "stands before"],
      ["pool/io/reads.ts", "../change/mod.ts", "stands before"],
      ["pool/io/reads.ts", "../mod.ts", "stands before"],
      ["device/linux/native_io.ts", "../file/mod.ts", "stands before"],
      ["cli/main.ts", "../device/file/files.ts", "inside another room"],
      ["pool/change/resize.ts", "../format/native/mod.ts", "may"],
      ["pool/attic/x.ts", "../core/mod.ts", "is no room"],
    ] as const
  ) {
    const found = diagnose(path, `import x from "${specifier}";`);
    assertEquals(found.map(({ id }) => id), ["virstor/rooms"], path);
    assertStringIncludes(found[0]?.message ?? "", words);
  }
});

Deno.test("native-calls: made in one room, those of sockets in three", () => {
  const rule = ["native-calls"];
  const call = 'Deno.dlopen("libc.so.6", {});';
  assertEquals(broken("device/linux/native_x.ts", call), []);
  assertEquals(broken("device/file/files.ts", call), rule);
  assertEquals(broken("cli/serve/memory.ts", call), rule);
  assertEquals(broken("tests/unit/x_test.ts", call), []);
  const sockets = "import { NativeSockets } from ";
  const door = '"../../../device/linux/mod.ts";';
  assertEquals(broken("nbd/server/lanes/lane.ts", sockets + door), []);
  assertEquals(
    broken("nbd/server/transmission/reads.ts", sockets + door),
    rule,
  );
});

Deno.test("layers: every form of import is looked at", () => {
  for (
    const source of [
      'import type { X } from "../nbd/mod.ts";',
      'import "../nbd/mod.ts";',
      'export { x } from "../nbd/mod.ts";',
      'export * from "../nbd/mod.ts";',
      'const x = await import("../nbd/mod.ts");',
    ]
  ) {
    assertEquals(broken("pool/pool.ts", source), ["layers"], source);
  }
});

Deno.test("layers: only built-in modules come from outside", () => {
  const source = 'import { exists } from "@std/fs";';
  assertEquals(broken("device/file/file_device.ts", source), ["layers"]);
  assertEquals(broken("nbd/a.ts", 'import x from "npm:x@1";'), ["layers"]);
  assertEquals(broken("cli/a.ts", 'import x from "npm:x@1";'), ["layers"]);
});

Deno.test("layers: the pool and its metadata touch no file", () => {
  const source = 'import { openSync } from "node:fs";';
  assertEquals(broken("pool/pool.ts", source), ["layers"]);
  assertEquals(broken("metadata/freebsd/label.ts", source), ["layers"]);
  const [diagnostic] = diagnose("pool/pool.ts", source);
  assertStringIncludes(diagnostic?.message ?? "", "use a device");
});

Deno.test("function-length: 70 lines are the most", () => {
  const lines = (count: number): string => "\n".repeat(count - 1);
  const rule = ["function-length"];
  assertEquals(broken("a.ts", `function f() {${lines(70)}}`), []);
  assertEquals(broken("a.ts", `function f() {${lines(71)}}`), rule);
  assertEquals(broken("a.ts", `class A { m() {${lines(71)}} }`), rule);
  assertEquals(broken("a.ts", `run(() => {${lines(71)}});`), rule);
});

Deno.test("private-members: the keyword is found, # is not", () => {
  assertEquals(
    broken("a.ts", "class A { #x = 1; #m() {} readonly y = 2; }"),
    [],
  );
  assertEquals(broken("a.ts", "class A { private constructor() {} }"), []);
  assertEquals(broken("a.ts", "class A { private x = 1; }"), [
    "private-members",
  ]);
  assertEquals(broken("a.ts", "class A { private m() {} }"), [
    "private-members",
  ]);
});

Deno.test("top-level-functions: arrows are for the inside of functions", () => {
  const rule = ["top-level-functions"];
  assertEquals(broken("a.ts", "export const f = () => 1;"), rule);
  assertEquals(broken("a.ts", "const f = async () => {};"), rule);
  assertEquals(broken("a.ts", "function f() { const g = () => 1; }"), []);
  assertEquals(broken("a.ts", "export const list = [() => 1];"), []);
});

Deno.test("error-messages: capital, no period, no contractions, one line", () => {
  const rule = ["error-messages"];
  const check = (expression: string): string[] =>
    broken("pool/a.ts", `throw new ${expression};`);
  assertEquals(
    check('VirstorError("io", "Cannot read label: it is short")'),
    [],
  );
  assertEquals(check("VirstorError('io', `Cannot read ${path}`)"), []);
  assertEquals(check("VirstorError('io', `${path} is short`)"), []);
  assertEquals(check('VirstorError("io", "cannot read label")'), rule);
  assertEquals(check('VirstorError("io", "Cannot read label.")'), rule);
  assertEquals(check("RangeError(`Can't read ${path}`)"), rule);
  assertEquals(check('TypeError("Two\\nlines")'), rule);
  assertEquals(
    broken("tests/a_test.ts", 'throw new TypeError("boom.");'),
    [],
    "Tests may make up what they like",
  );
});

Deno.test("joined-parts: parts of requests end together", () => {
  const source = "await Promise.all(parts);";
  for (const path of ["device/x.ts", "pool/io/x.ts", "nbd/x.ts"]) {
    assertEquals(broken(path, source), ["joined-parts"], path);
    assertEquals(broken(path, "await Promise.allSettled(parts);"), [], path);
  }
  for (const path of ["cli/x.ts", "tests/x_test.ts", "errors.ts"]) {
    assertEquals(broken(path, source), [], path);
  }
});

Deno.test("request-ends: what becomes of a request to a disk is looked at", () => {
  for (
    const disk of ["device", "this.#far", "one.device", "this.#first.device"]
  ) {
    const check = (source: string) =>
      broken("pool/io/x.ts", source.replace("DISK", disk));
    assertEquals(check("DISK.read(bytes, 0);"), ["request-ends"], disk);
    assertEquals(check("DISK.flush();"), ["request-ends"], disk);
    assertEquals(check("finished(DISK.read(bytes, 0));"), [], disk);
    assertEquals(check("await DISK.write(bytes, 0);"), [], disk);
  }
  assertEquals(broken("pool/io/x.ts", "journal.read(bytes, 0);"), []);
  assertEquals(broken("tests/x_test.ts", "device.read(bytes, 0);"), []);
});
