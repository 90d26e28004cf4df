/**
 * Where the chunks of a component are written.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { AssertionError } from "../../../errors.ts";
import { Component } from "../../../pool/core/component.ts";
import { FileDevice } from "../../../device/file/file_device.ts";
import { MIB, SMALL_CHUNK } from "../../helpers/scratch.ts";
import { makeQuickScratch, makeSparse } from "../../helpers/small_pools.ts";

const GEOMETRY = {
  size: MIB,
  chunkCount: 7,
  chunkReserved: 0,
  hardcodedName: "",
};

Deno.test("only a Component itself says where its chunks are written, and not while one is being moved", async () => {
  await using scratch = await makeQuickScratch();
  const [one, other] = ["a", "b"].map((name, index) => {
    const path = makeSparse(scratch.file(name), MIB);
    const device = new FileDevice(path, { lock: "exclusive" });
    return new Component(index + 1, index, device, GEOMETRY);
  });
  assert(one !== undefined && other !== undefined);
  assertEquals(one.data, one.device);
  assertThrows(() => Object.assign(one, { data: other.device }), TypeError);
  one.allowMoves(SMALL_CHUNK);
  const { moves } = one;
  assert(moves !== undefined && one.data === moves);
  one.allowMoves(SMALL_CHUNK);
  assertEquals(one.moves, moves);
  const move = { source: one, from: 1, target: other, to: 3, fault: undefined };
  moves.begin(move);
  assertEquals(one.moving, 1);
  assertThrows(() => one.forbidMoves(), AssertionError);
  one.data.write(Uint8Array.of(7), SMALL_CHUNK + 5);
  for (const [component, chunk] of [[one, 1], [other, 3]] as const) {
    const target = new Uint8Array(1);
    component.device.read(target, chunk * SMALL_CHUNK + 5);
    assertEquals(target[0], 7);
  }
  moves.end(move);
  one.forbidMoves();
  assertEquals(one.data, one.device);
  for (const { device } of [one, other]) device.close();
});
