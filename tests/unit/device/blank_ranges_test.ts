/**
 * Goal: a range counts as blank only if it reads as zeroes and its space is
 * known to hold nothing. Method: real files on file systems that are believed,
 * and on one that is not.
 *
 * @module
 */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { NO_NATIVE_CALLS, testNatively } from "../../helpers/native.ts";
import { testUnless } from "../../helpers/peers.ts";
import { makeScratch, pattern, type Scratch } from "../../helpers/scratch.ts";
import { makeQuickScratch, makeSparse } from "../../helpers/small_pools.ts";
import { whyNoMount } from "../../helpers/tiny_fs.ts";

const SIZE = 1 << 20;
const ALL = { offset: 0, length: SIZE };

function openSparse(scratch: Scratch): FileDevice {
  return new FileDevice(makeSparse(scratch.file("disk"), SIZE));
}

for (const make of [makeScratch, makeQuickScratch]) {
  testNatively(`a range with data is not blank (${make.name})`, async () => {
    await using scratch = await make();
    const device = openSparse(scratch);
    const { blanks } = device;
    const isBlank = (offset: number, length: number) =>
      blanks?.isBlank(offset, length);
    assertEquals(isBlank(0, SIZE), true);
    device.write(Uint8Array.of(1), 300_000);
    assertEquals(isBlank(0, SIZE), false);
    assertEquals(isBlank(262_144, 65_536), false);
    assertEquals(isBlank(0, 262_144), true);
    assertEquals(isBlank(327_680, SIZE - 327_680), true);
    // Where a block is shared, its bytes tell.
    assertEquals(isBlank(0, 300_000), true);
    assertEquals(isBlank(0, 300_001), false);
    assertEquals(isBlank(300_001, SIZE - 300_001), true);
    assertEquals(isBlank(300_000, 1), false);
    // Zeroes that have their space are data, except where it is shared.
    device.write(new Uint8Array(65_536), 524_288);
    assertEquals(isBlank(524_288, 65_536), false);
    assertEquals(isBlank(524_300, 100), true);
    device.close();
    assertStrictEquals(device.blanks, undefined);
  });

  testNatively(
    `blocks become holes when the last of them is punched (${make.name})`,
    async () => {
      await using scratch = await make();
      const device = openSparse(scratch);
      const { blanks } = device;
      const widen = (offset: number, length: number, limits = ALL) =>
        blanks?.widen(offset, length, limits);
      // There is nothing to be had of holes.
      assertStrictEquals(widen(100, 200), undefined);
      device.write(pattern(3 * 4096, 1), 8192);
      assertStrictEquals(widen(8192, 512), undefined);
      device.discard(8192, 4000);
      assertStrictEquals(widen(8192, 4000), undefined);
      device.discard(12_192, 96);
      assertEquals(widen(12_192, 96), { offset: 8192, length: 4096 });
      // A part of the block may be another chunk's.
      const limits = { offset: 8704, length: SIZE - 8704 };
      assertStrictEquals(widen(12_192, 96, limits), undefined);
      // At both ends, at one, and of whole blocks.
      device.discard(12_288, 8192);
      assertStrictEquals(widen(12_288, 8192), undefined);
      device.write(pattern(3 * 4096, 1), 8192);
      device.writeZeroes(8192, 100, { noHole: true });
      device.discard(8292, 2 * 4096);
      assertEquals(widen(8292, 8192), { offset: 8192, length: 8292 });
      device.close();
    },
  );
}

testUnless(
  "nothing is blank on a file system that is not known",
  NO_NATIVE_CALLS ?? await whyNoMount(),
  async () => {
    await using scratch = await makeScratch();
    const path = scratch.file("ram");
    await Deno.mkdir(path);
    const mount = await new Deno.Command("mount", {
      args: ["-t", "ramfs", "ramfs", path],
    }).output();
    assertEquals(mount.success, true);
    try {
      const device = new FileDevice(makeSparse(`${path}/disk`, SIZE));
      assertEquals(device.blanks?.isBlank(0, SIZE) ?? false, false);
      assertStrictEquals(device.blanks?.widen(100, 200, ALL), undefined);
      await device.close();
    } finally {
      await new Deno.Command("umount", { args: ["-l", path] }).output();
    }
  },
);

Deno.test("nothing is blank without native calls, or of what cannot be written", async () => {
  await using scratch = await makeScratch();
  const path = makeSparse(scratch.file("disk"), SIZE);
  for (const options of [{ native: false }, { readOnly: true }]) {
    const device = new FileDevice(path, options);
    assertStrictEquals(device.blanks, undefined);
    device.close();
  }
});
