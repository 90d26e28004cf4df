/**
 * Components that hold chunks leave a pool of format 2: their chunks are moved
 * to the others while the pool is used, and nothing is lost, whatever stops
 * it.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import {
  openPool,
  type Pool,
  type PoolOptions,
  readLabel,
} from "../../../pool/mod.ts";
import { testNatively } from "../../helpers/native.ts";
import { nativeLabel } from "../../helpers/native_sample.ts";
import { firstDifference } from "../../helpers/bytes.ts";
import {
  componentSize,
  openSmallPool,
  pattern,
  type Scratch,
  SMALL_CHUNK,
  type SmallPool,
} from "../../helpers/scratch.ts";
import {
  assertContent,
  assertRefused,
  assertSound,
  type Content,
  makeQuickScratch,
  randomOf,
  until,
  writeChunk,
} from "../../helpers/small_pools.ts";

/** Chunks of which only the start is written: quick to make and to move. */
const THIN = 4096;
/** Chunks a second: slow enough to act in between. */
const SLOWLY = { bytesPerSecond: 1000 * THIN };
/** More chunks than are moved in one go. */
const MANY = 600;

/** Opens a pool of components with so many chunks each. */
function openPoolOf(
  scratch: Scratch,
  count: number,
  chunks: number,
  options: PoolOptions = {},
): Promise<SmallPool> {
  return openSmallPool(scratch, count, {
    format: "native",
    createSize: componentSize("native", chunks),
    virtualSize: (2 * chunks + 100) * SMALL_CHUNK,
    ...options,
  });
}

/** Waits until nothing is to leave any more. */
async function untilDone(pool: Pool): Promise<void> {
  await until(() => pool.status().evacuation === null);
}

/** Writes the start of so many virtual chunks, from the first one on. */
async function fillThinly(pool: Pool, chunks: number): Promise<Content> {
  const content: Content = new Map();
  for (let v = 0; v < chunks; v++) {
    await writeChunk(pool, content, v, pattern(THIN, v));
  }
  return content;
}

/** Waits until something was moved, but not all. */
async function untilSomeMoved(pool: Pool): Promise<void> {
  await until(() => (pool.status().evacuation?.movedBytes ?? 0) > 0);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** Requests of any kind, and what the disk holds after each. */
class Client {
  readonly content: Content = new Map();
  readonly #pool: Pool;
  readonly #random: () => number;
  readonly #chunks: number;

  /** It uses so many virtual chunks. */
  constructor(pool: Pool, chunks: number, seed: number) {
    this.#pool = pool;
    this.#chunks = chunks;
    this.#random = randomOf(seed);
  }

  async fill(): Promise<void> {
    for (let v = 0; v < this.#chunks; v++) {
      await writeChunk(this.#pool, this.content, v);
    }
  }

  /** One request, at any place and of any length. */
  async request(): Promise<void> {
    const what = this.#below(10);
    const v = this.#below(this.#chunks);
    const length = 1 + this.#below(this.#below(4) === 0 ? SMALL_CHUNK : 5000);
    const within = this.#below(SMALL_CHUNK - length + 1);
    const offset = v * SMALL_CHUNK + within;
    if (what < 6) {
      const bytes = pattern(length, this.#below(1000));
      await this.#pool.volume().write(bytes, offset, { fua: what === 0 });
      this.#chunk(v).set(bytes, within);
    } else if (what === 6) {
      const noHole = this.#below(2) === 0;
      await this.#pool.volume().writeZeroes(offset, length, { noHole });
      this.#chunk(v).fill(0, within, within + length);
    } else if (what === 7) {
      await this.#pool.volume().discard(v * SMALL_CHUNK, SMALL_CHUNK);
      this.#chunk(v).fill(0);
    } else if (what === 8) {
      await this.#pool.volume().flush();
    } else {
      const target = new Uint8Array(length);
      await this.#pool.volume().read(target, offset);
      const wanted = this.#chunk(v).subarray(within, within + length);
      const wrong = firstDifference(target, wanted);
      assertEquals(wrong, -1, `byte ${wrong} of chunk ${v} is wrong`);
    }
  }

  #below(end: number): number {
    return Math.floor(this.#random() * end);
  }

  #chunk(v: number): Uint8Array {
    let bytes = this.content.get(v);
    if (bytes === undefined) {
      bytes = new Uint8Array(SMALL_CHUNK);
      this.content.set(v, bytes);
    }
    return bytes;
  }
}

Deno.test("Pool.remove() moves all chunks of a component to the others, and then it is none", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths, events } = await openPoolOf(scratch, 3, 10);
  const [a = "", b = "", c = ""] = paths;
  const client = new Client(pool, 14, 1);
  await client.fill();
  assertEquals(await pool.remove([a]), { removed: [], evacuating: [a] });
  const { evacuation, components } = pool.status();
  assertEquals([evacuation?.components, evacuation?.state], [[a], "moving"]);
  assert(components[0]?.evacuating === true);
  await untilDone(pool);
  const places = pool.status().components.map((one) =>
    [one.index, one.path, one.used] as const
  );
  assertEquals(places, [[0, b, 10], [1, c, 4]]);
  assertEquals(pool.status().mappedChunks, 14);
  // Its event may come a moment later.
  await until(() =>
    events.some(({ kind, message }) =>
      kind === "removed" && message.includes(a)
    )
  );
  await assertContent(pool, client.content);
  assertEquals(await pool.check(), []);
  // It is in no pool, and not locked.
  assertThrows(() => readLabel(a), VirstorError, "no label");
  new FileDevice(a, { lock: "exclusive" }).close();
  await pool.close();
  await assertSound("native", [b, c]);
  const again = await openPool([b, c]);
  await assertContent(again, client.content);
  await again.close();
});

