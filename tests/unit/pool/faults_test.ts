/**
 * The faults of the original, one test each, numbered as in
 * docs/architecture.md: none of them may be here.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import type { OpenDevice } from "../../../pool/core/mod.ts";
import { openPool } from "../../../pool/mod.ts";
import { isZero } from "../../helpers/bytes.ts";
import { assertFreebsd } from "../../helpers/freebsd_checker.ts";
import { readRawLabel } from "../../helpers/freebsd_raw.ts";
import { testNatively } from "../../helpers/native.ts";
import {
  makeScratch,
  MIB,
  openSmallPool,
  pattern,
  readBytes,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";

/** A device that tells what reaches it, in order. */
function recording(log: string[]): OpenDevice {
  return (path, options) => {
    const device = new FileDevice(path, options);
    const name = path.slice(path.lastIndexOf("/") + 1);
    const write = device.write.bind(device);
    device.write = (source, offset, how) => {
      log.push(`write ${name} ${source.length} at ${offset}`);
      return write(source, offset, how);
    };
    const flush = device.flush.bind(device);
    device.flush = () => {
      const pending = flush();
      if (pending !== undefined) log.push(`flush ${name}`);
      return pending;
    };
    return device;
  };
}

Deno.test("fault 1: Pool.add() keeps the last sector free", async () => {
  await using scratch = await makeScratch();
  const { pool, paths } = await openSmallPool(scratch, 1);
  const added = scratch.file("new");
  // Exactly 8 chunks, of which the last one would cover the label.
  await pool.add([added], { createSize: 8 * SMALL_CHUNK });
  for (let i = 0; i < 12; i++) {
    await pool.volume().write(pattern(SMALL_CHUNK, i), i * SMALL_CHUNK);
  }
  assertEquals(pool.status().freeChunks, 0);
  await pool.close();
  assertEquals(readRawLabel(added).chunkCount, 7);
  const again = await openPool([...paths, added]);
  assertEquals(
    await readBytes(again.volume(), 11 * SMALL_CHUNK, SMALL_CHUNK),
    pattern(SMALL_CHUNK, 11),
  );
  await again.close();
  assertFreebsd([...paths, added]);
});

Deno.test("fault 2: Pool.remove() leaves a pool that starts again", async () => {
  await using scratch = await makeScratch();
  const { pool, paths } = await openSmallPool(scratch, 4);
  await pool.volume().write(pattern(100, 1), 0);
  const [a = "", b = "", c = "", d = ""] = paths;
  const result = await pool.remove([c]);
  assertEquals(result, { removed: [c], evacuating: [] });
  const places = pool.status().components.map((one) => [one.index, one.path]);
  assertEquals(places, [[0, a], [1, b], [2, d]]);
  await pool.close();
  assertFreebsd([a, b, d]);
  const error = await assertRejects(() => openPool([c]), VirstorError);
  assertEquals(error.code, "not-found");
  const again = await openPool([a, b, d]);
  for (let i = 0; i < 19; i++) {
    await again.volume().write(pattern(100, i), i * SMALL_CHUNK);
  }
  await again.close();
  assertFreebsd([a, b, d]);
});

Deno.test("fault 3: openPool() never hands out a chunk in use, also after a lost map entry", async () => {
  await using scratch = await makeScratch();
  const { pool, paths } = await openSmallPool(scratch, 1);
  for (let i = 0; i < 5; i++) {
    await pool.volume().write(pattern(SMALL_CHUNK, i), i * SMALL_CHUNK);
  }
  await pool.close();
  const file = await Deno.open(paths[0] ?? "", { write: true });
  await file.seek(8 * 2, Deno.SeekMode.Start); // The entry of chunk 2.
  await file.write(new Uint8Array(8));
  file.close();
  const again = await openPool(paths);
  assertEquals(again.status().freeChunks, 1);
  await again.volume().write(pattern(SMALL_CHUNK, 9), 9 * SMALL_CHUNK);
  for (const i of [0, 1, 3, 4, 9]) {
    assertEquals(
      await readBytes(again.volume(), i * SMALL_CHUNK, SMALL_CHUNK),
      pattern(SMALL_CHUNK, i),
    );
  }
  await again.close();
  assertFreebsd(paths);
});

Deno.test("fault 4: Volume.write() that waits at its second chunk has the first one mapped on disk", async () => {
  await using scratch = await makeScratch();
  const { pool, paths } = await openSmallPool(scratch, 1);
  for (let i = 0; i < 4; i++) {
    await pool.volume().write(new Uint8Array(1), i << 20);
  }
  const write = pool.volume().write(pattern(2 * SMALL_CHUNK, 1), 32 * MIB);
  const entry = new Uint8Array(8);
  const device = new FileDevice(paths[0] ?? "", { readOnly: true });
  device.read(entry, 8 * (32 * MIB / SMALL_CHUNK));
  assertEquals([...entry], [1, 0, 0, 0, 6, 0, 0, 0]);
  device.close();
  await pool.add([scratch.file("new")], { createSize: MIB });
  await write;
  await pool.close();
  assertFreebsd([...paths, scratch.file("new")]);
});

