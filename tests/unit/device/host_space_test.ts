/**
 * The space of the file system under a file.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { hostSpaceAt } from "../../../device/file/mod.ts";

const root = await hostSpaceAt("/");

Deno.test("space that a file system does not count is unknown", {
  ignore: root === undefined, // Without native calls all is.
}, async () => {
  assert(root !== undefined && root.totalBytes > 0);
  // Zero bytes free of zero, as of some FUSE file systems.
  assertEquals(await hostSpaceAt("/proc"), undefined);
});
