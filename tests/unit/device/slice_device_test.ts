/**
 * Goal: a slice is a range of its device and nothing else of it.
 *
 * @module
 */

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import {
  type BlockDevice,
  type Completion,
  type Extent,
  FileDevice,
  MemoryDevice,
  SliceDevice,
  type WriteOptions,
  type WriteZeroesOptions,
} from "../../../device/mod.ts";
import type { Leases } from "../../../device/leases/mod.ts";
import { AssertionError, VirstorError } from "../../../errors.ts";
import { testNatively } from "../../helpers/native.ts";
import { makeQuickScratch, makeSparse } from "../../helpers/small_pools.ts";

/** 4 KiB of sevens. */
function sevens(): Uint8Array {
  return new Uint8Array(4096).fill(7);
}

Deno.test("SliceDevice reads, writes and zeroes inside its range, and nothing beside it", () => {
  const bytes = sevens();
  const slice = new SliceDevice(new MemoryDevice(bytes), 1000, 2000);
  assertEquals([slice.size, slice.blockSize], [2000, 1]);
  slice.write(Uint8Array.of(1, 2), 0);
  slice.write(Uint8Array.of(3), 1999);
  slice.writeZeroes(10, 20);
  slice.discard(100, 50);
  const wanted = sevens().fill(0, 1010, 1030).fill(0, 1100, 1150);
  wanted.set([1, 2], 1000);
  wanted.set([3], 2999);
  assertEquals(bytes, wanted);
  const target = new Uint8Array(2000);
  assertEquals(slice.read(target, 0), undefined);
  assertEquals(target, wanted.slice(1000, 3000));
});

Deno.test("SliceDevice may be all of its device, nothing of it, or a slice of a slice", () => {
  const bytes = sevens();
  const device = new MemoryDevice(bytes);
  const all = new SliceDevice(device, 0, 4096);
  const inner = new SliceDevice(new SliceDevice(all, 1000, 1000), 500, 500);
  inner.write(Uint8Array.of(1), 499);
  assertEquals(bytes.indexOf(1), 1999);
  const none = new SliceDevice(device, 4096, 0);
  assertEquals(none.read(new Uint8Array(0), 0), undefined);
  assertThrows(() => none.read(new Uint8Array(1), 0), AssertionError);
});

Deno.test("SliceDevice asserts ranges, of itself and of requests", () => {
  const device = new MemoryDevice(4096, { blockSize: 512 });
  const ranges = [
    [0, 4608],
    [4096, 512],
    [-512, 512],
    [0, -512],
    [100, 512],
    [512, 100],
    [0.5, 512],
  ];
  for (const [offset = 0, size = 0] of ranges) {
    assertThrows(() => new SliceDevice(device, offset, size), AssertionError);
  }
  // What would still be on the device, but is not in the slice.
  const slice = new SliceDevice(device, 1024, 1024);
  for (
    const [offset = 0, length = 0] of [[1024, 512], [512, 1024], [-512, 512]]
  ) {
    const bytes = new Uint8Array(length);
    const all = [
      () => slice.read(bytes, offset),
      () => slice.write(bytes, offset),
      () => slice.discard(offset, length),
      () => slice.writeZeroes(offset, length),
      () => slice.extents(offset, length),
    ];
    for (const use of all) {
      assertThrows(use, AssertionError, "inside the slice");
    }
  }
});

Deno.test("SliceDevice hands on what it is asked, and what it is answered", async () => {
  const log: unknown[] = [];
  const later = Promise.resolve();
  const note = (...what: unknown[]): Completion => {
    log.push(what);
    return later;
  };
  const device: BlockDevice = {
    size: 4096,
    blockSize: 1,
    capabilities: { readOnly: true, discard: false, fastZeroes: true },
    congestion: later,
    read: (_, offset) => note("read", offset),
    write: (_, offset, options) => note("write", offset, options),
    flush: () => note("flush"),
    discard: (...all) => note("discard", ...all),
    writeZeroes: (...all) => note("writeZeroes", ...all),
    extents: (offset, length) => {
      note("extents", offset, length);
      return [{ length, kind: "zero" }];
    },
    close: () => note("close"),
  };
  const slice = new SliceDevice(device, 1000, 1000);
  const how: WriteOptions = { fua: true };
  const zeroes: WriteZeroesOptions = { noHole: true, fastOnly: true };
  const answers = [
    slice.read(new Uint8Array(5), 1),
    slice.write(new Uint8Array(5), 2, how),
    slice.flush(),
    slice.discard(3, 5, how),
    slice.writeZeroes(4, 5, zeroes),
  ];
  for (const answer of answers) assertStrictEquals(answer, later);
  assertEquals(slice.extents(5, 5), [{ length: 5, kind: "zero" }]);
  assertEquals(slice.close(), undefined);
  assertEquals(log, [
    ["read", 1001],
    ["write", 1002, how],
    ["flush"],
    ["discard", 1003, 5, how],
    ["writeZeroes", 1004, 5, zeroes],
    ["extents", 1005, 5],
  ]);
  assertStrictEquals(slice.capabilities, device.capabilities);
  assertStrictEquals(slice.congestion, later);
  await later;
});

