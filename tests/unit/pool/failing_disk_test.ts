/**
 * Disks that fail under a pool: a full file system, files that are truncated
 * or deleted. Detected doubt stops writes, reads go on, the status says
 * why.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import {
  type FormatName,
  inspectComponents,
  labelPool,
  openPool,
  type Pool,
} from "../../../pool/mod.ts";
import { NO_NATIVE_CALLS } from "../../helpers/native.ts";
import { testUnless } from "../../helpers/peers.ts";
import {
  componentSize,
  FORMATS,
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
import { mountTiny, whyNoMount } from "../../helpers/tiny_fs.ts";

/** Opens a new pool, the first virtual chunks of which are written to. */
async function openWrittenPool(
  format: FormatName,
  paths: readonly string[],
  virtualSize: number,
  chunks: number,
): Promise<Pool> {
  await labelPool({
    name: "small",
    format,
    paths,
    createSize: componentSize(format, 7),
    chunkSize: SMALL_CHUNK,
    virtualSize,
  });
  const pool = await openPool(paths);
  for (let i = 0; i < chunks; i++) {
    await pool.volume().write(pattern(100, i), i * SMALL_CHUNK);
  }
  return pool;
}

/** Uses up what a file system has left. */
async function fill(path: string): Promise<void> {
  const file = await Deno.open(path, { write: true, create: true });
  try {
    for (;;) await file.write(new Uint8Array(4096));
  } catch {
    // Full.
  } finally {
    file.close();
  }
}

// Without native calls chunks are made ready by writing zeroes, ahead of need.
const reason = NO_NATIVE_CALLS ?? await whyNoMount();

for (const format of FORMATS) {
  testUnless(
    `Pool fails a write that finds the host's file system full, and goes on (${format})`,
    reason,
    async () => {
      await using scratch = await makeScratch();
      await using tiny = await mountTiny(scratch.file("tiny"));
      const paths = [scratch.file("a"), tiny.file("b")];
      // All that there are on the first component.
      const count = format === "freebsd" ? 5 : 7;
      const pool = await openWrittenPool(format, paths, 64 * MIB, count);
      await fill(tiny.file("filler"));
      const act = async () =>
        await pool.volume().write(pattern(100, count), count * SMALL_CHUNK);
      const error = await assertRejects(act, VirstorError, "No space left");
      assertEquals(error.code, "no-space");
      // Nothing was mapped, nothing is in doubt.
      assertEquals(pool.status().mappedChunks, count);
      await pool.volume().write(pattern(100, 9), 0);
      await Deno.remove(tiny.file("filler"));
      await act();
      assertEquals(pool.status().state, "open");
      await pool.close();
      await assertSound(format, paths);
    },
  );
}

testUnless(
  "Pool names the component whose file system is full, and warns of it until it is not",
  reason,
  async () => {
    await using scratch = await makeScratch();
    await using tiny = await mountTiny(scratch.file("tiny"));
    const paths = [tiny.file("a"), scratch.file("b")];
    const pool = await openWrittenPool("native", paths, 64 * MIB, 2);
    const [full = "", roomy = ""] = paths;
    await pool.lookAtHosts();
    const before = pool.status();
    const [a, b] = before.components;
    assert(a !== undefined && a.hostFree !== null && a.hostFree > SMALL_CHUNK);
    assert(b !== undefined && b.hostFree !== null);
    assertEquals([a.refusedSince, b.refusedSince], [null, null]);
    assert(!before.warnings.some((warning) => warning.includes(full)));
    await fill(tiny.file("filler"));
    // It is known before any write fails, also of a stopped pool.
    await pool.lookAtHosts();
    const warned = () =>
      pool.status().warnings.filter((warning) => warning.includes(full));
    assertEquals(warned().length, 1);
    assert(warned()[0]?.includes("0 bytes left"), warned()[0]);
    const start = Date.now();
    for (
      const act of [
        // Mapped, and a hole.
        async () =>
          await pool.volume().write(pattern(100, 2), SMALL_CHUNK + 65_536),
        async () =>
          await pool.volume().write(pattern(SMALL_CHUNK, 2), SMALL_CHUNK / 2),
      ]
    ) {
      const error = await assertRejects(act, VirstorError, "No space left");
      assertEquals(error.code, "no-space");
      assert(error.message.includes(full), error.message);
      assert(error.message.includes("free space there"), error.message);
      assert(!error.message.includes(roomy));
      await pool.lookAtHosts();
      assertEquals(warned().length, 1);
      const status = pool.status();
      assertEquals(status.state, "open");
      const since = status.components[0]?.refusedSince ?? "";
      assert(Date.parse(since) >= start - 1000, since);
      assertEquals(status.components[0]?.hostFree, 0);
      assertEquals(status.components[1]?.refusedSince, null);
    }
    // A chunk that is new goes elsewhere.
    await pool.volume().write(pattern(100, 2), 2 * SMALL_CHUNK);
    assertEquals(pool.status().components.map(({ used }) => used), [2, 1]);
    await Deno.remove(tiny.file("filler"));
    await pool.lookAtHosts();
    assertEquals(warned(), []);
    await pool.volume().write(pattern(100, 3), 3 * SMALL_CHUNK);
    assertEquals(pool.status().components.map(({ used }) => used), [3, 1]);
    assertEquals(pool.status().components[0]?.refusedSince, null);
    await pool.close();
    await assertSound("native", paths);
    await fill(tiny.file("filler"));
    const { warnings } = await inspectComponents(paths);
    assertEquals(warnings.filter((one) => one.includes(full)).length, 1);
  },
);

