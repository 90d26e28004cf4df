/**
 * Goal: a component that was put back from an older copy is noticed, whatever
 * else happened; a degraded open goes past it, and a repair does without it if
 * it is asked to. No client reads older data unasked.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import {
  checkComponents,
  openPool,
  type Pool,
  repairComponents,
} from "../../../pool/mod.ts";
import { makeNativeSample, nativeLabel } from "../../helpers/native_sample.ts";
import { readBytes, type Scratch, SMALL_CHUNK } from "../../helpers/scratch.ts";
import {
  assertContent,
  assertRefused,
  assertSound,
  type Content,
  makeQuickScratch,
  writeChunk,
} from "../../helpers/small_pools.ts";
import { Snapshot, StoppingFiles } from "../../helpers/stopping_device.ts";

/**
 * A pool of three (5 chunks on a, 3 on b, none on c at first), and b as it was
 * before virtual chunks 8 and 9 were written to it.
 */
interface Aged {
  readonly paths: string[];
  readonly content: Content;
  readonly old: Snapshot;
  readonly oldA: Snapshot;
  readonly all: Snapshot;
}

async function makeAged(scratch: Scratch): Promise<Aged> {
  const { paths, content } = await makeNativeSample(scratch);
  const [a = "", b = ""] = paths;
  const all = new Snapshot(paths);
  const old = new Snapshot([b]);
  const oldA = new Snapshot([a]);
  await use(paths, async (pool) => {
    for (const v of [8, 9]) await writeChunk(pool, content, v);
  });
  return { paths, content, old, oldA, all };
}

async function use(
  paths: string[],
  work: (pool: Pool) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const pool = await openPool(paths);
  await work(pool);
  await pool.close();
}

/** Leaves the files as if the process was killed while the pool was open. */
async function killAfter(
  paths: string[],
  work: (pool: Pool) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const pool = await openPool(paths);
  await work(pool);
  const left = new Snapshot(paths);
  await pool.close();
  left.restore();
}

/** Every way to open it but a degraded one says what helps, and where. */
async function assertStale(paths: string[], stale: string[]): Promise<void> {
  const before = new Snapshot(paths);
  for (const readOnly of [false, true]) {
    await assertRefused(
      () => openPool(paths, { readOnly }),
      "corrupt",
      stale[0] ?? "",
      "--degraded",
      `--accept-stale "${stale[0]}"`,
    );
  }
  const { findings } = await checkComponents(paths);
  const damage = findings.filter(({ severity }) => severity === "damage");
  assertEquals(damage.map(({ where }) => where), stale);
  for (const one of damage) assert(one.advice?.includes("--accept-stale"));
  const repair = await repairComponents(paths);
  assertEquals(repair.refused.map(({ where }) => where), stale);
  assertEquals(before.changed(), []);
}

/** A degraded open reads the rest, and nothing that is on the stale ones. */
async function assertDegraded(
  paths: string[],
  stale: string[],
  content: Content,
  lost: number[],
): Promise<void> {
  const before = new Snapshot(paths);
  const pool = await openPool(paths, { degraded: true });
  const { missing, warnings } = pool.status();
  assertEquals(missing.map(({ index }) => paths[index]), stale);
  for (const path of stale) {
    assert(warnings.some((text) => text.includes(`"${path}" is left out`)));
  }
  for (let v = 0; v < 16; v++) {
    const wanted = content.get(v);
    if (wanted !== undefined && !lost.includes(v)) {
      const bytes = await readBytes(
        pool.volume(),
        v * SMALL_CHUNK,
        SMALL_CHUNK,
      );
      assertEquals(bytes, wanted, `chunk ${v}`);
    } else {
      const read = () =>
        pool.volume().read(new Uint8Array(10), v * SMALL_CHUNK);
      assertThrows(read, VirstorError, "missing");
    }
  }
  await pool.close();
  assertEquals(before.changed(), []);
}

