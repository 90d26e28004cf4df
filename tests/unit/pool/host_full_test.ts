/**
 * A component whose file system on the host is full: new chunks go to the other
 * components, until there is space again.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import {
  type Component,
  HostSpaces,
  hostWarnings,
  type PoolSettings,
} from "../../../pool/core/mod.ts";
import {
  type FormatName,
  labelPool,
  openPool,
  type Pool,
  type PoolEvent,
  type PoolOptions,
} from "../../../pool/mod.ts";
import { NO_NATIVE_CALLS } from "../../helpers/native.ts";
import { eventually } from "../../helpers/patience.ts";
import { testUnless } from "../../helpers/peers.ts";
import {
  makeScratch,
  MIB,
  pattern,
  readBytes,
  type Scratch,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import { assertSound } from "../../helpers/small_pools.ts";
import { mountTiny, whyNoMount } from "../../helpers/tiny_fs.ts";

/** Bytes that are written as a whole or not at all. */
const BLOCK = 4096;
const WHY_NOT = NO_NATIVE_CALLS ?? await whyNoMount();

/** A pool with a component on a file system that tests can fill. */
interface TinyPool extends AsyncDisposable {
  readonly pool: Pool;
  readonly paths: readonly string[];
  readonly events: PoolEvent[];
  /** Leaves no room for another chunk on the tiny file system. */
  fill(): Promise<void>;
  /** Undoes that. */
  empty(): Promise<void>;
}

interface TinyOptions extends PoolOptions {
  readonly format?: FormatName;
}

async function openTiny(
  scratch: Scratch,
  names: readonly string[],
  { format = "native", ...options }: TinyOptions = {},
): Promise<TinyPool> {
  const tiny = await mountTiny(scratch.file("tiny"));
  const paths = names.map((name) => scratch.file(name));
  await labelPool({
    name: "small",
    format,
    paths,
    createSize: MIB,
    chunkSize: SMALL_CHUNK,
    virtualSize: 64 * MIB,
  });
  const events: PoolEvent[] = [];
  const pool = await openPool(paths, {
    onEvent: (event) => events.push(event),
    ...options,
  });
  const filler = tiny.file("filler");
  return {
    pool,
    paths,
    events,
    fill: () =>
      Deno.writeFile(filler, new Uint8Array(1.8 * MIB)).catch(() => {}),
    empty: () => Deno.remove(filler),
    async [Symbol.asyncDispose](): Promise<void> {
      await pool.close();
      await tiny[Symbol.asyncDispose]();
    },
  };
}

async function write(pool: Pool, chunk: number): Promise<void> {
  await pool.volume().write(
    pattern(SMALL_CHUNK, chunk),
    chunk * SMALL_CHUNK,
  );
}

async function assertHolds(
  pool: Pool,
  chunks: readonly number[],
): Promise<void> {
  for (const chunk of chunks) {
    assertEquals(
      await readBytes(pool.volume(), chunk * SMALL_CHUNK, SMALL_CHUNK),
      pattern(SMALL_CHUNK, chunk),
      `chunk ${chunk}`,
    );
  }
}

function usedOf(pool: Pool): number[] {
  return pool.status().components.map(({ used }) => used);
}

