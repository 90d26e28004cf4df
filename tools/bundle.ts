/**
 * Makes the package of npm in `dist/`, or in the directory that is given:
 * `deno task bundle`, then `npm pack ./dist`. The program is in few JavaScript files there: commands
 * start faster from them, and Deno runs no TypeScript from a package of npm.
 *
 * @module
 */

import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import config from "../deno.json" with { type: "json" };

/** The programs: what starts, and what a thread runs. */
const MAIN = "cli/main.ts";
const THREAD = "nbd/server/lanes/lane_thread.ts";
/** How the sources name the program of a thread, relative to themselves. */
const THREAD_NAME = '"./lane_thread.ts"';
/** The version of Deno that the package brings along. */
const DENO = "2.9.6";
/** What the package has beside the program. */
const COPIED = ["virstor", "README.md", "CHANGELOG.md", "LICENSE"];

const root = new URL("../", import.meta.url);
const target = pathToFileURL(`${resolve(Deno.args[0] ?? "dist")}/`);

await Deno.remove(target, { recursive: true }).catch(() => {});
await bundle();
await nameThread();
for (const name of COPIED) {
  await Deno.copyFile(new URL(name, root), new URL(name, target));
}
await copyManuals();
await Deno.writeTextFile(
  new URL("package.json", target),
  JSON.stringify(description(), null, 2) + "\n",
);

async function bundle(): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--quiet", "--platform", "deno", "--code-splitting"],
      ...["--config", "deno.json", "--outdir", fileURLToPath(target)],
      ...[MAIN, THREAD],
    ],
    cwd: root,
    stdin: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** All shared files lie in `dist` itself: from there the thread is elsewhere. */
async function nameThread(): Promise<void> {
  let changed = 0;
  for await (const { name } of Deno.readDir(target)) {
    if (!name.endsWith(".js")) continue;
    const file = new URL(name, target);
    const text = await Deno.readTextFile(file);
    if (!text.includes(THREAD_NAME)) continue;
    const path = JSON.stringify(`./${THREAD.replace(/\.ts$/, ".js")}`);
    await Deno.writeTextFile(file, text.replaceAll(THREAD_NAME, path));
    changed++;
  }
  if (changed === 1) return;
  throw new Error(`${changed} files of dist/ name ${THREAD_NAME}, not one`);
}

async function copyManuals(): Promise<void> {
  await Deno.mkdir(new URL("man/", target));
  for await (const { name } of Deno.readDir(new URL("man/", root))) {
    const path = `man/${name}`;
    await Deno.copyFile(new URL(path, root), new URL(path, target));
  }
}

function description(): Record<string, unknown> {
  const { name, version, license } = config;
  return {
    name,
    version,
    description: "Thin-provisioned storage pools on files, served over NBD",
    license,
    type: "module",
    bin: { virstor: "virstor" },
    directories: { man: "man" },
    os: ["linux", "darwin"],
    dependencies: { deno: DENO },
  };
}
