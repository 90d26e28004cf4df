/**
 * The assertions that all other tests stand on: that each one passes when it
 * holds and, above all, fails when it does not. Runs against the real package
 * too, with `deno task test:jsr`.
 *
 * @module
 */
import {
  assert,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
} from "@std/assert";

/**
 * The message of the assertion that must fail. Without `assertThrows`, which
 * is itself on trial here.
 */
function failureOf(assertion: () => void): string {
  try {
    assertion();
  } catch (error) {
    if (error instanceof AssertionError) return error.message;
    throw error;
  }
  throw new Error("The assertion holds, and must not");
}

async function rejectionOf(assertion: () => Promise<unknown>): Promise<string> {
  try {
    await assertion();
  } catch (error) {
    if (error instanceof AssertionError) return error.message;
    throw error;
  }
  throw new Error("The assertion holds, and must not");
}

Deno.test("assertEquals() compares deeply", () => {
  assertEquals({ a: [1, { b: new Map([[1, "x"]]) }] }, {
    a: [1, { b: new Map([[1, "x"]]) }],
  });
  assertEquals(NaN, NaN);
  assertEquals(new Uint8Array([1, 2]), new Uint8Array([1, 2]));
  assertEquals(new Set([{ a: 1 }]), new Set([{ a: 1 }]));
  failureOf(() => assertEquals<unknown>({ a: 1 }, { a: 1, b: undefined }));
  failureOf(() => assertEquals<unknown>([1, 2], [1, 2, 3]));
  failureOf(() => assertEquals<unknown>("1", 1));
  failureOf(() => assertEquals<unknown>(new Date(0), {}));
});

Deno.test("assertEquals() shows what differs, and the note", () => {
  const message = failureOf(() =>
    assertEquals({ name: "left", same: 1 }, { name: "right", same: 1 }, "Why")
  );
  assertStringIncludes(message, "Why");
  assertMatch(message, /^ *.*-.*left/m);
  assertMatch(message, /^ *.*\+.*right/m);
});

Deno.test("assertEquals() compares long byte arrays quickly", () => {
  const actual = new Uint8Array(4 << 20);
  const expected = new Uint8Array(4 << 20);
  assertEquals(actual, expected);
});

Deno.test("assertNotEquals() fails on deep equality", () => {
  assertNotEquals<unknown>([1], [2]);
  failureOf(() => assertNotEquals([1], [1]));
});

Deno.test("assertStrictEquals() tells equal objects apart", () => {
  const object = {};
  assertStrictEquals(object, object);
  failureOf(() => assertStrictEquals({}, {}));
  failureOf(() => assertStrictEquals(1, 2));
});

Deno.test("assert(), assertFalse() and fail() say what was given", () => {
  assert(1);
  assertFalse("");
  assertEquals(failureOf(() => assert(0, "Zero")), "Zero");
  assertEquals(failureOf(() => assertFalse("x", "Text")), "Text");
  assertStringIncludes(failureOf(() => fail("Here")), "Here");
});

Deno.test("assertExists() takes everything but null and undefined", () => {
  assertExists(0);
  assertExists("");
  failureOf(() => assertExists(null));
  failureOf(() => assertExists(undefined));
});

Deno.test("assertInstanceOf() narrows to the class", () => {
  const value: unknown = new RangeError("far");
  assertInstanceOf(value, RangeError);
  assertEquals(value.message, "far");
  const message = failureOf(() => assertInstanceOf(value, TypeError));
  assertStringIncludes(message, "TypeError");
});

Deno.test("assertGreater() and its kin compare in the right direction", () => {
  assertGreater(2, 1);
  assertGreaterOrEqual(2n, 2n);
  assertLess(1, 2);
  assertLessOrEqual("a", "a");
  failureOf(() => assertGreater(1, 1));
  failureOf(() => assertGreaterOrEqual(0, 1));
  failureOf(() => assertLess(1, 1));
  failureOf(() => assertLessOrEqual(2, 1));
  failureOf(() => assertLess(NaN, 1));
});

Deno.test("assertStringIncludes() and assertMatch() look into text", () => {
  assertStringIncludes("a line", "lin");
  assertMatch("a line", /l.n/);
  assertStringIncludes(
    failureOf(() => assertStringIncludes("a line", "word")),
    "word",
  );
  failureOf(() => assertMatch("a line", /^line/));
});

Deno.test("assertArrayIncludes() finds elements by deep equality", () => {
  assertArrayIncludes([{ a: 1 }, { a: 2 }], [{ a: 2 }]);
  failureOf(() => assertArrayIncludes([{ a: 1 }], [{ a: 1 }, { a: 3 }]));
});

Deno.test("assertObjectMatch() looks only at what is expected", () => {
  const actual = { a: 1, b: { c: [1, 2], d: 3 }, e: "more" };
  assertObjectMatch(actual, { a: 1, b: { c: [1, 2] } });
  failureOf(() => assertObjectMatch(actual, { b: { d: 4 } }));
  failureOf(() => assertObjectMatch(actual, { missing: undefined, a: 2 }));
});

Deno.test("assertThrows() returns the error it asked for", () => {
  const boom = (): never => {
    throw new RangeError("Cannot go so far");
  };
  assertEquals(assertThrows(boom, RangeError, "so far").name, "RangeError");
  assertInstanceOf(assertThrows(boom), RangeError);
  assertThrows(boom, Error);
});

Deno.test("assertThrows() fails without an error, or with another one", () => {
  const boom = (): never => {
    throw new RangeError("Cannot go so far");
  };
  failureOf(() => assertThrows(() => 1));
  failureOf(() => assertThrows(boom, TypeError));
  failureOf(() => assertThrows(boom, RangeError, "so near"));
  assertStringIncludes(failureOf(() => assertThrows(() => 1, "Note")), "Note");
});

Deno.test("assertRejects() returns the error it asked for", async () => {
  const boom = (): Promise<never> => Promise.reject(new TypeError("Bad shape"));
  const error = await assertRejects(boom, TypeError, "shape");
  assertEquals(error.message, "Bad shape");
  await assertRejects(boom);
});

Deno.test("assertRejects() fails without a rejection, or with another", async () => {
  const boom = (): Promise<never> => Promise.reject(new TypeError("Bad shape"));
  await rejectionOf(() => assertRejects(() => Promise.resolve(1)));
  await rejectionOf(() => assertRejects(boom, RangeError));
  await rejectionOf(() => assertRejects(boom, TypeError, "size"));
});

Deno.test("assertRejects() does not take a function that throws at once", async () => {
  const message = await rejectionOf(() =>
    assertRejects(() => {
      throw new Error("At once");
    })
  );
  assertStringIncludes(message, "throws when expected to reject");
});
