/**
 * The space of the file systems under a pool: what components promise, what is
 * free, watermarks, and files that take their space at once.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { exists } from "@std/fs";
import { VirstorError } from "../../../errors.ts";
import {
  hostStatuses,
  passedHostMarks,
  promiseWarnings,
} from "../../../pool/core/mod.ts";
import {
  checkComponents,
  inspectComponents,
  labelPool,
  openPool,
  type PoolEvent,
} from "../../../pool/mod.ts";
import { NO_NATIVE_CALLS } from "../../helpers/native.ts";
import { testUnless } from "../../helpers/peers.ts";
import { makeScratch } from "../../helpers/scratch.ts";
import { mountTiny, whyNoMount } from "../../helpers/tiny_fs.ts";

const MIB = 2 ** 20;
const CHUNK = 64 * 1024;
const reason = NO_NATIVE_CALLS ?? await whyNoMount();

/** The options of a pool with small chunks. */
function small(paths: readonly string[], createSize: number) {
  const sizes = { virtualSize: 64 * MIB, chunkSize: CHUNK, createSize };
  return { name: "demo", paths, ...sizes };
}

/** Bytes that a file has of its file system. */
async function allocated(path: string): Promise<number> {
  return ((await Deno.stat(path)).blocks ?? 0) * 512;
}

function file(path: string, fileSystem: string, promisedBytes: number) {
  const space = { freeBytes: 1000, totalBytes: 5000 };
  return { device: { path }, host: { fileSystem, promisedBytes, ...space } };
}

Deno.test("hostStatuses() adds up what files promise of each file system", () => {
  const hosts = hostStatuses([
    file("/a", "1:1", 600),
    file("/b", "2:2", 1000),
    file("/c", "1:1", 600),
    { device: { path: "/dev/x" } },
  ]);
  const space = { freeBytes: 1000, totalBytes: 5000 };
  assertEquals(hosts, [
    { paths: ["/a", "/c"], promisedBytes: 1200, ...space },
    { paths: ["/b"], promisedBytes: 1000, ...space },
  ]);
  assertEquals(promiseWarnings(hosts), [
    'The file system of component "/a" and 1 other has 1000 bytes free, but ' +
    "components there may take 1200 bytes more: free space there, or add " +
    "components elsewhere",
  ]);
});

Deno.test("passedHostMarks() passes a mark in bytes, in percent, and not at it", () => {
  const hosts = hostStatuses([file("/a", "1:1", 0)]);
  const passed = (bytes: number, percent: number) =>
    passedHostMarks(hosts, { bytes, percent }).map(({ minimum }) => minimum);
  assertEquals(passed(1000, 20), []);
  assertEquals(passed(1001, 0), [1001]);
  assertEquals(passed(0, 21), [1050]);
  assertEquals(passed(1001, 21), [1050]);
});

Deno.test("Pool passes watermarks in percent and in bytes, each once", async () => {
  await using scratch = await makeScratch();
  const paths = [scratch.file("a")];
  await labelPool(small(paths, 2 * MIB));
  const events: PoolEvent[] = [];
  await using pool = await openPool(paths, {
    chunkWatermark: 0,
    spaceWatermark: { bytes: 4 * CHUNK, percent: 50 },
    usedWatermark: 80,
    onEvent: (event) => events.push(event),
  });
  const { physicalChunks: total } = pool.status();
  for (let v = 0; v < total; v++) {
    await pool.volume().write(new Uint8Array(CHUNK).fill(1), v * CHUNK);
  }
  const half = Math.ceil(total / 2);
  const rest = Math.floor(total * 20 / 100) + 1;
  assertEquals(
    events.flatMap((one) =>
      one.kind === "watermark" ? [[one.mark, one.count, one.minimum]] : []
    ),
    [["space", half - 1, half], ["used", rest - 1, rest]],
  );
  const { warnings } = pool.status();
  assert(warnings.includes(
    `0 of ${total} chunks are free, fewer than ${half} (262144 bytes)`,
  ));
  assert(warnings.includes(
    `0 of ${total} chunks are free, fewer than ${rest} (80% used)`,
  ));
  await pool.volume().discard(0, total * CHUNK);
});

