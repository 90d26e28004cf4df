/**
 * Goal: the device in memory keeps the promises of a block device.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import { AssertionError, VirstorError } from "../../../errors.ts";

Deno.test("MemoryDevice reads what was written, and zeroes elsewhere", () => {
  const device = new MemoryDevice(4096);
  const source = new Uint8Array([1, 2, 3]);
  assertEquals(device.write(source, 100), undefined);
  source.fill(9);
  const target = new Uint8Array(5);
  assertEquals(device.read(target, 99), undefined);
  assertEquals(target, new Uint8Array([0, 1, 2, 3, 0]));
});

Deno.test("MemoryDevice uses given bytes in place", () => {
  const bytes = new Uint8Array([1, 2, 3, 4]);
  const device = new MemoryDevice(bytes);
  assertEquals(device.size, 4);
  device.write(new Uint8Array([7]), 3);
  assertEquals(bytes, new Uint8Array([1, 2, 3, 7]));
});

Deno.test("MemoryDevice gives zeroes after discard and writeZeroes", () => {
  const device = new MemoryDevice(new Uint8Array(8).fill(5));
  device.discard(0, 2);
  device.writeZeroes(6, 2);
  device.flush();
  const target = new Uint8Array(8);
  device.read(target, 0);
  assertEquals(target, new Uint8Array([0, 0, 5, 5, 5, 5, 0, 0]));
  assertEquals(device.extents(0, 8), [{ length: 8, kind: "data" }]);
});

Deno.test("MemoryDevice refuses writes when it is read-only", () => {
  const device = new MemoryDevice(512, { readOnly: true });
  const writes = [
    () => device.write(new Uint8Array(1), 0),
    () => device.discard(0, 1),
    () => device.writeZeroes(0, 1),
  ];
  for (const write of writes) {
    assertThrows(write, VirstorError, "memory device: it is read-only");
  }
  device.read(new Uint8Array(512), 0);
  assertEquals(device.capabilities, {
    readOnly: true,
    discard: false,
    fastZeroes: false,
  });
});

Deno.test("MemoryDevice asserts ranges and blocks", () => {
  const device = new MemoryDevice(4096, { blockSize: 512 });
  for (const [offset, length] of [[4096, 512], [-512, 512], [0.5, 512]]) {
    const target = new Uint8Array(length ?? 0);
    assertThrows(() => device.read(target, offset ?? 0), AssertionError);
  }
  assertThrows(() => device.read(new Uint8Array(100), 0), AssertionError);
  assertThrows(() => device.write(new Uint8Array(512), 1), AssertionError);
  assertThrows(() => new MemoryDevice(100, { blockSize: 512 }), AssertionError);
  assertThrows(() => new MemoryDevice(600, { blockSize: 3 }), AssertionError);
});

Deno.test("MemoryDevice fails all I/O after close()", () => {
  const device = new MemoryDevice(512);
  device.close();
  device.close();
  const all = [
    () => device.read(new Uint8Array(1), 0),
    () => device.write(new Uint8Array(1), 0),
    () => device.flush(),
    () => device.discard(0, 1),
    () => device.writeZeroes(0, 1),
    () => device.extents(0, 1),
  ];
  for (const use of all) assertThrows(use, VirstorError, "it is closed");
});
