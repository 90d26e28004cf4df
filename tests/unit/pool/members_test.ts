/**
 * Which labels are members: for every add and remove on small pools, a stop
 * after each label, and the labels found in any order.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import type { FreebsdLabel } from "../../../metadata/mod.ts";
import {
  type FoundLabel,
  type MemberPlan,
  planMembers,
} from "../../../pool/member/freebsd_members.ts";

/** A label as far as membership goes; the path names it. */
function found(path: string, index: number, count: number): FoundLabel {
  const label: FreebsdLabel = {
    name: "demo",
    id: 1,
    virtualSize: 64 * 512,
    chunkSize: 512,
    count,
    index,
    hardcodedName: "",
    componentSize: 16 * 512,
    chunkCount: 15,
    chunkNext: 0,
    chunkReserved: index === 0 ? 2 : 0,
    flags: 0,
  };
  return { path, label };
}

/** A label that is written, or wiped where there is no index. */
interface Step {
  readonly path: string;
  readonly index?: number;
}

const LETTERS = [..."abcdefgh"];

function pathsOf(members: readonly (FoundLabel | undefined)[]): string {
  return members.map((one) => one?.path ?? "-").join("");
}

function* permutations<T>(items: readonly T[]): Generator<T[]> {
  if (items.length === 0) yield [];
  for (const [i, item] of items.entries()) {
    const rest = [...items.slice(0, i), ...items.slice(i + 1)];
    for (const tail of permutations(rest)) yield [item, ...tail];
  }
}

/** Each state of the labels, from before the first step to after the last. */
function* states(
  before: readonly FoundLabel[],
  steps: readonly Step[],
  count: number,
): Generator<FoundLabel[]> {
  const labels = new Map(before.map((one) => [one.path, one]));
  yield [...labels.values()];
  for (const { path, index } of steps) {
    if (index === undefined) labels.delete(path);
    else labels.set(path, found(path, index, count));
    yield [...labels.values()];
  }
}

/** What an opening for writing makes of a plan: the labels it leaves. */
function recovered(plan: MemberPlan<FoundLabel>): FoundLabel[] {
  return plan.members.flatMap((one, index) =>
    one === undefined ? [] : [found(one.path, index, plan.members.length)]
  );
}

/** The plan is the same whatever order the labels are found in. */
function planAnyOrder(labels: readonly FoundLabel[]): MemberPlan<FoundLabel> {
  const plan = planMembers(labels);
  for (const order of permutations(labels)) {
    const other = planMembers(order);
    assertEquals(pathsOf(other.members), pathsOf(plan.members));
  }
  return plan;
}

Deno.test("planMembers() gives the pool before or after an add that was stopped at any label", () => {
  for (let n = 1; n <= 4; n++) {
    for (let m = n + 1; m <= Math.min(n + 3, 6); m++) {
      const names = LETTERS.slice(0, m);
      const old = names.slice(0, n).map((path, i) => found(path, i, n));
      const added = names.slice(n).map((path, i) => ({ path, index: n + i }));
      const rest = names.slice(1, n).map((path, i) => ({ path, index: 1 + i }));
      const steps = [...added, { path: "a", index: 0 }, ...rest];
      let written = 0;
      for (const labels of states(old, steps, m)) {
        const isDone = written++ > added.length;
        const plan = planAnyOrder(labels);
        const wanted = isDone ? names : names.slice(0, n);
        assertEquals(pathsOf(plan.members), wanted.join(""));
        assertEquals(plan.mustBeEmpty, []);
        assertEquals(plan.removed, []);
        const left = labels.length - plan.members.length;
        assertEquals(plan.unfinished.length, left);
        assert(recovered(plan).length === plan.members.length);
      }
      assertEquals(written, steps.length + 1);
    }
  }
});

