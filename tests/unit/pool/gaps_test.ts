/**
 * Gaps in the allocation, as a power cut leaves them when a later map entry
 * survives and an earlier one does not: opening closes them, whatever stops
 * it, and no chunk's data are lost or handed out again.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { labelPool, openPool } from "../../../pool/mod.ts";
import { assertFreebsd, checkFreebsd } from "../../helpers/freebsd_checker.ts";
import { writeAt, writeEntry } from "../../helpers/freebsd_raw.ts";
import {
  KIB,
  makeScratch,
  pattern,
  type Scratch,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  assertContent,
  chunkBytes,
  type Content,
  makeQuickScratch,
  makeSparse,
  randomOf,
  writeChunk,
} from "../../helpers/small_pools.ts";
import { Snapshot, StoppingFiles } from "../../helpers/stopping_device.ts";

/** Room for four chunks; the first component has two of them for data. */
const COMPONENT_SIZE = 4 * SMALL_CHUNK + KIB;

/** A place for data: the component and the chunk on it. */
type Place = readonly [component: number, chunk: number];

/** All places of a pool of three, in the order of allocation. */
const PLACES: readonly Place[] = [
  [0, 2],
  [0, 3],
  [1, 0],
  [1, 1],
  [1, 2],
  [1, 3],
  [2, 0],
  [2, 1],
  [2, 2],
  [2, 3],
];

const LAYOUTS: readonly { title: string; places: readonly Place[] }[] = [
  { title: "at the start of the only component in use", places: [[0, 3]] },
  { title: "on the first component", places: [[0, 3], [1, 0]] },
  { title: "between two chunks", places: [[0, 3], [0, 2], [1, 2], [1, 0]] },
  { title: "of a whole component", places: [[2, 1], [0, 2], [2, 0], [0, 3]] },
  { title: "before the last chunk of all", places: [[2, 3]] },
  {
    title: "on every component",
    places: [[2, 3], [0, 3], [1, 1], [1, 3], [2, 0]],
  },
  {
    title: "on the last component, when it fills all before",
    places: [[1, 3], [0, 2], [0, 3], [2, 3], [1, 0], [1, 1], [1, 2], [2, 1]],
  },
];

interface Crafted {
  readonly paths: string[];
  readonly content: Content;
}

/** Labels a pool and puts chunks where they are to be. */
async function craft(
  scratch: Scratch,
  places: readonly Place[],
): Promise<Crafted> {
  const paths = ["a", "b", "c"].map((name) =>
    makeSparse(scratch.file(name), COMPONENT_SIZE)
  );
  await labelPool({
    name: "gaps",
    format: "freebsd",
    paths,
    chunkSize: SMALL_CHUNK,
    virtualSize: 64 * SMALL_CHUNK,
    force: true,
  });
  const content: Content = new Map();
  for (const [i, [component, chunk]] of places.entries()) {
    const virtualChunk = (i * 23 + 7) % 64;
    const bytes = chunkBytes(virtualChunk + 1);
    writeAt(paths[component] ?? "", chunk * SMALL_CHUNK, bytes);
    writeEntry(paths[0] ?? "", virtualChunk, { flags: 1, component, chunk });
    content.set(virtualChunk, bytes);
  }
  return { paths, content };
}

/** Opens the pool; all is there, dense, and a new chunk is really free. */
async function assertClosed({ paths, content }: Crafted): Promise<void> {
  const pool = await openPool(paths);
  await assertContent(pool, content);
  const now = new Map(content);
  await pool.close();
  assertFreebsd(paths);
  const labels = new Snapshot(paths);
  const again = await openPool(paths, {
    onEvent: (event) => assert(event.kind !== "recovered", event.message),
  });
  assertEquals(labels.changed(), []);
  const { freeChunks } = again.status();
  assertEquals(freeChunks, PLACES.length - content.size);
  // Where a chunk was moved away from, a new one reads as zeroes.
  for (let i = 0; i < freeChunks; i++) {
    await writeChunk(again, now, (i * 23 + 8) % 64, pattern(100, i));
  }
  await assertContent(again, now);
  await again.close();
  assertFreebsd(paths);
}

