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
/** `--journal`. */
export const JOURNAL: OptionSpec = {
  name: "journal",
  value: "DIR[,SIZE]",
  help: "journals of components on other machines",
};
/** `--json`. */
export const JSON_OUTPUT: OptionSpec = {
  name: "json",
  help: "print JSON, for scripts",
};
