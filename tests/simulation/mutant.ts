/**
 * Copies of the program with a fault that was mended, for the simulation to
 * find: it runs in a process of its own, on the copy.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { dirname, join } from "node:path";
import { ROOT } from "../tidy/files.ts";

/** What the simulation needs. */
const NEEDED: readonly string[] = [
  "deno.json",
  "errors.ts",
  "device",
  "metadata",
  "pool",
  "std",
  "tests/helpers",
  "tests/simulation",
];

/** A change of the source text. */
export interface Mutation {
  /** The file, from the root. */
  readonly file: string;
  /** Text that is there exactly once. */
  readonly from: string;
  /** What stands there instead. */
  readonly to: string;
}

/**
 * Runs the simulation on a copy of the program.
 *
 * @param mutations What is different in it.
 * @param args Arguments of the program.
 * @param program The program in `tests/simulation`: that of
 *   `deno task simulate` unless given.
 * @returns The exit code, and what was printed.
 */
export async function simulateMutant(
  mutations: readonly Mutation[],
  args: readonly string[],
  program = "simulate.ts",
): Promise<{ code: number; output: string }> {
  const directory = await Deno.makeTempDir({ prefix: "virstor-mutant-" });
  try {
    for (const path of NEEDED) await copy(path, directory);
    for (const mutation of mutations) await mutate(mutation, directory);
    const command = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-check",
        "--allow-all",
        `tests/simulation/${program}`,
        ...args,
      ],
      cwd: directory,
      stdin: "null",
    });
    const { code, stdout, stderr } = await command.output();
    const decoder = new TextDecoder();
    return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function copy(path: string, directory: string): Promise<void> {
  const from = join(ROOT, path);
  const to = join(directory, path);
  if (!(await Deno.stat(from)).isDirectory) {
    await Deno.mkdir(dirname(to), { recursive: true });
    await Deno.copyFile(from, to);
    return;
  }
  for await (const { name } of Deno.readDir(from)) {
    await copy(`${path}/${name}`, directory);
  }
}

async function mutate(
  { file, from, to }: Mutation,
  directory: string,
): Promise<void> {
  const path = join(directory, file);
  const parts = (await Deno.readTextFile(path)).split(from);
  assertEquals(parts.length, 2, `${file} has this once: ${from}`);
  await Deno.writeTextFile(path, parts.join(to));
}
