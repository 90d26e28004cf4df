/**
 * A scripted exchange with a far server that forgets, over a network that does
 * harm at every message of it, in both directions: nothing fails, nothing is
 * wrong, nothing is lost.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { NbdDisk } from "../../nbd/client/mod.ts";
import { PATIENCE_MS } from "../helpers/patience.ts";
import { makeScratch, pattern, type Scratch } from "../helpers/scratch.ts";
import { CuttingProxy, type Harm, type Plan } from "./cutting_proxy.ts";
import { ForgetfulDevice, ForgetfulServer } from "./forgetful_server.ts";
import type { Direction } from "./message_splitter.ts";

const SIZE = 64 * 1024;
const BLOCK = 4096;
/** Cases at once: most of them only wait. */
const AT_ONCE = 8;

/** The exchange. Returns what the disk must hold. */
async function runScript(disk: NbdDisk): Promise<Uint8Array> {
  const model = new Uint8Array(SIZE);
  const write = async (block: number, seed: number, fua = false) => {
    const bytes = pattern(BLOCK, seed);
    model.set(bytes, block * BLOCK);
    await disk.write(bytes, block * BLOCK, { fua });
  };
  const check = async (offset: number, length: number) => {
    const target = new Uint8Array(length);
    const wanted = model.slice(offset, offset + length);
    await disk.read(target, offset);
    assertEquals(target, wanted);
  };
  await write(0, 1);
  await write(1, 2, true);
  await disk.flush();
  await write(0, 3);
  model.fill(0, BLOCK, 2 * BLOCK);
  await Promise.all([
    disk.writeZeroes(BLOCK, BLOCK),
    write(2, 4),
    write(3, 5),
    check(0, BLOCK),
    write(4, 6),
    check(5 * BLOCK, BLOCK),
  ]);
  await write(3, 7, true);
  const runs = await disk.blockStatus(0, SIZE);
  assertEquals(runs.reduce((sum, { length }) => sum + length, 0), SIZE);
  await check(0, SIZE);
  model.fill(0, 4 * BLOCK, 5 * BLOCK);
  await disk.discard(4 * BLOCK, BLOCK);
  // Neither whole blocks nor known to the server as such.
  model.set(pattern(100, 8), 77);
  await disk.write(pattern(100, 8), 77);
  await check(0, SIZE);
  await disk.flush();
  await check(0, SIZE);
  return model;
}

/** Runs the exchange with one harm. */
async function runWith(
  scratch: Scratch,
  name: string,
  plan?: Plan,
): Promise<Readonly<Record<Direction, number>>> {
  const device = new ForgetfulDevice(SIZE, 512);
  await using far = new ForgetfulServer(scratch.file(`${name}-far`), device);
  const path = scratch.file(`${name}-near`);
  await using proxy = new CuttingProxy(path, far, plan);
  const disk = await NbdDisk.connect(`nbd+unix:///disk?socket=${path}`, {
    connections: 1,
    openTimeoutMs: PATIENCE_MS,
    connectTimeoutMs: plan === undefined ? PATIENCE_MS : 300,
    silenceMs: 200,
    fenceMs: 50,
    backOff: { firstMs: 1, mostMs: 20 },
  });
  try {
    const model = await runScript(disk);
    assertEquals(device.durable, model);
    assertEquals(proxy.isDone, plan !== undefined);
    return { ...proxy.passed };
  } catch (error) {
    throw new Error(`${name}: ${error}`, { cause: error });
  } finally {
    await disk.close();
  }
}

/** Runs the exchange with a harm at each message of each direction. */
async function runAll(harm: Harm): Promise<void> {
  await using scratch = await makeScratch();
  const counts = await runWith(scratch, "whole");
  assert(counts.up > 20 && counts.down > 20, JSON.stringify(counts));
  const plans = (["up", "down"] as const).flatMap((direction) =>
    Array.from(
      // The last one says goodbye.
      { length: counts[direction] - (direction === "up" ? 1 : 0) },
      (_, message): Plan => ({ harm, direction, message }),
    )
  );
  const queue = plans.entries();
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const [index, plan] of queue) {
      const name = `${harm}-${plan.direction}-${plan.message}-${index}`;
      await runWith(scratch, name, plan);
    }
  }));
}

for (const harm of ["cut", "truncate", "stall", "swap"] as const) {
  Deno.test(`a remote disk loses nothing when the network has a ${harm} at any message`, () =>
    runAll(harm));
}
