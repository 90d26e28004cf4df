/**
 * Which superblocks of format 2 are those of a pool's members: the highest
 * generation decides, and a joining component has no say.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import type { MemberState, Superblock } from "../../../metadata/mod.ts";
import {
  type FoundSuperblock,
  type NativePlan,
  planNativeMembers,
  truthAmong,
} from "../../../pool/member/native_members.ts";

const MIB = 2 ** 20;

/** A component by its letter. */
function uuidOf(letter: string): string {
  const digit = letter.charCodeAt(0).toString(16);
  return `000000${digit}-0000-4000-8000-000000000000`;
}

/**
 * A superblock of a component.
 *
 * @param path Where it is; its first letter says which component it is.
 * @param generation How new it is.
 * @param members The letters of all members.
 * @param change What is else about it.
 */
function found(
  path: string,
  generation: number,
  members: string,
  change: Partial<Superblock> = {},
  states: Readonly<Record<string, MemberState>> = {},
): FoundSuperblock {
  const [own = ""] = path;
  const label: Superblock = {
    name: "demo",
    poolUuid: uuidOf("p"),
    componentUuid: uuidOf(own),
    generation,
    clean: false,
    tableDigest: 0,
    compat: 0,
    readOnlyCompat: 0,
    virtualSize: 64 * MIB,
    chunkSize: MIB,
    componentSize: 16 * MIB,
    members: [...members].map((letter) => ({
      uuid: uuidOf(letter),
      state: states[letter] ?? "active",
      chunkCount: 15,
    })),
    ...change,
  };
  return { path, label };
}

/** One that is being added, as it is before the change that adds it. */
function joining(
  path: string,
  generation: number,
  members: string,
  joins = path,
): FoundSuperblock {
  const states = Object.fromEntries(
    [...joins].map((letter) => [letter, "joining" as const]),
  );
  return found(path, generation, members, {}, states);
}

function* permutations<T>(items: readonly T[]): Generator<T[]> {
  if (items.length === 0) yield [];
  for (const [i, item] of items.entries()) {
    const rest = [...items.slice(0, i), ...items.slice(i + 1)];
    for (const tail of permutations(rest)) yield [item, ...tail];
  }
}

/** A plan in letters: members with "-" for missing ones, stale, unfinished. */
function textOf(plan: NativePlan<FoundSuperblock>): string[] {
  const letters = (all: readonly (FoundSuperblock | undefined)[]) =>
    all.map((one) => one?.path ?? "-");
  return [
    letters(plan.members).join(""),
    letters(plan.stale).toSorted().join(""),
    letters(plan.unfinished).toSorted().join(""),
  ];
}

/** Plans with the superblocks in every order, which makes no difference. */
function planOf(...all: FoundSuperblock[]): string[] {
  const wanted = textOf(planNativeMembers("demo", all));
  for (const order of permutations(all)) {
    assertEquals(textOf(planNativeMembers("demo", order)), wanted);
  }
  return wanted;
}

/** Fails unless superblocks are refused in every order; gives the message. */
function refusalOf(...all: FoundSuperblock[]): string {
  let message = "";
  for (const order of permutations(all)) {
    const plan = () => planNativeMembers("demo", order);
    const error = assertThrows(plan, VirstorError);
    assertEquals(error.code, "corrupt");
    assert(error.message.startsWith('Cannot open pool "demo": '));
    message = error.message;
  }
  return message;
}

Deno.test("truthAmong() takes the highest generation that has a vote", () => {
  const labels = [
    found("a", 4, "abc"),
    found("b", 7, "ab"),
    joining("d", 9, "abd"),
    found("c", 5, "abc"),
  ].map(({ label }) => label);
  for (const order of permutations(labels)) {
    const { componentUuid, generation } = truthAmong(order);
    assertEquals([componentUuid, generation], [uuidOf("b"), 7]);
  }
  assertThrows(() => truthAmong([]), VirstorError);
});

Deno.test("truthAmong() goes by joining components where there are no others", () => {
  const [d, e] = [joining("d", 5, "ade", "de"), joining("e", 6, "ade", "de")];
  assertEquals(truthAmong([d.label, e.label]), e.label);
});

Deno.test("planNativeMembers() gives members in the order of the truth, whatever the order they are found in", () => {
  const all = [..."cab"].map((letter) => found(letter, 3, "cab"));
  assertEquals(planOf(...all), ["cab", "", ""]);
});

Deno.test("planNativeMembers() leaves undefined where a component is missing", () => {
  assertEquals(planOf(found("a", 3, "abc"), found("c", 3, "abc")), [
    "a-c",
    "",
    "",
  ]);
  assertEquals(planOf(found("b", 3, "abc")), ["-b-", "", ""]);
});

