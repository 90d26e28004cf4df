/**
 * What we use of `@std/fs`. Runs against the real package too, with
 * `deno task test:jsr`.
 *
 * @module
 */
import { assertEquals, assertRejects } from "@std/assert";
import { emptyDir, ensureDir, ensureFile, exists, walk } from "@std/fs";
import { join, relative } from "node:path";

async function withDirectory(
  run: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "virstor-std-" });
  try {
    await run(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("ensureDir() makes directories, and takes those that exist", () =>
  withDirectory(async (directory) => {
    const path = join(directory, "a", "b");
    await ensureDir(path);
    await ensureDir(path);
    assertEquals((await Deno.stat(path)).isDirectory, true);
  }));

Deno.test("ensureDir() refuses a file", () =>
  withDirectory(async (directory) => {
    const path = join(directory, "file");
    await Deno.writeTextFile(path, "");
    await assertRejects(() => ensureDir(path), Error, "expected 'dir'");
  }));

Deno.test("ensureFile() keeps the content of a file that exists", () =>
  withDirectory(async (directory) => {
    const path = join(directory, "a", "file");
    await ensureFile(path);
    await Deno.writeTextFile(path, "kept");
    await ensureFile(path);
    assertEquals(await Deno.readTextFile(path), "kept");
    await assertRejects(() => ensureFile(directory), Error, "expected 'file'");
  }));

Deno.test("emptyDir() removes what is in it, not itself", () =>
  withDirectory(async (directory) => {
    await ensureFile(join(directory, "full", "below", "file"));
    await emptyDir(join(directory, "full"));
    assertEquals(
      await Array.fromAsync(Deno.readDir(directory), (e) => e.name),
      [
        "full",
      ],
    );
    assertEquals(
      await Array.fromAsync(Deno.readDir(join(directory, "full"))),
      [],
    );
  }));

Deno.test("exists() tells files from directories, and both from nothing", () =>
  withDirectory(async (directory) => {
    const path = join(directory, "file");
    assertEquals(await exists(path), false);
    await Deno.writeTextFile(path, "");
    assertEquals(await exists(path), true);
    assertEquals(await exists(path, { isFile: true, isReadable: true }), true);
    assertEquals(await exists(path, { isDirectory: true }), false);
    assertEquals(await exists(directory, { isDirectory: true }), true);
    const both = { isFile: true, isDirectory: true };
    await assertRejects(() => exists(path, both), TypeError);
  }));

Deno.test("walk() lists what is below, as far down as asked", () =>
  withDirectory(async (directory) => {
    await ensureFile(join(directory, "a", "b", "deep.ts"));
    await ensureFile(join(directory, "a", "near.md"));
    await Deno.symlink(
      join(directory, "a", "near.md"),
      join(directory, "link"),
    );
    const list = async (options?: Parameters<typeof walk>[1]) =>
      (await Array.fromAsync(
        walk(directory, options),
        (entry) => relative(directory, entry.path),
      )).sort();
    assertEquals(await list(), [
      "",
      "a",
      "a/b",
      "a/b/deep.ts",
      "a/near.md",
      "link",
    ]);
    assertEquals(await list({ maxDepth: 1 }), ["", "a", "link"]);
    assertEquals(await list({ includeDirs: false, includeSymlinks: false }), [
      "a/b/deep.ts",
      "a/near.md",
    ]);
    assertEquals(await list({ includeFiles: false, skip: [/\/b$/] }), [
      "",
      "a",
      "link",
    ]);
    assertEquals(await list({ exts: [".md"] }), ["a/near.md"]);
    assertEquals(await list({ exts: [".md"], followSymlinks: true }), [
      "a/near.md",
      "a/near.md",
    ]);
  }));