Deno.test("fault 5: the rest of a new chunk shows nothing of what the component held", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("c0");
  await Deno.writeFile(path, new Uint8Array(MIB).fill(0xee));
  const { pool } = await openSmallPool(scratch, 1);
  await pool.volume().write(pattern(1, 1), 100);
  const chunk = await readBytes(pool.volume(), 101, SMALL_CHUNK - 101);
  assert(isZero(chunk));
  await pool.close();
  assertFreebsd([path]);
});

testNatively(
  "faults 6 and 7: a write is acknowledged after its data and its map entry are in the file, in this order",
  async () => {
    await using scratch = await makeScratch();
    const log: string[] = [];
    const { pool } = await openSmallPool(scratch, 1, {
      openDevice: recording(log),
    });
    log.length = 0;
    assertEquals(
      pool.volume().write(pattern(100, 1), 3 * SMALL_CHUNK + 7),
      undefined,
    );
    assertEquals(log.filter((line) => line.startsWith("write")), [
      `write c0 100 at ${2 * SMALL_CHUNK + 7}`,
      "write c0 8 at 24",
    ]);
    await pool.close();
  },
);

Deno.test("fault 8: a virtual size that is not whole chunks or map sectors is fitted", async () => {
  await using scratch = await makeScratch();
  const { pool, paths } = await openSmallPool(scratch, 1, {
    virtualSize: 9 * MIB + 1,
  });
  assertEquals(pool.volume().size, 16 * MIB);
  await pool.volume().write(pattern(10, 1), pool.volume().size - 10);
  await pool.close();
  assertFreebsd(paths);
});

Deno.test("fault 9: Pool.add() writes the right flags", async () => {
  await using scratch = await makeScratch();
  const { pool } = await openSmallPool(scratch, 1);
  const added = [scratch.file("n1"), scratch.file("n2")];
  await pool.add(added, { createSize: MIB });
  assertEquals(added.map((path) => readRawLabel(path).flags), [0, 0]);
  for (let i = 0; i < 6; i++) {
    await pool.volume().write(new Uint8Array(1), i * SMALL_CHUNK);
  }
  await pool.close();
  const flags = [scratch.file("c0"), ...added].map((path) =>
    readRawLabel(path).flags
  );
  assertEquals(flags, [1, 3, 0]);
});

Deno.test("fault 10: a refused add changes nothing", async () => {
  await using scratch = await makeScratch();
  const { pool, paths } = await openSmallPool(scratch, 1);
  const good = scratch.file("good");
  const tiny = scratch.file("tiny");
  await Deno.writeFile(good, new Uint8Array(MIB).fill(1));
  await Deno.writeFile(tiny, new Uint8Array(1000));
  const before = await Deno.readFile(paths[0] ?? "");
  for (const bad of [tiny, scratch.path, scratch.file("none"), good]) {
    await assertRejects(() => pool.add([good, bad]), VirstorError, bad);
  }
  await assertRejects(
    () => pool.add([good, ...paths]),
    VirstorError,
    "is in the pool already",
  );
  assertEquals(await Deno.readFile(paths[0] ?? ""), before);
  assert((await Deno.readFile(good)).every((byte) => byte === 1));
  assertEquals(pool.status().components.length, 1);
  await pool.add([good]);
  await pool.close();
  assertFreebsd([...paths, good]);
});

Deno.test("fault 11: figures and warnings are right for small pools and count the reserve once", async () => {
  await using scratch = await makeScratch();
  const { pool, events } = await openSmallPool(scratch, 1);
  const empty = pool.status();
  assertEquals(empty.warnings, []);
  assertEquals([empty.usedPercent, empty.freeChunks], [0, 5]);
  for (let i = 0; i < 5; i++) {
    await pool.volume().write(new Uint8Array(1), i * SMALL_CHUNK);
  }
  const full = pool.status();
  assertEquals([full.usedPercent, full.usedChunks], [100, 5]);
  assertEquals(full.reservedChunks + 5, full.physicalChunks);
  assertEquals(full.warnings, ["All 5 chunks are in use"]);
  const warned = events.filter((event) => event.kind === "watermark");
  assertEquals(warned.length, 1);
  await pool.close();
});