Deno.test("Pool does not wait for a file system that does not answer", async () => {
  await using scratch = await makeQuickScratch();
  class SilentHost extends FileDevice {
    override hostSpace(): Promise<undefined> {
      return new Promise(() => {});
    }
  }
  const { pool } = await openSmallPool(scratch, 2, {
    openDevice: (path, options) =>
      path.endsWith("0")
        ? new SilentHost(path, options)
        : new FileDevice(path, options),
  });
  await Promise.all([pool.lookAtHosts(), pool.lookAtHosts()]);
  assertEquals(pool.status().components[0]?.hostFree, null);
  const { hostFree } = pool.status().components[1] ?? {};
  assertEquals(hostFree === null, NO_NATIVE_CALLS !== undefined);
  await pool.close();
});

testUnless(
  "Pool takes no more writes once the map finds the host's file system full",
  reason,
  async () => {
    await using scratch = await makeScratch();
    await using tiny = await mountTiny(scratch.file("tiny"));
    const paths = [tiny.file("a"), scratch.file("b")];
    // The map has more than one page, the second of which is a hole.
    const pool = await openWrittenPool("freebsd", paths, 128 * MIB, 6);
    await fill(tiny.file("filler"));
    const act = async () =>
      await pool.volume().write(pattern(9, 9), 600 * SMALL_CHUNK);
    const first = await assertRejects(act, VirstorError, "No space left");
    assertEquals(first.code, "failed");
    await Deno.remove(tiny.file("filler"));
    const later = assertThrows(() => pool.volume().write(pattern(9, 9), 0));
    assert(later instanceof VirstorError && later.code === "failed");
    assertThrows(() => pool.volume().flush(), VirstorError, "No space left");
    assertEquals(pool.status().state, "failed");
    assert(pool.status().reason.includes(tiny.file("a")));
    assertEquals(
      await readBytes(pool.volume(), 5 * SMALL_CHUNK, 100),
      pattern(100, 5),
    );
    await pool.close();
    const again = await openPool(paths);
    assertEquals(again.status().mappedChunks, 6);
    assertEquals(await again.check(), []);
    await again.close();
    await assertSound("freebsd", paths);
  },
);

for (
  const [what, harm, text] of [
    ["deleted", (path: string) => Deno.remove(path), "was deleted"],
    ["truncated", (path: string) => Deno.truncate(path, 1), "was made shorter"],
  ] as const
) {
  testFormats(
    `Pool takes no more writes once a component is found to be ${what}`,
    async (format) => {
      await using scratch = await makeQuickScratch();
      const { pool, paths, events } = await openSmallPool(scratch, 2, {
        format,
      });
      for (let i = 0; i < 6; i++) {
        await pool.volume().write(pattern(100, i), i * SMALL_CHUNK);
      }
      await pool.volume().flush();
      await harm(paths[1] ?? "");
      await pool.volume().write(pattern(100, 7), 5 * SMALL_CHUNK);
      const flush = async () => await pool.volume().flush();
      const error = await assertRejects(flush, VirstorError, text);
      assertEquals(error.code, "failed");
      await assertRejects(flush, VirstorError, text);
      const write = () => pool.volume().write(pattern(100, 8), 0);
      assertThrows(write, VirstorError, text);
      const { state, reason, warnings } = pool.status();
      assertEquals([state, warnings[0]], ["failed", reason]);
      assert(reason.includes(paths[1] ?? ""));
      assertEquals(events.at(-1), { kind: "failed", message: reason, reason });
      // What is on the other component can still be read.
      assertEquals(await readBytes(pool.volume(), 0, 100), pattern(100, 0));
      await pool.close();
    },
  );
}

for (const which of [0, 1]) {
  testFormats(
    `Pool.check() finds that component ${which} was cut`,
    async (format) => {
      await using scratch = await makeQuickScratch();
      const { pool, paths } = await openSmallPool(scratch, 2, { format });
      for (let i = 0; i < 6; i++) {
        await pool.volume().write(pattern(100, i), i * SMALL_CHUNK);
      }
      const path = paths[which] ?? "";
      await Deno.truncate(path, 1);
      const found = await pool.check();
      const here = found.filter(({ where }) => where.startsWith(path));
      assertEquals(here, found);
      assert(here.some(({ severity }) => severity === "damage"));
      // The metadata of the first component is the whole map in format 1.
      const isUnreadable = here.some(({ kind }) => kind === "unreadable");
      assertEquals(isUnreadable, format === "native" || which === 0);
      await assertRejects(() => pool.close(), VirstorError, "made shorter");
    },
  );
}
