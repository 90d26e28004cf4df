/**
 * The manual pages are those of the tables of commands, and sound.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { join } from "node:path";
import config from "../../deno.json" with { type: "json" };
import { COMMANDS } from "../../cli/commands/command_table.ts";
import { manualPages } from "../../cli/manuals/man_pages.ts";
import { hasPeer, testUnless } from "../helpers/peers.ts";
import { formatManual } from "../../tools/format_manual.ts";
import { ROOT } from "./files.ts";

const FORMAT = await Deno.readTextFile(join(ROOT, "docs/format.md"));
const PAGES = new Map([
  ...manualPages(COMMANDS, config.version),
  ["virstor.5", formatManual(FORMAT, config.version)],
]);
const DIRECTORY = join(ROOT, "man");

Deno.test('the pages in man/ are those that "deno task man" writes', async () => {
  const entries = await Array.fromAsync(Deno.readDir(DIRECTORY));
  const names = entries.map(({ name }) => name);
  assertEquals(names.toSorted(), [...PAGES.keys()].toSorted());
  for (const [name, text] of PAGES) {
    assertEquals(await Deno.readTextFile(join(DIRECTORY, name)), text);
  }
});

/** What a program says about the pages. */
async function said(program: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await new Deno.Command(program, {
    args: [...args, ...[...PAGES.keys()].map((name) => join(DIRECTORY, name))],
    stdout: "piped",
    stderr: "piped",
  }).output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

testUnless(
  "groff formats every page without a warning",
  hasPeer("groff") ? undefined : '"groff" not installed',
  async () => assertEquals(await said("groff", "-man", "-ww", "-z"), ""),
);

testUnless(
  "mandoc finds nothing wrong with any page",
  hasPeer("mandoc") ? undefined : '"mandoc" not installed',
  async () => {
    // Pages of other packages may not be installed.
    const found = await said("mandoc", "-Tlint", "-Wstyle");
    const lines = found.split("\n").filter((line) =>
      line !== "" && !line.includes("referenced manual not found")
    );
    assertEquals(lines, []);
  },
);
