/**
 * Tests of what is refused: the message, the exit code, and that no file has
 * changed.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { readAt } from "../helpers/freebsd_raw.ts";
import { Workspace } from "../helpers/virstor.ts";

/** What is compared of each end of a file: labels, maps and tables, bytes. */
const END_SIZE = 256 * 1024;
/** The superblocks at a component's end, bytes: opening a pool writes them. */
const SUPERBLOCKS_SIZE = 2 * 65_536;
const UUID = /[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g;

/** What is refused. */
export interface Refusal {
  /** In words: "virstor refuses ...". */
  readonly what: string;
  /** Prepares more than the pool "demo" of the files a and b. */
  prepare?(work: Workspace): unknown;
  /** Refused only once the pool is open: its superblocks are written. */
  readonly isOpened?: boolean;
  /** What is typed. */
  readonly args: readonly string[];
  /** The exit code. */
  readonly code: number;
  /** The message, with `~` for the workspace, ID for an id. */
  readonly message: string;
}

/**
 * Makes a test of each.
 *
 * @param format The format of the pool "demo" of the files a and b.
 * @param refusals What is refused.
 */
export function testRefusals(
  format: string,
  refusals: readonly Refusal[],
): void {
  for (const refusal of refusals) {
    const { what, prepare, args, code, message } = refusal;
    const left = refusal.isOpened === true ? SUPERBLOCKS_SIZE : 0;
    Deno.test(`virstor refuses ${what} (${format})`, async () => {
      await using work = await Workspace.create();
      const options = ["--format", format, "-s", "1G", "--create", "64M"];
      await work.succeed(["label", ...options, "demo", "a", "b"]);
      await prepare?.(work);
      const before = await filesOf(work.directory, left);
      const { stderr, ...result } = await work.run(args);
      const said = stderr.replaceAll(work.directory, "~").replace(UUID, "ID")
        .replace(/ids \d+ and \d+/, "ids ID and ID");
      assertEquals(
        { ...result, stderr: said },
        { code, stdout: "", stderr: `virstor: ${message}\n` },
      );
      assertEquals(await filesOf(work.directory, left), before);
    });
  }
}

/**
 * The files of a directory, with what tells whether they were written: they
 * are sparse, so their blocks tell it of all but the two ends.
 */
async function filesOf(
  directory: string,
  left: number,
): Promise<Record<string, unknown>> {
  const files: Record<string, unknown> = {};
  for await (const { name, isFile } of Deno.readDir(directory)) {
    if (!isFile) continue;
    const path = `${directory}/${name}`;
    const { size, blocks } = await Deno.stat(path);
    files[name] = {
      size,
      blocks,
      head: readAt(path, 0, END_SIZE),
      tail: readAt(path, Math.max(0, size - END_SIZE), END_SIZE - left),
    };
  }
  return files;
}