/** A repair does without the stale ones, and says what is lost. */
async function assertPutAside(
  paths: string[],
  stale: string[],
  content: Content,
  lost: number[],
  told: string,
): Promise<void> {
  const before = new Snapshot(paths);
  const options = { acceptStale: stale };
  const dry = await repairComponents(paths, { ...options, dryRun: true });
  assertEquals(before.changed(), []);
  const done = await repairComponents(paths, options);
  assertEquals(done, dry);
  assertEquals(done.refused, []);
  assertEquals(done.repaired.map(({ where }) => where), stale);
  const text = done.repaired.map(({ effect }) => effect).join("\n");
  assert(text.includes(told), text);
  // What is put aside is not touched.
  const changed = before.changed();
  assertEquals(changed.filter((path) => stale.includes(path)), []);
  const members = paths.filter((path) => !stale.includes(path));
  assertEquals(done.members, members);
  for (const v of lost) content.delete(v);
  await assertSound("native", members);
  // Whether it lies there or not, and after a power cut, too.
  for (const given of [paths, members]) {
    const pool = await openPool(given);
    await assertContent(pool, content);
    assertEquals(pool.status().components.length, members.length);
    await pool.close();
  }
}

Deno.test("a component of an earlier generation is passed over by a degraded open, and put aside by a repair that is asked to", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content, old } = await makeAged(scratch);
  const [, b = ""] = paths;
  old.restore();
  await assertStale(paths, [b]);
  const lost = [5, 6, 7, 8, 9];
  await assertDegraded(paths, [b], content, lost);
  await assertPutAside(
    paths,
    [b],
    content,
    lost,
    "3 chunks of 131072 bytes that only it holds read as zeroes now: virtual " +
      "chunks 5-7;",
  );
});

Deno.test("a component whose table is not the one of its superblock is stale, too", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeAged(scratch);
  const [, b = ""] = paths;
  const size = Deno.statSync(b).size;
  const now = Deno.readFileSync(b);
  const more = new Map(content);
  await use(paths, async (pool) => {
    await writeChunk(pool, more, 10);
  });
  // The superblocks are the new ones, all before them is from a copy.
  const bytes = Deno.readFileSync(b);
  bytes.set(now.subarray(0, size - 128 * 1024));
  Deno.writeFileSync(b, bytes);
  await assertStale(paths, [b]);
  const lost = [5, 6, 7, 8, 9, 10];
  await assertDegraded(paths, [b], more, lost);
  await assertPutAside(paths, [b], more, lost, "virtual chunks 5-9;");
});

Deno.test("two components of an earlier time are both passed over, and put aside together or one after the other", async (t) => {
  for (const together of [true, false]) {
    await t.step(together ? "together" : "one after the other", async () => {
      await using scratch = await makeQuickScratch();
      const { paths, content, old, oldA } = await makeAged(scratch);
      const [a = "", b = "", c = ""] = paths;
      await use(paths, async (pool) => {
        for (const v of [10, 11, 12, 13]) await writeChunk(pool, content, v);
      });
      old.restore();
      oldA.restore();
      await assertStale(paths, [a, b]);
      const onC = [12, 13];
      const lost = [...content.keys()].filter((v) => !onC.includes(v));
      await assertDegraded(paths, [a, b], content, lost);
      if (!together) {
        const half = await repairComponents(paths, { acceptStale: [b] });
        assertEquals(half.refused.map(({ where }) => where), [a]);
        assertEquals(half.repaired, []);
        assertEquals(old.changed(), []);
      }
      await assertPutAside(paths, [a, b], content, lost, "5-7;");
      assertEquals((await checkComponents([c])).findings, []);
    });
  }
});

Deno.test("a pool that was put back as a whole opens as it was", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content, all } = await makeAged(scratch);
  all.restore();
  for (const v of [8, 9]) content.delete(v);
  await use(paths, (pool) => assertContent(pool, content));
});

Deno.test("a component that is newer than all others is not put aside, and neither is one that is as new as they are", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, all } = await makeAged(scratch);
  const [a = "", b = "", c = ""] = paths;
  const put = (path: string) =>
    repairComponents(paths, { acceptStale: [path] });
  const before = new Snapshot(paths);
  for (const path of paths) {
    await assertRefused(() => put(path), "invalid", path, "older");
  }
  assertEquals(before.changed(), []);
  const newest = Deno.readFileSync(c);
  all.restore();
  Deno.writeFileSync(c, newest);
  await assertStale(paths, [a, b]);
  await assertRefused(() => put(c), "invalid", c);
  await assertRefused(
    () => repairComponents(paths, { acceptStale: paths }),
    "invalid",
    "all components",
  );
});

