/**
 * The simulated disks keep what is assumed of real ones, and no more.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { VirstorError } from "../../errors.ts";
import type { ComponentDevice } from "../../pool/core/mod.ts";
import { Random } from "./random.ts";
import { SimulatedDisk } from "./simulated_disk.ts";

const SIZE = 8192;

function diskWith(content: number, punches = true): {
  disk: SimulatedDisk;
  device: ComponentDevice;
} {
  const disk = new SimulatedDisk({ punches });
  disk.create("a", new Uint8Array(SIZE).fill(content));
  return { disk, device: disk.open("a", {}) };
}

Deno.test("SimulatedDisk loses what was not flushed, sector by sector", async () => {
  const { disk, device } = diskWith(0);
  device.write(new Uint8Array(1024).fill(1), 0);
  await device.flush();
  device.write(new Uint8Array(1024).fill(2), 256);
  disk.restart("none", new Random(1));
  assertEquals(
    disk.file("a").bytes.subarray(0, 1024),
    new Uint8Array(1024).fill(1),
  );
  assertThrows(
    () => device.read(new Uint8Array(1), 0),
    VirstorError,
    "The power is cut",
  );
});

Deno.test("SimulatedDisk keeps some sectors of a write and loses others", () => {
  const { disk, device } = diskWith(1);
  device.write(new Uint8Array(SIZE).fill(2), 0);
  disk.restart("some", new Random(1));
  const { bytes } = disk.file("a");
  const sectors = Array.from({ length: SIZE / 512 }, (_, i) => bytes[i * 512]);
  assertEquals(new Set(sectors), new Set([1, 2]));
});

Deno.test("SimulatedDevice.extents() tells holes from data inside a range", () => {
  const { device } = diskWith(1);
  device.writeZeroes(1000, 2000);
  assertEquals(device.extents(0, 4096), [
    { length: 1024, kind: "data" },
    { length: 1536, kind: "hole" },
    { length: 1536, kind: "data" },
  ]);
  const { device: other } = diskWith(0, false);
  assertEquals(other.extents(0, 4096), [{ length: 4096, kind: "data" }]);
});

Deno.test("SimulatedDevice.flush() tells its observer what a flush covers", async () => {
  const { disk, device } = diskWith(0);
  const told: string[] = [];
  device.observer = {
    flushBegins: () => told.push(`begins, ${disk.file("a").pending} pending`),
    flushEnds: () => told.push(`ends, ${disk.file("a").pending} pending`),
  };
  device.write(new Uint8Array(1), 0);
  const first = device.flush();
  device.write(new Uint8Array(1), 1);
  device.write(new Uint8Array(1), 2);
  // The one that runs does not cover them; all that come share the next one.
  const others = [device.flush(), device.flush()];
  await first;
  // It has not begun, though the first one is over.
  others.push(device.flush());
  await Promise.all(others);
  assertEquals(told, [
    "begins, 1 pending",
    "ends, 2 pending",
    "begins, 2 pending",
    "ends, 0 pending",
  ]);
});

Deno.test("SimulatedDevice is full where it has holes only", () => {
  const { disk, device } = diskWith(1);
  device.discard(1024, 512);
  disk.setFault({ kind: "full", first: 0, persistent: true });
  device.write(new Uint8Array(1024).fill(2), 0);
  const error = assertThrows(
    () => device.write(new Uint8Array(1024).fill(3), 512),
    VirstorError,
  );
  assertEquals(error.code, "no-space");
  const { bytes } = disk.file("a");
  // As much as there was room for is written all the same.
  assertEquals([bytes[0], bytes[512], bytes[1024], bytes[1536]], [2, 3, 0, 1]);
});