testUnless(
  "labelPool() and add() take the space of preallocated files at once",
  NO_NATIVE_CALLS,
  async () => {
    await using scratch = await makeScratch();
    const [a, b, c] = ["a", "b", "c"].map(scratch.file);
    assert(a !== undefined && b !== undefined && c !== undefined);
    await labelPool({ ...small([a], 4 * MIB), preallocate: true });
    assert(await allocated(a) >= 4 * MIB);
    {
      await using pool = await openPool([a]);
      await pool.add([b], { createSize: 4 * MIB, preallocate: true });
      await pool.add([c], { createSize: 4 * MIB });
      assert(await allocated(b) >= 4 * MIB);
      assert(await allocated(c) < 2 * MIB);
      const disk = pool.volume();
      const chunks = pool.status().freeChunks;
      const bytes = new Uint8Array(CHUNK);
      for (let v = 0; v < chunks; v++) {
        await disk.write(new Uint8Array([1]), v * CHUNK);
        await disk.read(bytes, v * CHUNK);
        assertEquals(bytes.findIndex((one) => one !== 0), 0);
        assertEquals(bytes.subarray(1).findIndex((one) => one !== 0), -1);
      }
      await pool.lookAtHosts();
      const [host] = pool.status().hosts;
      assert(host !== undefined);
      assertEquals(host.paths, [a, b, c]);
      assert(host.promisedBytes < 4 * MIB, `${host.promisedBytes}`);
      assert(host.totalBytes > host.freeBytes);
    }
    assertEquals((await checkComponents([a, b, c])).findings, []);
  },
);

testUnless(
  "files that promise more than their disk has are named, and cannot be preallocated",
  reason,
  async () => {
    await using scratch = await makeScratch();
    await using tiny = await mountTiny(scratch.file("tiny"));
    const a = tiny.file("a");
    const { notices } = await labelPool(small([a], 8 * MIB));
    const warning =
      /^The file system of component ".*\/tiny\/a" has \d+ bytes free, but components there may take \d+ bytes more: /;
    assertEquals(notices.length, 1);
    assertMatch(notices[0] ?? "", warning);
    const { warnings, hosts } = await inspectComponents([a]);
    assert(warnings.some((one) => warning.test(one)), warnings.join("\n"));
    assertEquals(hosts.map(({ paths }) => paths), [[a]]);
    assert((hosts[0]?.promisedBytes ?? 0) > (hosts[0]?.freeBytes ?? 0));

    const b = tiny.file("b");
    const refused = await assertRejects(
      () => labelPool({ ...small([b], 8 * MIB), preallocate: true }),
      VirstorError,
    );
    assertEquals(refused.code, "no-space");
    assertEquals(await exists(b), false);
    await using pool = await openPool([a]);
    const add = { createSize: 8 * MIB };
    const again = await assertRejects(
      () => pool.add([b], { ...add, preallocate: true }),
      VirstorError,
    );
    assertEquals(again.code, "no-space");
    assertEquals(await exists(b), false);
    const added = await pool.add([b], add);
    assertMatch(added.notices[0] ?? "", /\/tiny\/a" and 1 other has /);
    assertEquals(pool.status().components.length, 2);
  },
);

testUnless(
  "lookAtHosts() passes the watermark of a file system once",
  reason,
  async () => {
    await using scratch = await makeScratch();
    await using tiny = await mountTiny(scratch.file("tiny"));
    const paths = [tiny.file("a")];
    await labelPool(small(paths, MIB));
    const events: PoolEvent[] = [];
    await using pool = await openPool(paths, {
      hostWatermark: { bytes: 0, percent: 50 },
      onEvent: (event) => events.push(event),
    });
    const said = () => events.filter(({ kind }) => kind === "watermark");
    await pool.lookAtHosts();
    assertEquals(said(), []);
    const filler = tiny.file("filler");
    for (let times = 1; times <= 2; times++) {
      await Deno.writeFile(filler, new Uint8Array(1.2 * MIB));
      await pool.lookAtHosts();
      await pool.lookAtHosts();
      assertEquals(said().length, times);
      assert(
        pool.status().warnings.some((one) => / fewer than \d+$/.test(one)),
      );
      await Deno.remove(filler);
      await pool.lookAtHosts();
      assertEquals(pool.status().warnings, []);
    }
    const [event] = said();
    assert(event?.kind === "watermark");
    assertEquals([event.mark, event.paths], ["host", paths]);
    assert(event.count < event.minimum && event.minimum <= event.total);
  },
);

testUnless(
  "add leaves no file behind on a file system that is full",
  reason,
  async () => {
    await using scratch = await makeScratch();
    await using tiny = await mountTiny(scratch.file("tiny"));
    const path = scratch.file("a");
    await labelPool(small([path], MIB));
    await using pool = await openPool([path]);
    await Deno.writeFile(tiny.file("filler"), new Uint8Array(2 * MIB))
      .catch(() => {});
    const added = tiny.file("b");
    const refused = await assertRejects(
      () => pool.add([added], { createSize: 4 * MIB }),
      VirstorError,
    );
    assertEquals(refused.code, "no-space");
    assertEquals(await exists(added), false);
  },
);