Deno.test("a component of an earlier time is noticed in a pool that was not stopped cleanly", async (t) => {
  const cases: [
    string,
    (paths: string[], content: Content) => Promise<void>,
  ][] = [
    // It has missed the begin of the session in which others were written to.
    ["in the first session since", async (paths, content) => {
      await killAfter(paths, (pool) => writeChunk(pool, content, 10));
    }],
    ["in a later session", async (paths, content) => {
      await use(paths);
      await killAfter(paths, (pool) => writeChunk(pool, content, 10));
    }],
    ["although nothing was written", async (paths) => {
      await use(paths);
      await killAfter(paths);
    }],
  ];
  for (const [title, work] of cases) {
    await t.step(title, async () => {
      await using scratch = await makeQuickScratch();
      const { paths, content } = await makeAged(scratch);
      // b is full from here on: what comes is on c.
      await use(paths, async (pool) => {
        for (const v of [11, 12]) await writeChunk(pool, content, v);
      });
      const [, b = ""] = paths;
      const old = new Snapshot([b]);
      await work(paths, content);
      old.restore();
      await assertStale(paths, [b]);
      const lost = [5, 6, 7, 8, 9, 11, 12];
      await assertDegraded(paths, [b], content, lost);
      await assertPutAside(paths, [b], content, lost, "not stopped cleanly");
    });
  }
});

Deno.test("a copy of a component that is there can be put aside, and the right one cannot", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content, old } = await makeAged(scratch);
  const [a = "", b = "", c = ""] = paths;
  const right = Deno.readFileSync(b);
  old.restore();
  const copy = scratch.file("copy");
  Deno.renameSync(b, copy);
  Deno.writeFileSync(b, right);
  const given = [a, copy, b, c];
  await assertRefused(() => openPool(given), "corrupt", copy, b);
  const wrong = await repairComponents(given, { acceptStale: [b] });
  assertEquals(wrong.refused.map(({ where }) => where), [copy]);
  const done = await repairComponents(given, { acceptStale: [copy] });
  assertEquals([done.refused, done.members], [[], [a, b, c]]);
  assert(done.repaired[0]?.effect.startsWith("no chunk that it holds is lost"));
  await use([a, b, c], (pool) => assertContent(pool, content));
});

Deno.test("repair puts aside nothing that is no component, or of format 1", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeAged(scratch);
  const [a = "", b = "", c = ""] = paths;
  const other = scratch.file("other");
  Deno.writeFileSync(other, new Uint8Array(1 << 20));
  const put = (given: string[], path: string) =>
    repairComponents(given, { acceptStale: [path] });
  await assertRefused(() => put(paths, other), "invalid", other, "no label");
  const pool = await openPool(paths);
  await pool.remove([c]);
  await pool.close();
  await assertRefused(() => put([a, b], c), "invalid", c);
  await assertRefused(() => put(paths, scratch.file("none")), "not-found");
});

Deno.test("putting a stale component aside is done or not, wherever it is stopped", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content, old } = await makeAged(scratch);
  const [a = "", b = "", c = ""] = paths;
  old.restore();
  const start = new Snapshot(paths);
  const { generation } = nativeLabel(a);
  let count = 0;
  for (let isDone = false; !isDone; count++) {
    for (const keeps of [() => true, () => false, (at: number) => at % 3 > 0]) {
      start.restore();
      const files = new StoppingFiles();
      files.stopAfter(count);
      try {
        await repairComponents(paths, {
          acceptStale: [b],
          openDevice: files.open,
        });
        isDone = true;
      } catch (error) {
        assert(error instanceof VirstorError && files.isStopped, `${error}`);
      }
      await files.closeAll();
      files.powerCut(keeps);
      const labels = [a, c].map(nativeLabel);
      const isAside = labels.some(({ members }) => members.length === 2);
      if (!isAside) {
        assertEquals(labels.map((one) => one.generation), [
          generation,
          generation,
        ]);
        await assertStale(paths, [b]);
        continue;
      }
      const left = new Map(content);
      for (const v of [5, 6, 7, 8, 9]) left.delete(v);
      await use(paths, (pool) => assertContent(pool, left));
      await assertSound("native", [a, c]);
    }
  }
  assert(count > 3, `${count} steps`);
});
