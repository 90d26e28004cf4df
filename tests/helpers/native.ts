/**
 * Declares tests that need native calls, which `--deny-ffi` forbids. All other
 * tests must pass without native calls, too (`deno task test:no-ffi`).
 *
 * @module
 */

import { type TestFunction, testUnless } from "./peers.ts";

const hasNativeCalls = Deno.build.os === "linux" &&
  Deno.permissions.querySync({ name: "ffi" }).state === "granted";

/** Why a test that needs native calls cannot run, if so. */
export const NO_NATIVE_CALLS: string | undefined = hasNativeCalls
  ? undefined
  : "there are no native calls";

/**
 * Registers a test that needs native calls: without them it is ignored, and
 * said so.
 *
 * @param name The name of the test.
 * @param fn The test.
 */
export function testNatively(
  name: string,
  fn: TestFunction,
): void {
  testUnless(name, NO_NATIVE_CALLS, fn);
}
