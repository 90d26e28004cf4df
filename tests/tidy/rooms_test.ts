/**
 * Goal: the code stays a house with rooms. Method: the folders and imports of
 * all layers are read as they are.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { dirname, join } from "node:path/posix";
import { ROOMS } from "../../tools/lint_plugin.ts";
import { readTextFiles, type TextFile } from "./files.ts";

const LAYER = /^(device|metadata|pool|nbd|cli)\//;
const IMPORT = /(?:from|import\()\s*"(\.{1,2}\/[^"]+\.ts)"/g;

async function readLayers(): Promise<TextFile[]> {
  const files = await readTextFiles();
  return files.filter(({ path }) => LAYER.test(path) && path.endsWith(".ts"));
}

Deno.test("every folder of a layer is in the list of rooms, and has a door", async () => {
  const paths = (await readLayers()).map(({ path }) => path);
  const folders = new Set(paths.map((path) => dirname(path)));
  assertEquals([...folders].sort(), [...ROOMS].sort());
  // The command line is a program: nothing imports it.
  const doors = ROOMS.filter((room) => room !== "cli");
  for (const room of doors) assert(paths.includes(`${room}/mod.ts`), room);
});

Deno.test("no file imports itself by way of others", async () => {
  const files = await readLayers();
  const imports = new Map(files.map(({ path, text }) => [
    path,
    [...text.matchAll(IMPORT)].map(([, target]) =>
      join(dirname(path), target ?? "")
    ),
  ]));
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): void => {
    assert(!way.includes(path), [...way, path].join(" imports "));
    if (done.has(path)) return;
    for (const target of imports.get(path) ?? []) visit(target, [...way, path]);
    done.add(path);
  };
  for (const { path } of files) visit(path, []);
});
