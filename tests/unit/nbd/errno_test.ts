/**
 * Goal: every error code has the NBD value that clients expect.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { type ErrorCode, VirstorError } from "../../../errors.ts";
import { errnoOf, failureOf } from "../../../nbd/wire/errno.ts";

const EXPECTED: Record<ErrorCode, number> = {
  "busy": 5,
  "cancelled": 108,
  "corrupt": 5,
  "exists": 5,
  "failed": 5,
  "invalid": 22,
  "io": 5,
  "no-space": 28,
  "not-found": 5,
  "read-only": 1,
  "shutdown": 108,
  "unsupported": 22,
};

Deno.test("errnoOf() gives each code its value", () => {
  for (const [code, errno] of Object.entries(EXPECTED)) {
    const error = new VirstorError(code as ErrorCode, "Cannot");
    assertEquals([code, errnoOf(error, false)], [code, errno]);
  }
});

Deno.test("errnoOf() gives ENOTSUP to a fast zero and to nothing else", () => {
  const error = new VirstorError("unsupported", "Cannot");
  assertEquals(errnoOf(error, true), 95);
  assertEquals(errnoOf(error, false), 22);
  assertEquals(errnoOf(new VirstorError("no-space", "Cannot"), true), 28);
});

Deno.test("failureOf() tells what the client can do something about", () => {
  const told = ["invalid", "no-space", "read-only", "unsupported"];
  for (const [code, errno] of Object.entries(EXPECTED)) {
    const error = new VirstorError(code as ErrorCode, "Cannot do it");
    const text = told.includes(code)
      ? "Cannot do it"
      : errno === 108
      ? "The server is stopping"
      : "The device failed";
    assertEquals(failureOf(error, false), { errno, text });
  }
});
