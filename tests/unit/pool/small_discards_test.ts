/**
 * Goal: a chunk that discards in pieces have left without data is free again,
 * whatever the pieces are and whatever their order; and no chunk that holds
 * data, or is to keep its place, is ever given back. Method: real files, on the
 * disk and in memory.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { FileDevice, type WriteZeroesOptions } from "../../../device/mod.ts";
import {
  checkComponents,
  type LabelOptions,
  openPool,
  type Pool,
  type PoolOptions,
} from "../../../pool/mod.ts";
import { testNatively } from "../../helpers/native.ts";
import {
  makeScratch,
  MIB,
  openSmallPool,
  pattern,
  readBytes,
  type Scratch,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  makeQuickScratch,
  randomOf,
  until,
} from "../../helpers/small_pools.ts";

/** Chunks that are written and discarded. */
const CHUNKS = 5;
/** Bytes that are. */
const BYTES = CHUNKS * SMALL_CHUNK;

/** What leaves a hole behind. */
const ERASERS = ["discard", "writeZeroes"] as const;

/** A pool with data in chunks 1 to 5, and in those beside them. */
async function openWritten(
  scratch: Scratch,
  options: Partial<LabelOptions> & PoolOptions = {},
): Promise<{ pool: Pool; paths: string[] }> {
  const { pool, paths } = await openSmallPool(scratch, 1, {
    format: "native",
    createSize: 2 * MIB,
    ...options,
  });
  await pool.volume().write(pattern(BYTES + 2 * SMALL_CHUNK, 1), 0);
  return { pool, paths };
}

/** Nothing may be left of chunks 1 to 5, nor any chunk be used for them. */
async function assertGone(pool: Pool, paths: string[]): Promise<void> {
  await until(() => pool.status().freeingChunks === 0);
  assertEquals(pool.status().mappedChunks, 2);
  assertEquals(pool.status().usedChunks, 2);
  const wanted = pattern(BYTES + 2 * SMALL_CHUNK, 1)
    .fill(0, SMALL_CHUNK, SMALL_CHUNK + BYTES);
  assertEquals(await readBytes(pool.volume(), 0, wanted.length), wanted);
  await pool.close();
  assertEquals((await checkComponents(paths)).findings, []);
}

/** Where pieces begin, from the first byte of chunk 1 on. */
function starts(piece: number): number[] {
  return Array.from({ length: Math.ceil(BYTES / piece) }, (_, i) => i * piece);
}

const ORDERS: Record<string, (all: number[]) => number[]> = {
  "one after the other": (all) => all,
  "from the last to the first": (all) => all.toReversed(),
  "every second one first": (
    all,
  ) => [...all.filter((_, i) => i % 2 === 0), ...all.filter((_, i) => i % 2)],
  "in any order": (all) => {
    const random = randomOf(all.length);
    return all.map((at) => [random(), at] as const)
      .toSorted(([a], [b]) => a - b).map(([, at]) => at);
  },
};

for (
  const [where, make] of [
    ["on the disk", makeScratch],
    ["in memory", makeQuickScratch],
  ] as const
) {
  for (const piece of [512, 1000, 4096, 12_288, 65_536, 100_000, 200_000]) {
    testNatively(
      `chunks discarded ${piece} bytes at a time are free again, ${where}`,
      async () => {
        for (const [order, sort] of Object.entries(ORDERS)) {
          for (const erase of ERASERS) {
            await using scratch = await make();
            const { pool, paths } = await openWritten(scratch);
            for (const at of sort(starts(piece))) {
              const length = Math.min(piece, BYTES - at);
              await pool.volume()[erase](SMALL_CHUNK + at, length);
            }
            await assertGone(pool, paths).catch((cause) => {
              throw new Error(order, { cause });
            });
          }
        }
      },
    );
  }
}

testNatively(
  "a chunk with one byte left keeps its place, until it is gone",
  async () => {
    await using scratch = await makeScratch();
    const { pool } = await openWritten(scratch);
    for (const left of [0, 1, 4095, 70_000, SMALL_CHUNK - 1]) {
      const start = SMALL_CHUNK;
      await pool.volume().write(Uint8Array.of(9), start + left);
      // Whole chunks would go another way.
      await pool.volume().discard(start, left);
      await pool.volume().discard(start + left + 1, SMALL_CHUNK - left - 1);
      await pool.volume().discard(start + left + 1, 3 * SMALL_CHUNK - left - 1);
      assertEquals(pool.status().mappedChunks, 5);
      assertEquals(
        await readBytes(pool.volume(), start + left, 1),
        Uint8Array.of(9),
      );
      await pool.volume().discard(start + left, 1);
      assertEquals(pool.status().mappedChunks, 4);
    }
    await pool.close();
  },
);

