/**
 * All that lies below a directory.
 *
 * @module
 */
import { basename, join, normalize } from "node:path";
import { pathOf } from "./directories.ts";

/** What to list, and how far down. */
export interface WalkOptions {
  /** How many levels down; 0 is the directory itself. Without limit. */
  maxDepth?: number;
  /** List files. Default: true. */
  includeFiles?: boolean;
  /** List directories, the first one too. Default: true. */
  includeDirs?: boolean;
  /** List links that are not followed. Default: true. */
  includeSymlinks?: boolean;
  /** Go on through links. Default: false. */
  followSymlinks?: boolean;
  /** Only files whose path ends so. */
  exts?: string[];
  /** Only paths that match one of these. */
  match?: RegExp[];
  /** No paths that match one of these, and nothing below them. */
  skip?: RegExp[];
}

/** A file, directory or link that was found. */
export interface WalkEntry extends Deno.DirEntry {
  /** Its path, beginning with that of the walk's root. */
  path: string;
}

/** All that lies below `root`, a directory before what is in it. */
export async function* walk(
  root: string | URL,
  options: WalkOptions = {},
): AsyncIterableIterator<WalkEntry> {
  const path = normalize(pathOf(root));
  const { isFile, isDirectory, isSymlink } = await Deno.stat(path);
  const entry = { path, name: basename(path), isFile, isDirectory, isSymlink };
  yield* walkFrom(entry, options, options.maxDepth ?? Infinity);
}

async function* walkFrom(
  directory: WalkEntry,
  options: WalkOptions,
  depth: number,
): AsyncIterableIterator<WalkEntry> {
  if (depth < 0) return;
  if ((options.includeDirs ?? true) && included(directory.path, options)) {
    yield directory;
  }
  if (depth < 1 || skipped(directory.path, options)) return;
  for await (const found of Deno.readDir(directory.path)) {
    const entry = { ...found, path: join(directory.path, found.name) };
    const target = found.isSymlink ? await followed(entry, options) : entry;
    if (target === undefined) {
      if (
        (options.includeSymlinks ?? true) && included(entry.path, options)
      ) yield entry;
    } else if (target.isDirectory) {
      yield* walkFrom(target, options, depth - 1);
    } else if (
      (options.includeFiles ?? true) && included(target.path, options)
    ) {
      yield target;
    }
  }
}

/** What a link leads to, or nothing if it is to be listed as a link. */
async function followed(
  link: WalkEntry,
  options: WalkOptions,
): Promise<WalkEntry | undefined> {
  if (!options.followSymlinks) return undefined;
  const path = await Deno.realPath(link.path);
  const { isFile, isDirectory, isSymlink } = await Deno.lstat(path);
  return { path, name: link.name, isFile, isDirectory, isSymlink };
}

function included(path: string, options: WalkOptions): boolean {
  const { exts, match } = options;
  if (exts !== undefined && !exts.some((ext) => path.endsWith(ext))) {
    return false;
  }
  if (match !== undefined && !match.some((wanted) => wanted.test(path))) {
    return false;
  }
  return !skipped(path, options);
}

function skipped(path: string, options: WalkOptions): boolean {
  return options.skip?.some((unwanted) => unwanted.test(path)) ?? false;
}