for (const { title, places } of LAYOUTS) {
  Deno.test(`openPool() closes gaps ${title}, and can be stopped at any write`, async () => {
    await using scratch = await makeQuickScratch();
    const crafted = await craft(scratch, places);
    const { paths } = crafted;
    assert(checkFreebsd(paths).length > 0, "there is a gap to be closed");
    const start = new Snapshot(paths);
    for (let writes = 0;; writes++) {
      for (const share of [undefined, 0, 0.3, 0.7]) {
        start.restore();
        const files = new StoppingFiles();
        files.stopAfter(writes);
        const pool = await openPool(paths, { openDevice: files.open })
          .catch(() => {});
        const isDone = pool !== undefined && !files.isStopped;
        files.stop();
        await pool?.close().catch(() => {});
        await files.closeAll();
        const random = randomOf(writes);
        if (share !== undefined) files.powerCut(() => random() < share);
        await assertClosed(crafted);
        if (isDone && share === 0.7) return;
      }
      assert(writes < 100, "the opening comes to an end");
    }
  });
}

Deno.test("openPool() closes gaps of any kind", async () => {
  await using scratch = await makeQuickScratch();
  const random = randomOf(4711);
  let withGaps = 0;
  for (let round = 0; round < 40; round++) {
    const places = PLACES.filter(() => random() < 0.5)
      .map((place) => ({ place, rank: random() }))
      .toSorted((one, other) => one.rank - other.rank)
      .map(({ place }) => place);
    const crafted = await craft(scratch, places);
    if (checkFreebsd(crafted.paths).length > 0) withGaps++;
    await assertClosed(crafted);
  }
  assert(withGaps > 20);
});

Deno.test("openPool() moves nothing where chunks are dense, in whatever order", async () => {
  await using scratch = await makeQuickScratch();
  const places: Place[] = [[1, 1], [0, 3], [1, 0], [0, 2], [1, 2]];
  const crafted = await craft(scratch, places);
  const map = new Snapshot(crafted.paths);
  const events: string[] = [];
  const pool = await openPool(crafted.paths, {
    onEvent: ({ message }) => events.push(message),
  });
  await assertContent(pool, crafted.content);
  await pool.close();
  assert(!events.some((message) => message.includes("gaps")));
  // Only labels have changed, for they did not know of the chunks.
  const [first = ""] = crafted.paths;
  const before = new Uint8Array(64 * 8);
  for (const [i, [component, chunk]] of places.entries()) {
    const view = new DataView(before.buffer);
    const at = (i * 23 + 7) % 64 * 8;
    view.setUint16(at, 1, true);
    view.setUint16(at + 2, component, true);
    view.setUint32(at + 4, chunk, true);
  }
  assertEquals(Deno.readFileSync(first).subarray(0, 64 * 8), before);
  assertEquals(map.changed().length, 2);
  await assertClosed(crafted);
});

Deno.test("openPool() leaves gaps alone when it opens for reading only, and reads all", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await craft(scratch, [[2, 3], [0, 3], [1, 1]]);
  const before = new Snapshot(paths);
  const pool = await openPool(paths, { readOnly: true });
  await assertContent(pool, content);
  await pool.close();
  assertEquals(before.changed(), []);
});

Deno.test("openPool() says that it closed gaps, and how many chunks were moved", async () => {
  await using scratch = await makeScratch();
  const { paths } = await craft(scratch, [[0, 3], [1, 2], [0, 2], [1, 3]]);
  const events: string[] = [];
  const pool = await openPool(paths, {
    onEvent: ({ kind, message }) => events.push(`${kind}: ${message}`),
  });
  await pool.close();
  assertEquals(events, [
    "recovered: Moved 2 chunks to close gaps in the allocation",
  ]);
});
