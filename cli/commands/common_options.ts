/**
 * Options that several commands have.
 *
 * @module
 */

import type { OptionSpec } from "../terminal/mod.ts";

/** `-v`. */
export const VERBOSE: OptionSpec = {
  name: "verbose",
  short: "v",
  help: "print more details",
};
/** `--json`. */
export const JSON_OUTPUT: OptionSpec = {
  name: "json",
  help: "print JSON, for scripts",
};
