/**
 * Which names pools, volumes and snapshots of format 2 can have.
 *
 * @module
 */

import { assert } from "@std/assert";
import { isNativeName, isVolumeName } from "../../../metadata/mod.ts";

Deno.test("isNativeName() counts bytes, not letters", () => {
  for (const name of ["a", "€".repeat(85), "x".repeat(255), " /.\u{1f4be}"]) {
    assert(isNativeName(name), name);
  }
  const refused = [
    "",
    "€".repeat(86),
    "x".repeat(256),
    "\0",
    "\u{7f}",
    "\udc00",
  ];
  for (const name of refused) assert(!isNativeName(name), name);
});

Deno.test("isVolumeName() refuses what separates names", () => {
  for (const name of ["a", "€".repeat(85), "x".repeat(255), " .", "名前"]) {
    assert(isVolumeName(name), name);
  }
  const refused = ["", "/", "@", "a/b", "a@b", "€".repeat(86), "\0", "\udc00"];
  for (const name of refused) assert(!isVolumeName(name), name);
});
