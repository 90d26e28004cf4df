/**
 * Writes the manual pages into `man/` and the units into `contrib/systemd`:
 * `deno task man`.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { COMMANDS } from "../cli/commands/mod.ts";
import { manualPages, systemdUnits, USUAL_PATHS } from "../cli/manuals/mod.ts";
import { formatManual } from "./format_manual.ts";

const directory = new URL("../man/", import.meta.url);
await Deno.mkdir(directory, { recursive: true });
const markdown = await Deno.readTextFile(
  new URL("../docs/format.md", import.meta.url),
);
const pages = new Map([
  ...manualPages(COMMANDS, config.version),
  ["virstor.5", formatManual(markdown, config.version)],
]);
for await (const { name } of Deno.readDir(directory)) {
  if (!pages.has(name)) await Deno.remove(new URL(name, directory));
}
for (const [name, text] of pages) {
  await Deno.writeTextFile(new URL(name, directory), text);
}
for (const [name, text] of systemdUnits(USUAL_PATHS)) {
  const path = new URL(`../contrib/systemd/${name}`, import.meta.url);
  await Deno.writeTextFile(path, text);
}
