/**
 * A pool as a block device: what is written is read, what was never written
 * reads as zeroes, and all of it is there after a stop.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FileDevice, type FileDeviceOptions } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { openPool } from "../../../pool/mod.ts";
import { isZero } from "../../helpers/bytes.ts";
import { assertFreebsd } from "../../helpers/freebsd_checker.ts";
import { testNatively } from "../../helpers/native.ts";
import {
  KIB,
  makeScratch,
  MIB,
  openSmallPool,
  pattern,
  readBytes,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  assertSound,
  makeQuickScratch,
  testFormats,
} from "../../helpers/small_pools.ts";

testFormats("Pool reads zeroes where nothing was written", async (format) => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2, { format });
  assert(isZero(await readBytes(pool.volume(), 0, 300 * KIB)));
  assert(isZero(await readBytes(pool.volume(), pool.volume().size - 1, 1)));
  assertEquals(pool.status().mappedChunks, 0);
  await pool.close();
  await assertSound(format, paths);
});

testFormats(
  "Pool keeps writes of any place and length over a stop",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool, paths } = await openSmallPool(scratch, 2, { format });
    const writes = [
      { offset: 0, length: 1 },
      { offset: SMALL_CHUNK - 1, length: 2 },
      { offset: 5 * SMALL_CHUNK + 17, length: 3 * SMALL_CHUNK },
      { offset: pool.volume().size - 4096, length: 4096 },
      { offset: 6 * SMALL_CHUNK, length: 512 },
    ];
    const model = new Uint8Array(pool.volume().size);
    for (const [i, { offset, length }] of writes.entries()) {
      const bytes = pattern(length, i + 1);
      await pool.volume().write(bytes, offset);
      model.set(bytes, offset);
    }
    assertEquals(await readBytes(pool.volume(), 0, pool.volume().size), model);
    await pool.volume().flush();
    await pool.close();
    await assertSound(format, paths);
    const again = await openPool(paths.toReversed());
    assertEquals(await readBytes(again.volume(), 0, pool.volume().size), model);
    assertEquals(await again.check(), []);
    await again.close();
    await assertSound(format, paths);
  },
);

testFormats(
  "Pool allocates in order, component after component",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool, paths } = await openSmallPool(scratch, 3, { format });
    for (let i = 0; i < 8; i++) {
      await pool.volume().write(new Uint8Array([i]), (63 - i) * SMALL_CHUNK);
    }
    const used = pool.status().components.map((one) => one.used);
    assertEquals(used, [5, 3, 0]);
    await pool.close();
    await assertSound(format, paths);
  },
);

for (const holes of [true, false]) {
  const how = holes ? "with" : "without";
  testFormats(
    `Pool shows zeroes in the rest of a fresh chunk, whatever the component held before, ${how} holes`,
    async (format) => {
      await using scratch = await makeQuickScratch();
      const paths = [scratch.file("c0"), scratch.file("c1")];
      for (const path of paths) {
        await Deno.writeFile(path, new Uint8Array(MIB).fill(0xee));
      }
      const { pool } = await openSmallPool(scratch, 2, {
        format,
        ...holes ? {} : { openDevice: withoutHoles },
      });
      // Spoil the free chunks behind the pool's back, as an older pool would
      // have left them, where the pool has not made them ready yet.
      await pool.volume().write(pattern(10, 1), 7 * SMALL_CHUNK + 5);
      const chunk = await readBytes(
        pool.volume(),
        7 * SMALL_CHUNK,
        SMALL_CHUNK,
      );
      assertEquals(chunk.subarray(5, 15), pattern(10, 1));
      assert(isZero(chunk.subarray(0, 5)) && isZero(chunk.subarray(15)));
      for (let i = 0; i < 11; i++) {
        await pool.volume().write(new Uint8Array([1]), (20 + i) * SMALL_CHUNK);
        const rest = await readBytes(
          pool.volume(),
          (20 + i) * SMALL_CHUNK + 1,
          SMALL_CHUNK - 1,
        );
        assert(isZero(rest), `chunk ${i} shows what the component held`);
      }
      assertEquals(pool.status().freeChunks, 0);
      await pool.close();
      await assertSound(format, paths);
    },
  );
}

Deno.test("openPool() makes free chunks of format 1 read as zeroes again after a lost map entry", async () => {
  await using scratch = await makeScratch();
  const { pool, paths } = await openSmallPool(scratch, 1);
  await pool.volume().write(pattern(SMALL_CHUNK, 1), 0);
  await pool.volume().write(pattern(SMALL_CHUNK, 2), SMALL_CHUNK);
  await pool.close();
  // A power cut kept the data of the second chunk and lost its map entry.
  const file = await Deno.open(paths[0] ?? "", { write: true });
  await file.seek(8, Deno.SeekMode.Start);
  await file.write(new Uint8Array(8));
  file.close();
  const again = await openPool(paths);
  await again.volume().write(pattern(1, 3), 5 * SMALL_CHUNK);
  const chunk = await readBytes(
    again.volume(),
    5 * SMALL_CHUNK + 1,
    SMALL_CHUNK - 1,
  );
  assert(isZero(chunk), "another chunk's bytes show");
  await again.close();
  assertFreebsd(paths);
});

testFormats(
  "Volume.writeZeroes() zeroes what is mapped and allocates nothing else",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool, paths } = await openSmallPool(scratch, 2, { format });
    await pool.volume().write(pattern(SMALL_CHUNK, 1), SMALL_CHUNK);
    await pool.volume().writeZeroes(0, SMALL_CHUNK + 100);
    assertEquals(pool.status().mappedChunks, 1);
    const chunk = await readBytes(pool.volume(), SMALL_CHUNK, SMALL_CHUNK);
    assert(isZero(chunk.subarray(0, 100)));
    assertEquals(chunk.subarray(100), pattern(SMALL_CHUNK, 1).subarray(100));
    // The whole disk at once ends, too (the original looped for ever).
    await pool.volume().writeZeroes(0, pool.volume().size);
    assert(isZero(await readBytes(pool.volume(), 0, pool.volume().size)));
    await pool.close();
    await assertSound(format, paths);
  },
);

testFormats("Volume.writeZeroes() takes chunks with noHole", async (format) => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2, { format });
  await pool.volume().writeZeroes(100, 2 * SMALL_CHUNK, { noHole: true });
  assertEquals(pool.status().mappedChunks, 3);
  assert(isZero(await readBytes(pool.volume(), 0, 4 * SMALL_CHUNK)));
  await pool.close();
  await assertSound(format, paths);
});

testNatively(
  "Volume.discard() gives host space back and unmaps nothing in format 1",
  async () => {
    await using scratch = await makeScratch();
    const { pool, paths } = await openSmallPool(scratch, 1);
    await pool.volume().write(pattern(2 * SMALL_CHUNK, 1), 0);
    await pool.volume().flush();
    const blocks = () => Deno.statSync(paths[0] ?? "").blocks ?? 0;
    const before = blocks();
    await pool.volume().discard(0, pool.volume().size);
    await pool.volume().flush();
    assert(blocks() <= before - 2 * SMALL_CHUNK / 512 + 16);
    assertEquals(pool.status().mappedChunks, 2);
    assert(isZero(await readBytes(pool.volume(), 0, 2 * SMALL_CHUNK)));
    await pool.close();
    assertFreebsd(paths);
  },
);

testFormats(
  "Volume.extents() tells mapped and unmapped runs apart",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 2, { format });
    await pool.volume().write(new Uint8Array(2 * SMALL_CHUNK), 3 * SMALL_CHUNK);
    assertEquals(pool.volume().extents(100, 10 * SMALL_CHUNK), [
      { length: 3 * SMALL_CHUNK - 100, kind: "hole" },
      { length: 2 * SMALL_CHUNK, kind: "data" },
      { length: 5 * SMALL_CHUNK + 100, kind: "hole" },
    ]);
    assertEquals(pool.volume().extents(0, 1), [{ length: 1, kind: "hole" }]);
    await pool.close();
  },
);

testFormats(
  "Pool refuses writes when it is read-only, and changes no byte",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool, paths } = await openSmallPool(scratch, 1, { format });
    await pool.volume().write(pattern(10, 1), 0);
    await pool.close();
    const before = await Deno.readFile(paths[0] ?? "");
    const reader = await openPool(paths, { readOnly: true });
    assertEquals(await readBytes(reader.volume(), 0, 10), pattern(10, 1));
    for (
      const act of [
        () => reader.volume().write(new Uint8Array(1), 0),
        () => reader.volume().discard(0, 1),
        () => reader.volume().writeZeroes(0, 1),
      ]
    ) {
      const error = assertThrows(act, VirstorError, "for reading only");
      assertEquals(error.code, "read-only");
    }
    await assertRejects(() => reader.add(paths), VirstorError, "reading only");
    await reader.close();
    assertEquals(await Deno.readFile(paths[0] ?? ""), before);
  },
);

testFormats(
  "Pool fails requests after close(), which may be called again",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 1, { format });
    await pool.close();
    await pool.close();
    const act = () => pool.volume().write(new Uint8Array(1), 0);
    assertEquals(assertThrows(act, VirstorError).code, "shutdown");
    assertThrows(() => pool.volume().read(new Uint8Array(1), 0), VirstorError);
    assertThrows(() => pool.volume().flush(), VirstorError);
  },
);

testFormats(
  "openPool() locks the components and names the holder",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool, paths } = await openSmallPool(scratch, 1, { format });
    const error = await assertRejects(
      () => openPool(paths),
      VirstorError,
      `in use by process ${Deno.pid}`,
    );
    assertEquals(error.code, "busy");
    await pool.close();
    await (await openPool(paths)).close();
  },
  testNatively,
);

testFormats(
  "Pool takes no more writes after a map entry could not be written",
  async (format) => {
    await using scratch = await makeQuickScratch();
    let broken = false;
    const { pool, paths, events } = await openSmallPool(scratch, 1, {
      format,
      openDevice: (path, options) => {
        const device = new FileDevice(path, options);
        const write = device.write.bind(device);
        // The map lies at the start of component 0, the table at its end.
        const isMap = (offset: number) =>
          format === "freebsd"
            ? offset < 2 * SMALL_CHUNK
            : offset >= 5 * SMALL_CHUNK;
        device.write = (source, offset, how) => {
          if (broken && isMap(offset)) {
            throw new VirstorError("io", "Cannot write: the disk is on fire");
          }
          return write(source, offset, how);
        };
        return device;
      },
    });
    await pool.volume().write(pattern(10, 1), 0);
    broken = true;
    const first = () => pool.volume().write(pattern(10, 2), SMALL_CHUNK);
    assertEquals(assertThrows(first, VirstorError, "on fire").code, "failed");
    broken = false;
    const later = () => pool.volume().write(pattern(10, 3), 0);
    assertEquals(assertThrows(later, VirstorError, "on fire").code, "failed");
    assertThrows(() => pool.volume().flush(), VirstorError, "on fire");
    assertEquals(await readBytes(pool.volume(), 0, 10), pattern(10, 1));
    assertEquals(pool.status().state, "failed");
    assert(pool.status().reason.includes("on fire"));
    assertEquals(events.at(-1)?.kind, "failed");
    await pool.close();
    const again = await openPool(paths);
    assertEquals(await readBytes(again.volume(), 0, 10), pattern(10, 1));
    await again.close();
    await assertSound(format, paths);
  },
);

testFormats(
  "Pool shows nothing of a first write that failed half way in the chunk that is mapped next",
  async (format) => {
    await using scratch = await makeQuickScratch();
    let room = Infinity;
    const { pool, paths } = await openSmallPool(scratch, 1, {
      format,
      openDevice: (path, options) => {
        const device = new FileDevice(path, options);
        const write = device.write.bind(device);
        device.write = (source, offset, how) => {
          if (source.length <= room) return write(source, offset, how);
          write(source.subarray(0, room), offset, how);
          throw new VirstorError("no-space", "Cannot write: the disk is full");
        };
        return device;
      },
    });
    room = 5000;
    const first = () => pool.volume().write(pattern(20_000, 1), 0);
    assertThrows(first, VirstorError, "the disk is full");
    room = Infinity;
    await pool.volume().write(pattern(10, 2), SMALL_CHUNK);
    const rest = await readBytes(
      pool.volume(),
      SMALL_CHUNK + 10,
      SMALL_CHUNK - 10,
    );
    assert(isZero(rest), "another chunk's bytes show");
    assert(isZero(await readBytes(pool.volume(), 0, 20_000)));
    await pool.close();
    await assertSound(format, paths);
  },
  testNatively,
);

testFormats(
  "Volume.flush() that fails on several components fails once, and leaves no rejection behind",
  async (format) => {
    await using scratch = await makeQuickScratch();
    let broken = false;
    const failure = new VirstorError("io", "Cannot flush: no spindle turns");
    const { pool } = await openSmallPool(scratch, 2, {
      format,
      openDevice: (path, options) => {
        const device = new FileDevice(path, options);
        const flush = device.flush.bind(device);
        device.flush = () => {
          if (!broken) return flush();
          // The first one later, the second one at once.
          if (path.endsWith("0")) return Promise.reject(failure);
          throw failure;
        };
        return device;
      },
    });
    await pool.volume().write(pattern(10, 1), 0);
    broken = true;
    assertThrows(() => pool.volume().flush(), VirstorError, "no spindle turns");
    await new Promise((resolve) => setTimeout(resolve, 5));
    assertEquals(pool.status().state, "failed");
    broken = false;
    await pool.close();
  },
);

testFormats(
  "Pool takes no writes when the zeroes of free chunks could not be made durable",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool, paths } = await openSmallPool(scratch, 1, { format });
    await pool.close();
    // The free chunks hold what a lost chunk left behind.
    const [path = ""] = paths;
    const file = await Deno.open(path, { write: true });
    const first = format === "freebsd" ? 2 : 0;
    await file.seek(first * SMALL_CHUNK, Deno.SeekMode.Start);
    await file.write(new Uint8Array(SMALL_CHUNK).fill(0xee));
    file.close();
    let punched = false;
    const again = await openPool(paths, {
      openDevice: (path, options) => {
        const device = new FileDevice(path, options);
        const writeZeroes = device.writeZeroes.bind(device);
        device.writeZeroes = (...args) => {
          punched = true;
          return writeZeroes(...args);
        };
        const flush = device.flush.bind(device);
        device.flush = () => {
          if (!punched) return flush();
          throw new VirstorError("io", "Cannot flush: no spindle turns");
        };
        return device;
      },
    });
    assert(punched);
    // Holes by now, but a power cut may bring back what was there.
    const write = () => again.volume().write(pattern(10, 1), 0);
    const error = assertThrows(write, VirstorError, "no spindle turns");
    assertEquals(error.code, "failed");
    assertEquals(again.status().state, "failed");
    await again.close();
  },
  testNatively,
);

function withoutHoles(
  path: string,
  options: FileDeviceOptions,
): FileDevice {
  return new FileDevice(path, { ...options, native: false });
}
