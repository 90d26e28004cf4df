/**
 * A file system so small that tests can fill it.
 *
 * @module
 */

import { messageOf } from "../../errors.ts";
import { makeScratch, type Scratch } from "./scratch.ts";

/**
 * Mounts a file system of 2 MiB, until it is disposed of.
 *
 * @param path Where; the directory is made.
 */
export async function mountTiny(path: string): Promise<Scratch> {
  await Deno.mkdir(path);
  const { success, stderr } = await new Deno.Command("mount", {
    args: ["-t", "tmpfs", "-o", "size=2m", "tmpfs", path],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
  return {
    path,
    file: (name) => `${path}/${name}`,
    async [Symbol.asyncDispose](): Promise<void> {
      // Lazily: a test that failed may have left files open.
      await new Deno.Command("umount", { args: ["-l", path] }).output();
    },
  };
}

/** Why file systems cannot be mounted here, if so. */
export async function whyNoMount(): Promise<string | undefined> {
  await using scratch = await makeScratch();
  try {
    await using _tiny = await mountTiny(scratch.file("tiny"));
    return undefined;
  } catch (error) {
    return `file systems cannot be mounted here: ${messageOf(error)}`;
  }
}
