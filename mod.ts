/**
 * virstor: thin-provisioned storage pools in user space, served over NBD.
 *
 * A pool maps a large virtual disk, chunk by chunk and only when a chunk is
 * first written, onto component files or block devices.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { labelPool, openPool } from "@virstor/virstor";
 *
 * const directory = await Deno.makeTempDir();
 * const paths = [`${directory}/a.img`];
 * await labelPool({ name: "demo", paths, createSize: 2 ** 26 });
 * {
 *   await using pool = await openPool(paths);
 *   const volume = pool.volume();
 *   await volume.write(new TextEncoder().encode("Hello"), 2 ** 30);
 *   await volume.flush();
 *   assertEquals(pool.status().usedChunks, 1);
 * }
 * await Deno.remove(directory, { recursive: true });
 * ```
 *
 * @module
 */

export { AssertionError, VirstorError } from "./errors.ts";
export type { ErrorCode } from "./errors.ts";
export * from "./device/mod.ts";
export * from "./pool/mod.ts";
export * from "./nbd/mod.ts";