testUnless(
  "first writes go on with other components while a host file system is full",
  WHY_NOT,
  async () => {
    await using scratch = await makeScratch();
    const made = await openTiny(scratch, ["tiny/a", "b"]);
    await using _ = made;
    const { pool, events, paths } = made;
    await write(pool, 0);
    await made.fill();
    const { freeChunks } = pool.status();
    for (let v = 1; v <= 4; v++) await write(pool, v);
    assertEquals(usedOf(pool), [1, 4]);
    const status = pool.status();
    assertEquals(status.freeChunks, freeChunks - 4);
    assert(typeof status.components[0]?.refusedSince === "string");
    await pool.lookAtHosts();
    const [warning] = pool.status().warnings.filter((one) =>
      one.includes("file system")
    );
    assertMatch(warning ?? "", /tiny\/a" is full, .* new chunks go elsewhere/);
    const told = events.filter(({ kind }) => kind === "host-full");
    assertEquals(told.length, 1);

    await made.empty();
    await eventually(
      "a takes new chunks",
      () => pool.status().components[0]?.refusedSince === null,
    );
    await write(pool, 5);
    assertEquals(usedOf(pool), [2, 4]);
    await assertHolds(pool, [0, 1, 2, 3, 4, 5]);
    await pool.close();
    await assertSound("native", paths);
  },
);

testUnless(
  "a first write fails if no component beside the full one has a free chunk",
  WHY_NOT,
  async () => {
    await using scratch = await makeScratch();
    const made = await openTiny(scratch, ["tiny/a", "b"]);
    await using _ = made;
    const { pool } = made;
    await made.fill();
    for (let v = 0; v < 6; v++) await write(pool, v);
    assertEquals(usedOf(pool), [0, 6]);
    const error = await assertRejects(() => write(pool, 6), VirstorError);
    assertEquals(error.code, "no-space");
    assertMatch(error.message, /the file system of component ".*\/a" is full/);
    assertEquals(pool.status().delayed.total, 0);
    // The client learns as soon as there is space: by its next write.
    await made.empty();
    await write(pool, 6);
    assertEquals(pool.status().components[0]?.refusedSince, null);
    await assertHolds(pool, [0, 1, 2, 3, 4, 5, 6]);
  },
);

/** A device of which nothing is in the page cache. */
class ColdDevice extends FileDevice {
  override readCached(): number {
    return 0;
  }
}

for (const isCold of [false, true]) {
  testUnless(
    `a copy on write ${
      isCold ? "from the disk " : ""
    }goes elsewhere if the host file system is full`,
    WHY_NOT,
    async () => {
      await using scratch = await makeScratch();
      const made = await openTiny(scratch, ["tiny/a", "b"], {
        ...isCold && { openDevice: (...args) => new ColdDevice(...args) },
      });
      await using _ = made;
      const { pool, paths } = made;
      for (let v = 0; v < 2; v++) await write(pool, v);
      await pool.snapshotChanges.take([{ volume: "small", snapshot: "s" }]);
      await made.fill();
      const piece = pattern(4096, 9);
      for (let v = 0; v < 2; v++) {
        await pool.volume().write(piece, v * SMALL_CHUNK + 8192);
      }
      assertEquals(usedOf(pool), [2, 2]);
      for (let v = 0; v < 2; v++) {
        const wanted = pattern(SMALL_CHUNK, v);
        const disk = pool.snapshotDisk("small", "s");
        const at = v * SMALL_CHUNK;
        assertEquals(await readBytes(disk, at, SMALL_CHUNK), wanted);
        wanted.set(piece, 8192);
        assertEquals(await readBytes(pool.volume(), at, SMALL_CHUNK), wanted);
      }
      await pool.close();
      await assertSound("native", paths);
    },
  );
}

testUnless(
  "an evacuation goes on with another component if a host file system is full",
  WHY_NOT,
  async () => {
    await using scratch = await makeScratch();
    const made = await openTiny(scratch, ["a", "tiny/b", "c"]);
    await using _ = made;
    const { pool, paths: [a, b, c] } = made;
    assert(a !== undefined && b !== undefined && c !== undefined);
    for (let v = 0; v < 4; v++) await write(pool, v);
    assertEquals(usedOf(pool), [4, 0, 0]);
    await made.fill();
    await pool.remove([a]);
    await pool.evacuated(a);
    assertEquals(usedOf(pool), [0, 4]);
    await assertHolds(pool, [0, 1, 2, 3]);
    await pool.close();
    await assertSound("native", [b, c]);
  },
);

testUnless(
  "a chunk that was mapped ahead moves if the host file system is full",
  WHY_NOT,
  async () => {
    await using scratch = await makeScratch();
    const made = await openTiny(scratch, ["tiny/a", "b"]);
    await using _ = made;
    const { pool, paths } = made;
    const volume = pool.volume();
    for (let v = 0; v < 3; v++) {
      assert(volume.leases.prepare(v * SMALL_CHUNK));
    }
    assertEquals(usedOf(pool), [3, 0]);
    await made.fill();
    // No block is free any more: nothing of a write is done.
    const rest = scratch.file("tiny/rest");
    await assertRejects(async () => {
      for (;;) {
        await Deno.writeFile(rest, new Uint8Array(BLOCK), { append: true });
      }
    });
    const block = (v: number) => pattern(BLOCK, v);
    for (let v = 0; v < 3; v++) await volume.write(block(v), v * SMALL_CHUNK);
    assertEquals(usedOf(pool), [0, 3]);
    for (let v = 0; v < 3; v++) {
      const found = await readBytes(volume, v * SMALL_CHUNK, BLOCK);
      assertEquals(found, block(v));
    }
    // Now the next chunk is elsewhere, and may be mapped ahead.
    assert(volume.leases.prepare(3 * SMALL_CHUNK));
    assertEquals(usedOf(pool), [0, 4]);
    await pool.close();
    await assertSound("native", paths);
  },
);

testUnless(
  "a chunk with data stays where it is if the host file system is full",
  WHY_NOT,
  async () => {
    await using scratch = await makeScratch();
    const made = await openTiny(scratch, ["tiny/a", "b"]);
    await using _ = made;
    const { pool } = made;
    const volume = pool.volume();
    await volume.write(pattern(BLOCK, 1), BLOCK);
    await made.fill();
    const all = pattern(SMALL_CHUNK, 2);
    const error = await assertRejects(async () => {
      await volume.write(all, 0);
    }, VirstorError);
    assertEquals(error.code, "no-space");
    assertEquals(usedOf(pool), [1, 0]);
    // Old or new, and not zeroes.
    const found = await readBytes(volume, BLOCK, BLOCK);
    const isNew = Buffer.compare(found, all.subarray(BLOCK, 2 * BLOCK)) === 0;
    if (!isNew) assertEquals(found, pattern(BLOCK, 1));
  },
);

testUnless(
  "in format 1 a write fails if the host file system is full",
  WHY_NOT,
  async () => {
    await using scratch = await makeScratch();
    const made = await openTiny(scratch, ["tiny/a", "b"], {
      format: "freebsd",
    });
    await using _ = made;
    const { pool } = made;
    await made.fill();
    // There may be room for the first one.
    const error = await assertRejects(async () => {
      for (let v = 0; v < 3; v++) await write(pool, v);
    }, VirstorError);
    assertMatch(error.message, /the file system of component ".*\/a" is full/);
    assertEquals(usedOf(pool)[1], 0);
    await made.empty();
    await write(pool, 2);
    assertEquals(usedOf(pool)[1], 0);
  },
);

Deno.test("a full file system is that of the journal if the component is remote", () => {
  const events: PoolEvent[] = [];
  const host = new HostSpaces({
    ...{ name: "small", chunkSize: SMALL_CHUNK, watermarks: {} },
    onEvent: (event: PoolEvent) => events.push(event),
  } as unknown as PoolSettings);
  const full = new VirstorError("no-space", "No space left on device");
  for (
    const [path, place] of [
      ["nbd://far/a", 'the journal of component "nbd://far/a"'],
      ["/near/a", 'component "/near/a"'],
    ]
  ) {
    const device = { path, capabilities: {} };
    const component = { device, free: 1 } as unknown as Component;
    const error = host.failed(component, full);
    const text = `file system of ${place} is full`;
    assert(error instanceof VirstorError && error.message.includes(text));
    const [warning] = hostWarnings([component], SMALL_CHUNK, false);
    for (const line of [warning, events.at(-1)?.message]) {
      assert(line?.includes(text), line);
    }
  }
  host.stop();
});
