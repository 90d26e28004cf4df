/**
 * Writes the manual pages into `man/`: `deno task man`.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { COMMANDS } from "../cli/commands/mod.ts";
import { manualPages } from "../cli/manuals/mod.ts";

const directory = new URL("../man/", import.meta.url);
await Deno.mkdir(directory, { recursive: true });
const pages = manualPages(COMMANDS, config.version);
for await (const { name } of Deno.readDir(directory)) {
  if (!pages.has(name)) await Deno.remove(new URL(name, directory));
}
for (const [name, text] of pages) {
  await Deno.writeTextFile(new URL(name, directory), text);
}