testNatively(
  "Pool.remove() loses nothing of what is written, zeroed and discarded while chunks are moved",
  async () => {
    for (const seed of [1, 2, 3]) {
      await using scratch = await makeQuickScratch();
      const { pool, paths } = await openPoolOf(scratch, 4, 20);
      const [a = "", b = "", c = "", d = ""] = paths;
      const client = new Client(pool, 36, seed);
      await client.fill();
      // Some 40 chunks in 0.6 seconds or so.
      await pool.remove([a, b], { bytesPerSecond: 60 * SMALL_CHUNK });
      let requests = 0;
      let checks = 0;
      while (pool.status().evacuation !== null) {
        await client.request();
        requests++;
        const [first, second] = pool.status().components;
        if (first?.path === a) {
          assert(first.used <= 20 && first.evacuating && second?.evacuating);
        }
        if (requests % 7 === 0) await turn();
        if (requests % 50 === 0) {
          assertEquals(await pool.check(), []);
          checks++;
        }
      }
      assert(requests > 100 && checks > 0, `${requests} requests only`);
      await assertContent(pool, client.content);
      assertEquals(await pool.check(), []);
      await pool.close();
      await assertSound("native", [c, d]);
      const again = await openPool([c, d]);
      await assertContent(again, client.content);
      await again.close();
    }
  },
);

Deno.test("Pool.remove() of empty and used components together removes them all", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openPoolOf(scratch, 4, 5);
  const [a = "", b = "", c = "", d = ""] = paths;
  const client = new Client(pool, 7, 1);
  await client.fill();
  const result = await pool.remove([d, b]);
  assertEquals(result, { removed: [], evacuating: [d, b] });
  await untilDone(pool);
  const found = pool.status().components.map(({ path }) => path);
  assertEquals(found, [a, c]);
  await assertContent(pool, client.content);
  await pool.close();
  await assertSound("native", [a, c]);
});

Deno.test("Pool.planRemove() tells what would move, and changes nothing", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openPoolOf(scratch, 3, 10);
  const [a = "", b = "", c = ""] = paths;
  await new Client(pool, 14, 1).fill();
  const bytes = (chunks: number) => chunks * SMALL_CHUNK;
  assertEquals(pool.planRemove([a]), {
    components: [{ path: a, usedBytes: bytes(10) }],
    usedBytes: bytes(10),
    freeBytes: bytes(16),
    reservedBytes: 0,
    fits: true,
  });
  assertEquals(pool.planRemove([b, a]), {
    components: [
      { path: b, usedBytes: bytes(4) },
      { path: a, usedBytes: bytes(10) },
    ],
    usedBytes: bytes(14),
    freeBytes: bytes(10),
    reservedBytes: 0,
    fits: false,
  });
  assertEquals(pool.planRemove([c]).usedBytes, 0);
  assertThrows(() => pool.planRemove(paths), VirstorError, "one has to stay");
  assertThrows(() => pool.planRemove([scratch.path]), VirstorError);
  assertEquals(pool.status().evacuation, null);
  await pool.close();
});

Deno.test("Pool.remove() refuses what there is no room for, and says how many bytes are missing", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openPoolOf(scratch, 3, 10);
  const [a = "", b = "", c = ""] = paths;
  const client = new Client(pool, 23, 1);
  await client.fill();
  const before = pool.status();
  await assertRefused(
    () => pool.remove([a]),
    "no-space",
    "10 chunks would have to move",
    "7 are free",
    `${3 * SMALL_CHUNK} bytes short`,
  );
  await assertRefused(
    () => pool.remove([a, c]),
    "no-space",
    `${13 * SMALL_CHUNK} bytes short`,
  );
  assertEquals(pool.status(), before);
  assertEquals(nativeLabel(a).members.map(({ state }) => state), [
    "active",
    "active",
    "active",
  ]);
  // Just enough.
  await pool.volume().discard(20 * SMALL_CHUNK, 3 * SMALL_CHUNK);
  for (const v of [20, 21, 22]) client.content.delete(v);
  await pool.remove([a]);
  await untilDone(pool);
  await assertContent(pool, client.content);
  assertEquals(pool.status().freeChunks, 0);
  await pool.close();
  await assertSound("native", [b, c]);
});

