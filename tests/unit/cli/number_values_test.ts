/**
 * What is said of a number that an option or a setting does not take.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import {
  parseSettings,
  settingsIn,
} from "../../../cli/calls/setting_values.ts";
import { numberOption, UsageError } from "../../../cli/terminal/mod.ts";

Deno.test("a setting that is too small is refused with the range", () => {
  assertThrows(
    () => parseSettings(["max-clients=0"]),
    UsageError,
    "Setting max-clients takes 1 or more, not 0",
  );
  assertThrows(
    () => parseSettings(["max-clients=x"]),
    UsageError,
    'Setting max-clients needs a number, not "x"',
  );
  assertEquals(parseSettings(["max-clients=7", "grace=0"]), {
    maxClients: 7,
    graceSeconds: 0,
  });
  // Also from a program that writes its requests itself.
  assertEquals(settingsIn({ maxClients: 0, graceSeconds: 0 }), {
    graceSeconds: 0,
  });
});

Deno.test("a number that an option does not take is refused with the range", () => {
  const parse = (text: string) =>
    numberOption(
      { operands: [], flag: () => false, value: () => text, values: () => [] },
      "max-clients",
      /^[1-9]\d*$/,
      "hint",
      "1 or more",
    );
  assertEquals(parse("12"), 12);
  assertThrows(
    () => parse("0"),
    UsageError,
    "Option --max-clients takes 1 or more, not 0",
  );
  assertThrows(
    () => parse("x"),
    UsageError,
    'Option --max-clients needs a number, not "x"',
  );
});
