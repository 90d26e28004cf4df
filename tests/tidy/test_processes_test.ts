/**
 * The suite fails when a test fails, and when a program of tests ends before it
 * has counted its tests.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { runTestProcesses } from "../helpers/test_processes.ts";
import { makeScratch } from "../helpers/scratch.ts";

const SOUND = `Deno.test("one", async (t) => {
  await t.step("a step", () => {});
});
Deno.test.ignore("two", () => {});
`;
const UNSOUND = `Deno.test("bad", () => {
  throw new Error("Cannot do that");
});
Deno.test("good", () => {});
`;

/** Runs programs; gives the exit code, the closing line and all the output. */
async function run(programs: Readonly<Record<string, string>>) {
  await using scratch = await makeScratch();
  const args = [];
  for (const [name, source] of Object.entries(programs)) {
    const path = scratch.file(`${name}_test.ts`);
    await Deno.writeTextFile(path, source);
    args.push({ name, args: ["--no-check", "--no-config", path] });
  }
  let output = "";
  const code = await runTestProcesses(args, {
    jobs: 2,
    cwd: scratch.path,
    env: { NO_COLOR: "1" },
    show: (text) => void (output += text),
  });
  return { code, output, closing: output.trimEnd().split("\n").at(-1) ?? "" };
}

Deno.test("the suite counts the tests of all its programs", async () => {
  const { code, closing } = await run({ a: SOUND, b: SOUND });
  assertEquals(code, 0);
  assertMatch(
    closing,
    /^ok \| 2 passed \(2 steps\) \| 0 failed \| 2 ignored \(\d+s\)$/,
  );
});

Deno.test("the suite fails with a test, and says in the end which", async () => {
  const { code, output, closing } = await run({ a: UNSOUND, b: SOUND });
  assertEquals(code, 1);
  assertMatch(
    closing,
    /^FAILED \| 2 passed \(1 steps\) \| 1 failed \| 1 ignored \(\d+s\)$/,
  );
  assertMatch(output, /\n== a, exit code 1\n[^]*Cannot do that[^]*\nFAILED/);
});

Deno.test("the suite fails with a program that ends before its tests", async () => {
  for (const exitCode of [0, 3]) {
    const { code, closing } = await run({ a: `Deno.exit(${exitCode});` });
    assertEquals(code, 1);
    assertMatch(closing, /^FAILED \| 0 passed .* \| 1 failed/);
  }
});