Deno.test("planMembers() gives the pool before or after a remove that was stopped at any label", () => {
  for (let n = 2; n <= 5; n++) {
    const names = LETTERS.slice(0, n);
    for (let mask = 1; mask < 1 << (n - 1); mask++) {
      const leaves = names.filter((_, i) => i > 0 && (mask >> (i - 1) & 1) > 0);
      checkRemove(names, leaves);
    }
  }
});

/** A remove, stopped after each label; then its recovery, stopped likewise. */
function checkRemove(names: string[], leaves: string[]): void {
  const n = names.length;
  const stay = names.filter((path) => !leaves.includes(path));
  const m = stay.length;
  const start = names.indexOf(leaves[0] ?? "");
  // In the order that members.ts tells.
  const behind = stay.slice(start).map((path, i) => ({
    path,
    index: start + i,
  }));
  const leaving = leaves.map((path, i) => ({ path, index: m + i }));
  const between = stay.slice(1, start).map((path, i) => ({
    path,
    index: 1 + i,
  }));
  const commit = behind.length + leaving.length;
  const steps: Step[] = [
    ...behind,
    ...leaving,
    { path: "a", index: 0 },
    ...between,
    ...leaves.map((path) => ({ path })),
  ];
  const old = names.map((path, i) => found(path, i, n));
  let written = 0;
  for (const labels of states(old, steps, m)) {
    const isDone = written++ > commit;
    const plan = planAnyOrder(labels);
    checkAfterRemove(plan, isDone ? stay : names, start);
    // The recovery writes labels in any order too.
    const targets = recovered(plan);
    for (let mask = 0; mask < 1 << Math.min(targets.length, 5); mask++) {
      const mixed = labels.map((one) => {
        const at = targets.findIndex(({ path }) => path === one.path);
        return at >= 0 && (mask >> at & 1) > 0 ? targets[at] ?? one : one;
      });
      checkAfterRemove(planMembers(mixed), isDone ? stay : names, start);
    }
  }
}

function checkAfterRemove(
  plan: MemberPlan<FoundLabel>,
  wanted: readonly string[],
  start: number,
): void {
  const paths = plan.members.map((one) => one?.path ?? "-");
  // What held chunks is where it was; what is empty may have changed places.
  assertEquals(paths.slice(0, start), wanted.slice(0, start));
  assertEquals(paths.toSorted(), wanted.toSorted());
  assertEquals(plan.unfinished, []);
  for (const one of plan.mustBeEmpty) {
    assert(paths.indexOf(one.path) >= start);
  }
}

Deno.test("planMembers() leaves undefined where a component is missing", () => {
  const three = [found("c", 2, 3), found("a", 0, 3)];
  assertEquals(pathsOf(planMembers(three).members), "a-c");
  assertEquals(pathsOf(planMembers([found("b", 1, 3)]).members), "-b-");
});

Deno.test("planMembers() refuses two components that claim one place, and names both", () => {
  const labels = [found("a", 0, 2), found("b", 1, 2), found("x", 1, 2)];
  for (const order of permutations(labels)) {
    const error = assertThrows(() => planMembers(order), VirstorError);
    assertEquals(error.code, "corrupt");
    assert(error.message.includes('"b"') && error.message.includes('"x"'));
    assert(error.message.includes("component 1"));
  }
});

Deno.test("planMembers() refuses a second component 0, also one from before an add whose place is free", () => {
  const labels = [found("a", 0, 2), found("old", 0, 1)];
  for (const order of permutations(labels)) {
    const error = assertThrows(() => planMembers(order), VirstorError);
    assertEquals(error.code, "corrupt");
    assert(error.message.includes("component 0"));
  }
});

Deno.test("planMembers() knows a component that left long ago when no place is free", () => {
  const labels = [found("a", 0, 3), found("b", 1, 3), found("c", 2, 3)];
  const left = found("left", 2, 2);
  for (const order of permutations([...labels, left])) {
    const plan = planMembers(order);
    assertEquals(plan.members, labels);
    assertEquals(plan.removed, [left]);
    assertEquals(plan.mustBeEmpty, []);
  }
});