Deno.test("Pool.remove() refuses components of format 1 that hold chunks", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 3);
  for (let v = 0; v < 6; v++) {
    await pool.volume().write(pattern(9, v), v * SMALL_CHUNK);
  }
  const remove = () => pool.remove([paths[1] ?? ""]);
  await assertRefused(
    remove,
    "invalid",
    "1 chunk on it is in use",
    "cannot move",
  );
  await pool.close();
});

Deno.test("Pool.cancelRemove() keeps a component, and what was moved stays moved", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths, events } = await openPoolOf(scratch, 2, MANY + 10);
  const [a = "", b = ""] = paths;
  const content = await fillThinly(pool, MANY);
  await assertRefused(() => pool.cancelRemove([a]), "invalid", a);
  await pool.remove([a], SLOWLY);
  assertEquals(nativeLabel(b).members[0]?.state, "evacuating");
  await untilSomeMoved(pool);
  assertEquals(await pool.cancelRemove([a]), { kept: [a] });
  assertEquals(pool.status().evacuation, null);
  assert(events.some(({ kind }) => kind === "evacuation"));
  const used = () => pool.status().components.map((one) => one.used);
  const [left = 0, moved = 0] = used();
  assert(left > 0 && moved > 0 && left + moved === MANY, `${left} ${moved}`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(used(), [left, moved]);
  assertEquals(nativeLabel(b).members[0]?.state, "active");
  await assertContent(pool, content);
  // Chunks are allocated there again.
  await until(() => pool.status().freeingChunks === 0);
  for (let v = MANY; v < MANY + 5; v++) await writeChunk(pool, content, v);
  assertEquals(used(), [left + 5, moved]);
  assertEquals(await pool.check(), []);
  await pool.close();
  await assertSound("native", paths);
  const again = await openPool(paths);
  assertEquals(again.status().evacuation, null);
  await assertContent(again, content);
  await again.close();
});

Deno.test("Pool.cancelRemove() of one of two lets the other one go", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openPoolOf(scratch, 3, 30);
  const [a = "", b = "", c = ""] = paths;
  const content = await fillThinly(pool, 40);
  await pool.volume().discard(0, 15 * SMALL_CHUNK);
  for (let v = 0; v < 15; v++) content.delete(v);
  await pool.remove([a, b], SLOWLY);
  assertEquals(await pool.cancelRemove([a]), { kept: [a] });
  assertEquals(pool.status().evacuation?.components, [b]);
  await untilDone(pool);
  const found = pool.status().components.map(({ path }) => path);
  assertEquals(found, [a, c]);
  await assertContent(pool, content);
  await pool.close();
  await assertSound("native", [a, c]);
});

Deno.test("openPool() goes on with an evacuation that a stop has interrupted", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openPoolOf(scratch, 2, MANY + 10);
  const [a = "", b = ""] = paths;
  const content = await fillThinly(pool, MANY);
  await pool.remove([a], SLOWLY);
  await untilSomeMoved(pool);
  await pool.close();
  const { used, evacuating } = pool.status().components[0] ?? {};
  assert(evacuating === true && used !== undefined && used > 0);
  assertEquals(nativeLabel(a).members.map(({ state }) => state), [
    "evacuating",
    "active",
  ]);
  // Not when it is opened for reading only.
  const reader = await openPool(paths, { readOnly: true });
  await turn();
  assertEquals(reader.status().components[0]?.used, used);
  await assertContent(reader, content);
  await reader.close();
  const again = await openPool(paths);
  await untilDone(again);
  assertEquals(again.status().components.map(({ path }) => path), [b]);
  await assertContent(again, content);
  await again.close();
  await assertSound("native", [b]);
});

Deno.test("Pool.remove() keeps to its rate, and tells it", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openPoolOf(scratch, 2, 30);
  const client = new Client(pool, 20, 1);
  await client.fill();
  const bytesPerSecond = 20 * SMALL_CHUNK;
  const start = performance.now();
  await pool.remove(paths.slice(0, 1), { bytesPerSecond });
  // Of the first moment there is no rate yet. A busy machine is slower.
  const measured = () => pool.status().evacuation?.bytesPerSecond ?? Infinity;
  await until(() => measured() > 0 && measured() < 1.5 * bytesPerSecond);
  const { evacuation } = pool.status();
  assert(evacuation !== null && evacuation.leftBytes > 0);
  const { bytesPerSecond: rate, leftBytes, secondsLeft } = evacuation;
  assertEquals(secondsLeft, Math.ceil(leftBytes / rate));
  await untilDone(pool);
  const seconds = (performance.now() - start) / 1000;
  // A second, but for a last pause that need not be waited for.
  assert(seconds > 0.8, `it took ${seconds} s`);
  await assertContent(pool, client.content);
  await pool.close();
});
