/**
 * The files of this repository, for the tests that read them.
 *
 * @module
 */
import { walk } from "@std/fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The root of the checkout. */
export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));

/** A text file. */
export interface TextFile {
  /** Its path from the root, with slashes. */
  readonly path: string;
  /** What it says. */
  readonly text: string;
}

/** Not ours, made by a run, or none of a reader's business. */
const SKIPPED = /[/\\](\.git|node_modules|coverage|demo-pool|dist)$/;

/** Text by its ending, and the programs that have none. */
const TEXT = /(\.(ts|md|json|yml|html|css|js)|\/virstor|\/\.ci\/run)$/;

/** Reads all text files of the repository. */
export async function readTextFiles(): Promise<TextFile[]> {
  const entries = await Array.fromAsync(
    walk(ROOT, { includeDirs: false, match: [TEXT], skip: [SKIPPED] }),
  );
  return await Promise.all(entries.map(async ({ path }) => ({
    path: relative(ROOT, path).replaceAll("\\", "/"),
    text: await Deno.readTextFile(path),
  })));
}
