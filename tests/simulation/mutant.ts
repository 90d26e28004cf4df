/**
 * The program with a fault that was mended, for the simulation to find: it runs
 * in a process of its own, with copies of the files that differ.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import config from "../../deno.json" with { type: "json" };
import { ROOT } from "../tidy/files.ts";

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
 * Runs the simulation on the program with other text in some of its files.
 *
 * @param mutations What is different.
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
    const files = await mutate(mutations, directory);
    const map = join(directory, "import_map.json");
    await Deno.writeTextFile(map, JSON.stringify(mapOf(files, directory)));
    const command = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-check", "--allow-all"],
        ...["--import-map", map, `tests/simulation/${program}`],
        ...args,
      ],
      cwd: ROOT,
      stdin: "null",
    });
    const { code, stdout, stderr } = await command.output();
    const decoder = new TextDecoder();
    return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/**
 * An import map that puts the mutated files in the place of their originals.
 * The runtime keeps all other files compiled, from one mutant to the next.
 */
function mapOf(
  files: readonly string[],
  directory: string,
): { imports: Record<string, string> } {
  const { href: root } = pathToFileURL(ROOT);
  const mutated = `${pathToFileURL(directory)}/`;
  const imports: Record<string, string> = { ...config.imports };
  // What a mutated file imports, relative to itself, is an original,
  imports[mutated] = root;
  for (const file of files) {
    imports[root + file] = mutated + file;
    // unless it is mutated, too.
    imports[mutated + file] = mutated + file;
  }
  return { imports };
}

/** Writes the mutated files, below a directory; returns which they are. */
async function mutate(
  mutations: readonly Mutation[],
  directory: string,
): Promise<string[]> {
  const texts = new Map<string, string>();
  for (const { file, from, to } of mutations) {
    const text = texts.get(file) ?? await Deno.readTextFile(join(ROOT, file));
    const parts = text.split(from);
    assertEquals(parts.length, 2, `${file} has this once: ${from}`);
    texts.set(file, parts.join(to));
  }
  for (const [file, text] of texts) {
    const path = join(directory, file);
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeTextFile(path, text);
  }
  return [...texts.keys()];
}
