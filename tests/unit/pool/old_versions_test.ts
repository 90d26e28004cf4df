/**
 * Goal: the old versions of chunks are those that were added, whatever is added,
 * moved and deleted. Method: random changes, beside a simple model.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { AssertionError } from "../../../errors.ts";
import type { Component, OldVersion } from "../../../pool/core/mod.ts";
import { OldVersions } from "../../../pool/core/old_versions.ts";
import { randomOf } from "../../helpers/small_pools.ts";

/** Nothing but its id is looked at. */
function component(id: number): Component {
  // deno-lint-ignore no-explicit-any -- a component needs a file
  return { id } as any;
}

const COMPONENTS = [1, 2, 7].map(component);
/** Virtual chunks: neighbours, and some that are far away. */
const CHUNKS = [0, 1, 2, 3, 4095, 4096, 1_000_000, 2 ** 33 - 1];

Deno.test("OldVersions holds what was added, the newest first, and no more", () => {
  const random = randomOf(1);
  const versions = new OldVersions();
  const model = new Map<number, OldVersion[]>();
  const pick = <T>(all: readonly T[]): T => {
    const one = all[Math.floor(random() * all.length)];
    if (one === undefined) throw new Error("there is nothing to pick");
    return one;
  };
  for (let step = 0; step < 20_000; step++) {
    const v = pick(CHUNKS);
    const its = model.get(v) ?? [];
    const birth = Math.floor(random() * 40);
    const at = its.findIndex((one) => one.birth === birth);
    const one = { birth, component: pick(COMPONENTS), chunk: step };
    if (at < 0) {
      versions.add(v, one);
      its.push(one);
    } else if (random() < 0.3) {
      versions.relocate(v, birth, one.component, one.chunk);
      its[at] = one;
    } else {
      versions.delete(v, { birth });
      its.splice(at, 1);
    }
    its.sort((a, b) => b.birth - a.birth);
    model.set(v, its);
    const epoch = Math.floor(random() * 45) - 2;
    const seen = its.find((each) => each.birth <= epoch);
    assertEquals(versions.of(v), its);
    assertEquals(versions.has(v), its.length > 0);
    assertEquals(versions.find(v, epoch), seen);
    assertEquals(versions.component(v, epoch), seen?.component);
    assertEquals(versions.chunk(v, epoch), seen?.chunk);
    assertEquals(
      versions.version(v, birth),
      its.find((each) => each.birth === birth),
    );
  }
  const held = [...model].filter(([, its]) => its.length > 0);
  assertEquals(
    [...versions.virtualChunks],
    held.map(([v]) => v).toSorted((a, b) => a - b),
  );
  assertEquals(versions.chunks, held.length);
  assertEquals(
    versions.size,
    held.reduce((sum, [, its]) => sum + its.length, 0),
  );
});

Deno.test("OldVersions refuses two versions of a birth, and versions that are not there", () => {
  const versions = new OldVersions();
  const one = { birth: 3, component: component(1), chunk: 9 };
  versions.add(5, one);
  assertThrows(() => versions.add(5, one), AssertionError);
  assertThrows(() => versions.delete(5, { birth: 2 }), AssertionError);
  assertThrows(() => versions.delete(6, { birth: 3 }), AssertionError);
  assertThrows(
    () => versions.relocate(5, 4, component(1), 1),
    AssertionError,
  );
  assertEquals(versions.of(5), [one]);
});
