/**
 * How tests start the program `virstor`: from the sources, or from the bundle
 * that the suite (`tests/run_suite.ts`) has made of them.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

/** The variable that names the directory of the bundle. */
export const BUNDLE_VARIABLE = "VIRSTOR_TEST_BUNDLE";

/** What the command may do: no more than the launcher allows it. */
export const PERMISSIONS: readonly string[] = [
  "--no-prompt",
  "--allow-read",
  "--allow-write",
  "--allow-net",
  "--allow-ffi",
  "--allow-env=HOME,JOURNAL_STREAM,NOTIFY_SOCKET,VIRSTOR_IGNORE_SIGHUP,VIRSTOR_JOURNAL,VIRSTOR_OWNER_INTERVAL,VIRSTOR_STATE_DIR,WATCHDOG_PID,WATCHDOG_USEC,XDG_STATE_HOME",
];

/** The program in the sources. */
export const SOURCE_MAIN: string = fileURLToPath(
  new URL("../../cli/main.ts", import.meta.url),
);

/**
 * The bundle of the suite.
 *
 * @returns Its directory; null without a suite.
 */
export function bundleHere(): string | null {
  return Deno.env.get(BUNDLE_VARIABLE) ?? null;
}

/**
 * The words for `deno` before those of a command.
 *
 * @param permissions What the command may do.
 * @param bundle The directory of the bundle that it starts from; it starts from
 *   the sources without one.
 * @returns The words.
 */
export function programWords(
  permissions: readonly string[] = PERMISSIONS,
  bundle: string | null = bundleHere(),
): string[] {
  if (bundle === null) return ["run", ...permissions, SOURCE_MAIN];
  const isAlone = ["--no-config", "--no-lock"];
  return ["run", ...isAlone, ...permissions, `${bundle}/cli/main.js`];
}