Deno.test("planNativeMembers() gives the pool before or after an add that was stopped anywhere", () => {
  const before = [found("a", 5, "ab"), found("b", 5, "ab")];
  const [c, d] = [joining("c", 5, "abcd", "cd"), joining("d", 5, "abcd", "cd")];
  // Their superblocks are written, before the change.
  assertEquals(planOf(...before), ["ab", "", ""]);
  assertEquals(planOf(...before, c), ["ab", "", "c"]);
  assertEquals(planOf(...before, c, d), ["ab", "", "cd"]);
  // The change reaches one after the other, in any order.
  const after = [..."abcd"].map((letter) => found(letter, 6, "abcd"));
  const old = [...before, c, d];
  for (let mask = 1; mask < 1 << 4; mask++) {
    const mixed = old.flatMap((one, i) =>
      (mask >> i & 1 ? after[i] : one) ?? []
    );
    assertEquals(planOf(...mixed), ["abcd", "", ""]);
  }
});

Deno.test("planNativeMembers() gives the pool before or after a remove that was stopped anywhere", () => {
  const before = [..."abc"].map((letter) => found(letter, 5, "abc"));
  const after = [found("a", 6, "ac"), undefined, found("c", 6, "ac")];
  assertEquals(planOf(...before), ["abc", "", ""]);
  for (const mask of [1, 4, 5]) {
    const mixed = before.map((one, i) => mask >> i & 1 ? after[i] ?? one : one);
    assertEquals(planOf(...mixed), ["ac", "b", ""]);
  }
});

Deno.test("planNativeMembers() knows a component that left long ago for stale, and one that was never added for unfinished", () => {
  const members = [found("a", 40, "ab"), found("b", 39, "ab")];
  assertEquals(planOf(...members, found("x", 7, "axb")), ["ab", "x", ""]);
  assertEquals(planOf(...members, joining("y", 30, "aby")), ["ab", "", "y"]);
  // Also if it was prepared in the very generation that counts.
  assertEquals(planOf(...members, joining("y", 40, "aby")), ["ab", "", "y"]);
});

Deno.test("planNativeMembers() gives a member that has missed generations", () => {
  const states = { b: "evacuating" } as const;
  const all = [
    found("a", 9, "ab", { virtualSize: 128 * MIB }, states),
    found("b", 6, "ab", { clean: true }),
  ];
  assertEquals(planOf(...all), ["ab", "", ""]);
  const { truth } = planNativeMembers("demo", all);
  assertEquals(truth.virtualSize, 128 * MIB);
  assertEquals(truth.members[1]?.state, "evacuating");
});

Deno.test("planNativeMembers() refuses two copies of one component, whatever their generations, and names both", () => {
  for (const generation of [3, 4, 5]) {
    const message = refusalOf(
      found("a", 4, "ab"),
      found("b", 4, "ab"),
      found("b copy", generation, "ab"),
    );
    for (const part of ['"b"', '"b copy"', uuidOf("b"), "clear the copy"]) {
      assert(message.includes(part), message);
    }
  }
  // Also of one that is no member.
  refusalOf(found("a", 4, "a"), found("x", 3, "ax"), found("x2", 3, "ax"));
});

Deno.test("planNativeMembers() refuses equal generations that contradict each other", () => {
  const contradictions: FoundSuperblock[] = [
    found("b", 4, "abc"),
    found("b", 4, "ba"),
    found("b", 4, "ab", {}, { a: "evacuating" }),
    found("b", 4, "ab", { virtualSize: 32 * MIB }),
    found("b", 4, "ab", { name: "other" }),
    found("b", 4, "ab", { clean: true }),
  ];
  for (const other of contradictions) {
    const message = refusalOf(found("a", 4, "ab"), other);
    for (const part of ["generation 4", "contradicts"]) {
      assert(message.includes(part), message);
    }
  }
});

Deno.test("planNativeMembers() refuses a member whose chunks cannot be what the truth says, however old", () => {
  const first = found("a", 9, "ab");
  const others = [
    found("b", 5, "ab", { chunkSize: 2 * MIB }),
    found("b", 5, "ab", {
      members: [..."ab"].map((letter) => ({
        uuid: uuidOf(letter),
        state: "active",
        chunkCount: 14,
      })),
    }),
  ];
  for (const other of others) {
    const message = refusalOf(first, other);
    for (const part of ['"b"', "generation 5", "generation 9"]) {
      assert(message.includes(part), message);
    }
  }
});