Deno.test("fault 12: the label of component 0 decides, and is durable only after the others", async () => {
  await using scratch = await makeScratch();
  const log: string[] = [];
  const openDevice = recording(log);
  const { pool } = await openSmallPool(scratch, 2, { openDevice });
  const label = `512 at ${MIB - 512}`;
  log.length = 0;
  await pool.add([scratch.file("new")], { createSize: MIB, openDevice });
  const steps = log.filter((line) => !line.startsWith("write new"))
    .filter((line, i, all) => line !== all[i - 1]);
  assertEquals(steps, [
    "flush new",
    `write c0 ${label}`,
    "flush c0",
    "flush new",
    `write c1 ${label}`,
    "flush c1",
  ]);
  log.length = 0;
  await pool.remove([scratch.file("new")]);
  assertEquals(log, [
    `write new ${label}`,
    "flush new",
    `write c0 ${label}`,
    "flush c0",
    `write c1 ${label}`,
    "flush c1",
    `write new ${label}`,
    "flush new",
  ]);
  await pool.close();
});

for (const change of ["add", "remove"] as const) {
  Deno.test(`fault 12: a step to the next component in the middle of ${change} does not take it back`, async () => {
    await using scratch = await makeScratch();
    const committed = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const target = change === "add" ? 4 : 2;
    let isWatching = false;
    const { pool, paths } = await openSmallPool(scratch, 3, {
      openDevice: (path, options) => {
        const device = new FileDevice(path, options);
        const flush = device.flush.bind(device);
        device.flush = () => {
          const decides = isWatching && path.endsWith("c0") &&
            readRawLabel(path).count === target;
          if (!decides) return flush();
          committed.resolve();
          return release.promise.then(() => flush());
        };
        return device;
      },
    });
    for (let i = 0; i < 5; i++) {
      await pool.volume().write(pattern(100, i), i * SMALL_CHUNK);
    }
    isWatching = true;
    // The deciding label is written, and being made durable.
    const done = change === "add"
      ? pool.add([scratch.file("new")], { createSize: MIB })
      : pool.remove([scratch.file("c2")]);
    await committed.promise;
    // Meanwhile a write needs the first chunk of the next component.
    const write = pool.volume().write(pattern(100, 5), 5 * SMALL_CHUNK);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals(readRawLabel(paths[0] ?? "").count, target);
    release.resolve();
    await done;
    await write;
    assertEquals(readRawLabel(paths[0] ?? "").count, target);
    await pool.close();
    assertFreebsd(
      change === "add" ? [...paths, scratch.file("new")] : paths.slice(0, 2),
    );
  });
}

Deno.test("fault 13: Volume.flush() makes data and map durable on every component touched", async () => {
  await using scratch = await makeScratch();
  const log: string[] = [];
  const { pool } = await openSmallPool(scratch, 3, {
    openDevice: recording(log),
  });
  for (let i = 0; i < 6; i++) {
    await pool.volume().write(new Uint8Array(1), i * SMALL_CHUNK);
  }
  await pool.volume().flush();
  log.length = 0;
  await pool.volume().write(new Uint8Array(1), 7 * SMALL_CHUNK);
  const [one, two] = [pool.volume().flush(), pool.volume().flush()];
  await Promise.all([one, two]);
  const flushed = log.filter((line) => line.startsWith("flush"));
  assertEquals([...new Set(flushed)].toSorted(), ["flush c0", "flush c1"]);
  assertEquals(pool.volume().flush(), undefined);
  await pool.close();
});

Deno.test("fault 14: waiting writes have a bound and a timeout", async () => {
  await using scratch = await makeScratch();
  const { pool } = await openSmallPool(scratch, 1, {
    fullTimeoutSeconds: 0.05,
    maxDelayedBytes: 4096,
  });
  for (let i = 0; i < 5; i++) {
    await pool.volume().write(new Uint8Array(1), i * SMALL_CHUNK);
  }
  const write = pool.volume().write(new Uint8Array(4096), 10 * SMALL_CHUNK);
  assert(pool.volume().congestion !== undefined);
  const error = await assertRejects(async () => await write, VirstorError);
  assertEquals(error.code, "no-space");
  assertEquals(pool.volume().congestion, undefined);
  await pool.close();
});

Deno.test("fault 16: deletions of 4 GiB and more end", async () => {
  await using scratch = await makeScratch();
  const { pool, paths } = await openSmallPool(scratch, 1, {
    virtualSize: 2 ** 33,
    chunkSize: MIB,
    createSize: 8 * MIB,
  });
  await pool.volume().write(pattern(100, 1), 2 ** 32 + 5);
  await pool.volume().discard(0, pool.volume().size);
  await pool.volume().writeZeroes(0, pool.volume().size);
  const bytes = await readBytes(pool.volume(), 2 ** 32, 200);
  assert(isZero(bytes));
  await pool.close();
  assertFreebsd(paths);
});
