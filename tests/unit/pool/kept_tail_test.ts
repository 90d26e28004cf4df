/**
 * The end of a remote component in memory is what the component holds, whatever
 * changes come while it is read.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
import { createSparseFile, FileDevice } from "../../../device/file/mod.ts";
import {
  type FarDisk,
  Journal,
  JOURNAL_SIZE_MIN,
  RemoteComponent,
} from "../../../pool/remote/mod.ts";
import { FarMemory } from "../../helpers/far_memory.ts";
import { makeScratch, pattern, type Scratch } from "../../helpers/scratch.ts";
import { Random } from "../../simulation/random.ts";

const SIZE = 5 * 2 ** 20;
const START = 2 ** 20 + 4096;

async function over(
  scratch: Scratch,
  far: FarDisk,
): Promise<RemoteComponent> {
  const path = scratch.file("journal");
  createSparseFile(path, JOURNAL_SIZE_MIN);
  const journal = await Journal.create(new FileDevice(path), {
    componentUuid: crypto.randomUUID(),
    generation: 1,
    componentSize: far.size,
  });
  return new RemoteComponent({ path: "nbd://far/", far, journal });
}

Deno.test("the kept end of a remote component is read at once", async () => {
  await using scratch = await makeScratch();
  const far = new FarMemory(SIZE);
  far.content.set(pattern(9000, 1), SIZE - 9000);
  await using component = await over(scratch, far);
  const target = new Uint8Array(9000);
  const pending = component.read(target, SIZE - 9000);
  assert(pending !== undefined, "before that it is not");
  await pending;
  await component.keep(START);
  far.hold();
  assertEquals(component.read(target, SIZE - 9000), undefined);
  assertEquals(target, pattern(9000, 1));
  assertEquals(component.readCached(target, SIZE - 9000), 9000);
  assertEquals(component.readCached(target, START - 1), 0);
  component.write(pattern(100, 2), SIZE - 5000);
  component.writeZeroes(SIZE - 4950, 10);
  const wanted = pattern(9000, 1);
  wanted.set(pattern(100, 2), 4000);
  wanted.fill(0, 4050, 4060);
  assertEquals(component.read(target, SIZE - 9000), undefined);
  assertEquals(target, wanted);
  far.release();
});

Deno.test("what is kept is what was written, also while it is read in", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    await using scratch = await makeScratch();
    const random = new Random(seed);
    const far = new FarMemory(SIZE);
    far.content.set(pattern(SIZE, seed));
    far.content.fill(0, START + 100_000, START + 2_000_000);
    await using component = await over(scratch, far);
    const model = far.content.slice();
    const change = async () => {
      const length = 1 + random.below(random.pick([100, 5000, 300_000]));
      const offset = random.below(SIZE - length);
      if (random.chance(40)) {
        model.fill(0, offset, offset + length);
        await component.writeZeroes(offset, length);
      } else {
        const bytes = pattern(length, random.below(1000));
        model.set(bytes, offset);
        await component.write(bytes, offset);
      }
    };
    const keeping = component.keep(START);
    for (let i = 0; i < 15; i++) await change();
    await keeping;
    for (let i = 0; i < 15; i++) await change();
    const target = new Uint8Array(SIZE - START);
    assertEquals(component.read(target, START), undefined);
    const wanted = model.subarray(START);
    assertEquals(Buffer.compare(target, wanted), 0, `${seed}`);
    await component.flush();
    assertEquals(Buffer.compare(far.content, model), 0, `${seed}`);
  }
});

Deno.test("a very long range is zeroed in steps, each when the one before has arrived", async () => {
  await using scratch = await makeScratch();
  const zeroed: [number, number][] = [];
  let flights = 0;
  const far: FarDisk = {
    size: 2 ** 40,
    read: (target) => void target.fill(0),
    write: () => undefined,
    writeZeroes: async (offset, length) => {
      flights += 1;
      assertEquals(flights, 1);
      zeroed.push([offset, length]);
      await Promise.resolve();
      flights -= 1;
    },
    flush: () => undefined,
    close: () => undefined,
  };
  await using component = await over(scratch, far);
  assertEquals(component.writeZeroes(5, 2 ** 30), undefined);
  await component.flush();
  zeroed.length = 0;
  const pending = component.writeZeroes(0, 2 ** 32 + 7);
  assert(pending !== undefined);
  await pending;
  assertEquals(component.status().pending, 0);
  assertEquals(zeroed, [
    ...[0, 1, 2, 3].map((i): [number, number] => [i * 2 ** 30, 2 ** 30]),
    [2 ** 32, 7],
  ]);
});