/** Members that a device may have or not. */
type OptionalMember = {
  [Name in keyof BlockDevice]-?: undefined extends BlockDevice[Name] ? Name
    : never;
}[keyof BlockDevice];

Deno.test("SliceDevice has every member that its device has, but for leases", () => {
  // A member that is new, or gone, has to be added here, or taken away.
  const members: Record<OptionalMember, "handed on" | "not to be had"> = {
    congestion: "handed on",
    leadingHole: "handed on",
    // The threads would address the whole device.
    leases: "not to be had",
    waits: "handed on",
  };
  const log: unknown[] = [];
  class Device extends MemoryDevice {
    readonly congestion = Promise.resolve();
    readonly waits = 3;
    readonly leases = {} as Leases;

    leadingHole(offset: number, length: number): number {
      log.push(["leadingHole", offset, length]);
      return 17;
    }

    override flush(): Completion {
      log.push("flush");
      return super.flush();
    }

    override extents(offset: number, length: number, limit?: number): Extent[] {
      log.push(["extents", offset, length, limit]);
      return super.extents(offset, length);
    }
  }
  const device: BlockDevice = new Device(4096);
  const slice: BlockDevice = new SliceDevice(device, 1000, 1000);
  for (const [name, wanted] of Object.entries(members)) {
    const found = slice[name as OptionalMember] !== undefined;
    assertEquals(found, wanted === "handed on", name);
  }
  assertStrictEquals(slice.congestion, device.congestion);
  assertEquals(slice.waits, 3);
  slice.flush();
  assertEquals(slice.leadingHole?.(5, 20), 17);
  slice.extents(6, 7, 8);
  slice.extents(6, 7);
  assertEquals(log, [
    "flush",
    ["leadingHole", 1005, 20],
    ["extents", 1006, 7, 8],
    ["extents", 1006, 7, undefined],
  ]);
  // These two fail never, and tell nothing that the slice does not hold.
  assertEquals(slice.leadingHole?.(990, 20), 0);
  slice.close();
  assertEquals(slice.leadingHole?.(5, 20), 0);
  assertEquals(log.length, 4);
});

testNatively("SliceDevice tells data and holes of its range", async () => {
  await using scratch = await makeQuickScratch();
  const device = new FileDevice(makeSparse(scratch.file("disk"), 1 << 20));
  device.write(new Uint8Array(65_536).fill(1), 131_072);
  device.write(new Uint8Array(65_536).fill(1), 983_040);
  const slice = new SliceDevice(device, 65_536, 262_144);
  assertEquals(slice.extents(0, 262_144), [
    { length: 65_536, kind: "hole" },
    { length: 65_536, kind: "data" },
    { length: 131_072, kind: "hole" },
  ]);
  device.close();
});

Deno.test("SliceDevice fails all I/O after close(), and its device goes on", () => {
  const device = new MemoryDevice(4096);
  const slice = new SliceDevice(device, 512, 512);
  const other = new SliceDevice(device, 512, 512);
  slice.close();
  slice.close();
  const all = [
    () => slice.read(new Uint8Array(1), 0),
    () => slice.write(new Uint8Array(1), 0),
    () => slice.flush(),
    () => slice.discard(0, 1),
    () => slice.writeZeroes(0, 1),
    () => slice.extents(0, 1),
  ];
  for (const use of all) {
    const error = assertThrows(use, VirstorError, "it is closed");
    assertEquals(error.code, "io");
  }
  other.write(Uint8Array.of(5), 0);
  const target = new Uint8Array(1);
  device.read(target, 512);
  assertEquals(target, Uint8Array.of(5));
});