testNatively(
  "a chunk for which a client has provisioned keeps its place",
  async () => {
    await using scratch = await makeScratch();
    const { pool } = await openWritten(scratch);
    const noHole: WriteZeroesOptions = { noHole: true };
    const [mapped, unmapped] = [SMALL_CHUNK, 20 * SMALL_CHUNK];
    // Half of each, so that the other half has nothing either.
    await pool.volume().writeZeroes(mapped, SMALL_CHUNK / 2, noHole);
    await pool.volume().writeZeroes(unmapped, SMALL_CHUNK / 2, noHole);
    assertEquals(pool.status().mappedChunks, 8);
    for (const start of [mapped, unmapped]) {
      await pool.volume().discard(start + SMALL_CHUNK / 2, SMALL_CHUNK / 2);
      await pool.volume().writeZeroes(start + 4096, 4096);
    }
    assertEquals(pool.status().mappedChunks, 8);
    // As a whole it goes; then it is as any other.
    await pool.volume().discard(mapped, SMALL_CHUNK);
    await pool.volume().discard(unmapped, SMALL_CHUNK);
    assertEquals(pool.status().mappedChunks, 6);
    await pool.volume().write(pattern(100, 1), unmapped);
    await pool.volume().discard(unmapped, 100);
    assertEquals(pool.status().mappedChunks, 6);
    await pool.close();
  },
);

testNatively(
  "a chunk that waited for space, to be provisioned, keeps its place",
  async () => {
    await using scratch = await makeScratch();
    const { pool } = await openSmallPool(scratch, 1, { format: "native" });
    await pool.volume().write(pattern(5 * SMALL_CHUNK, 1), 0);
    const waiting = pool.volume().writeZeroes(9 * SMALL_CHUNK, 4096, {
      noHole: true,
    });
    // In pieces, too, space comes for what waits.
    await pool.volume().discard(0, SMALL_CHUNK / 2);
    await pool.volume().discard(SMALL_CHUNK / 2, SMALL_CHUNK / 2);
    await waiting;
    assertEquals(pool.status().mappedChunks, 5);
    await pool.volume().discard(9 * SMALL_CHUNK, 4096);
    assertEquals(pool.status().mappedChunks, 5);
    await pool.close();
  },
);

testNatively("a chunk that is being moved keeps its mapping", async () => {
  await using scratch = await makeScratch();
  let isHeld = false;
  let go = () => {};
  class HeldFile extends FileDevice {
    override flush() {
      if (!isHeld) return super.flush();
      // The copies are made; the new place does not count yet.
      return new Promise<void>((resolve) => go = resolve)
        .then(() => super.flush());
    }
  }
  const { pool, paths } = await openSmallPool(scratch, 2, {
    format: "native",
    openDevice: (path, options) => new HeldFile(path, options),
  });
  await pool.volume().write(pattern(SMALL_CHUNK, 1), 0);
  const [from = ""] = paths;
  await pool.remove([from]);
  isHeld = true;
  await until(() => pool.status().components[1]?.used === 1);
  await pool.volume().discard(0, SMALL_CHUNK / 2);
  await pool.volume().discard(SMALL_CHUNK / 2, SMALL_CHUNK / 2);
  assertEquals(pool.status().mappedChunks, 1);
  isHeld = false;
  go();
  await until(() => pool.status().components.length === 1);
  assertEquals(
    await readBytes(pool.volume(), 0, SMALL_CHUNK),
    new Uint8Array(SMALL_CHUNK),
  );
  // The next discard finds it without data.
  await pool.volume().discard(4096, 1);
  assertEquals(pool.status().mappedChunks, 0);
  await pool.close();
});

testNatively("in a dense format chunks stay where they are", async () => {
  await using scratch = await makeScratch();
  const { pool } = await openWritten(scratch, { format: "freebsd" });
  const { mappedChunks } = pool.status();
  for (const at of starts(4096)) {
    await pool.volume().discard(SMALL_CHUNK + at, 4096);
  }
  assertEquals(pool.status().mappedChunks, mappedChunks);
  await pool.close();
});

testNatively(
  "what was given back in pieces is free after a crash, or reads as zeroes",
  async () => {
    await using scratch = await makeScratch();
    const { pool, paths } = await openWritten(scratch);
    for (const at of starts(65_536)) {
      await pool.volume().discard(SMALL_CHUNK + at, 65_536);
    }
    await pool.volume().flush();
    const copies = paths.map((path, i) => {
      const copy = scratch.file(`copy${i}`);
      Deno.copyFileSync(path, copy);
      return copy;
    });
    const again = await openPool(copies);
    await assertGone(again, copies);
    await pool.close();
  },
);

testNatively(
  "a file that does not tell its holes gives no chunk back",
  async () => {
    await using scratch = await makeScratch();
    const { pool } = await openWritten(scratch, {
      openDevice: (path, options) =>
        new FileDevice(path, { ...options, native: false }),
    });
    for (const at of starts(65_536)) {
      await pool.volume().discard(
        SMALL_CHUNK + at,
        65_536,
      );
    }
    assertEquals(pool.status().mappedChunks, CHUNKS + 2);
    await pool.close();
  },
);
