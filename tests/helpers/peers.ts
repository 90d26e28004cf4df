/**
 * Declares tests that need a peer: a program that may not be installed, or a
 * property of the machine.
 *
 * Without its peer such a test counts as ignored and says so on standard error;
 * where `VIRSTOR_REQUIRE_PEERS` is 1, as in `.ci/run`, it fails.
 *
 * @module
 */
import { fail } from "@std/assert";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Debian keeps `mkfs.ext4` and `nbd-client` where users do not look. */
const SYSTEM_DIRECTORIES = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** A test, as `Deno.test` takes it. */
export type TestFunction = (
  context: Deno.TestContext,
) => void | Promise<void>;

/**
 * Finds a program.
 *
 * @param name The program, e.g. `qemu-img`.
 * @returns Its path, or nothing if it is not installed. To be used for running
 *   it, because it may not be on the search path.
 */
export function peerPath(name: string): string | undefined {
  const searched = (Deno.env.get("PATH") ?? "").split(delimiter)
    .filter((directory) => directory !== "");
  return [...searched, ...SYSTEM_DIRECTORIES]
    .map((directory) => join(directory, name))
    .find(isExecutable);
}

/**
 * Whether a program is installed.
 *
 * @param name The program, e.g. `qemu-img`.
 */
export function hasPeer(name: string): boolean {
  return peerPath(name) !== undefined;
}

/** Whether a missing peer is a failure: `VIRSTOR_REQUIRE_PEERS` is 1. */
export function peersAreRequired(): boolean {
  return Deno.env.get("VIRSTOR_REQUIRE_PEERS") === "1";
}

/**
 * Registers a test that runs other programs.
 *
 * @param name The name of the test.
 * @param peers The programs, e.g. `["qemu-img", "mkfs.ext4"]`.
 * @param fn The test.
 */
export function peerTest(
  name: string,
  peers: string[],
  fn: TestFunction,
): void {
  const missing = peers.filter((peer) => !hasPeer(peer));
  if (missing.length === 0) {
    Deno.test(name, fn);
    return;
  }
  const reason = `${
    missing.map((peer) => `"${peer}"`).join(", ")
  } not installed`;
  if (peersAreRequired()) {
    Deno.test(name, () => fail(`${reason}, and VIRSTOR_REQUIRE_PEERS is 1`));
    return;
  }
  ignoredTest(name, reason, fn);
}

/**
 * Registers a test that this machine cannot run whatever is installed, e.g.
 * for want of loop devices: ignored, and said so.
 *
 * @param name The name of the test.
 * @param reason Why not, or nothing if it can: then the test runs.
 * @param fn The test.
 */
export function testUnless(
  name: string,
  reason: string | undefined,
  fn: TestFunction,
): void {
  if (reason === undefined) Deno.test(name, fn);
  else ignoredTest(name, reason, fn);
}

function ignoredTest(name: string, reason: string, fn: TestFunction): void {
  // deno-lint-ignore no-console -- the user must see this
  console.warn(`TEST IGNORED: "${name}": ${reason}`);
  Deno.test({ name, ignore: true, fn });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
