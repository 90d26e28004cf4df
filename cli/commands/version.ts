/**
 * `virstor version`: which virstor this is, and what it runs on.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { nativeCalls } from "../../device/linux/mod.ts";
import { EXIT_OK, type Invocation, print, printJson } from "../terminal/mod.ts";

/** What the native calls are for, in the words of the text. */
const PURPOSES = {
  files: "holes, locks and block devices",
  threads: "threads for clients",
  memory: "return of memory",
  blkid: "libblkid",
} as const;

/**
 * Prints the versions of virstor and the runtime, and which native calls there
 * are.
 *
 * @param invocation The command line.
 * @returns The exit code.
 */
export function run(invocation: Invocation): Promise<number> {
  if (invocation.flag("json")) {
    printJson({
      virstor: config.version,
      deno: Deno.version.deno,
      v8: Deno.version.v8,
      system: `${Deno.build.os} ${Deno.build.arch}`,
      nativeCalls: nativeCalls(),
    });
  } else print(versionText());
  return Promise.resolve(EXIT_OK);
}

/** The versions in several lines; the first is that of virstor alone. */
function versionText(): string {
  const calls = Object.entries(nativeCalls());
  const listed = (wanted: boolean) =>
    calls.filter(([, available]) => available === wanted)
      .map(([name]) => PURPOSES[name as keyof typeof PURPOSES]).join(", ");
  const lines = [
    `virstor ${config.version}`,
    `Deno ${Deno.version.deno} with V8 ${Deno.version.v8}, ` +
    `${Deno.build.os} ${Deno.build.arch}`,
  ];
  const [present, absent] = [listed(true), listed(false)];
  if (present !== "") lines.push(`Native calls: ${present}`);
  if (absent !== "") lines.push(`Not available: ${absent}`);
  return lines.join("\n");
}
