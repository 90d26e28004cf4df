/**
 * A far side that was replaced by an older copy of itself while its owner was
 * away is not written to, and nothing of it is read.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  type FarOwner,
  openRemoteComponent,
} from "../../../pool/remote/mod.ts";
import { FarMemory } from "../../helpers/far_memory.ts";
import { eventually } from "../../helpers/patience.ts";
import { makeScratch, pattern } from "../../helpers/scratch.ts";

const SIZE = 2 ** 20;
const OLDER = "an older state of this component";

Deno.test("a reconnect tells an older copy of the far side, and not one that lost what was not flushed", async () => {
  await using scratch = await makeScratch();
  const far = new FarMemory(SIZE);
  let owner: FarOwner | undefined;
  const component = await openRemoteComponent({
    path: "nbd://far/",
    far,
    host: "one",
    journalOf: () => scratch.file("journal"),
    journalSize: 2 ** 20,
    intervalMs: 40,
    onOwner: (taken) => owner = taken,
  });
  const identify = (content: Uint8Array) =>
    owner?.identify((offset, length) =>
      Promise.resolve(content.slice(offset, offset + length))
    );
  const beat = () => owner?.block.beat ?? 0;
  const beats = async (count: number) => {
    const goal = beat() + count;
    await eventually("the owner writes its block", () => beat() >= goal);
  };
  const flush = async (seed: number) => {
    component.write(pattern(100, seed), 0);
    await component.flush();
  };

  await flush(1);
  const atFlush = far.content.slice();
  assertEquals(await identify(atFlush), "");
  // A power cut of the far side takes blocks away that were not flushed.
  await beats(2);
  assertEquals(await identify(atFlush), "");
  await flush(2);
  assertEquals(await identify(atFlush), OLDER);
  assertEquals(await identify(far.content), "");
  await component.close();
});
