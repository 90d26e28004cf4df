/**
 * A component grows while something else is done: whichever comes first, the
 * pool stays sound, and what was acknowledged is there, also after a reopen.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import { openPool, openToGrow, type Pool } from "../../../pool/mod.ts";
import { openSmallPool, type SmallPool } from "../../helpers/scratch.ts";
import { firstDifference } from "../../helpers/bytes.ts";
import { assertSound, makeQuickScratch } from "../../helpers/small_pools.ts";

const CHUNK = 4096;
/** So many that a copy of the table takes several turns. */
const MAPPED = 6000;
const MIB = 1 << 20;

/** The pool. Its second component grows: it has entries, and gets more. */
interface Stage {
  readonly pool: Pool;
  readonly paths: readonly string[];
  /** What the disk holds. */
  readonly content: Uint8Array;
  readonly path: (name: string) => string;
}

async function write({ pool, content }: Stage, v: number): Promise<void> {
  const bytes = new Uint8Array(CHUNK).fill(v % 251 + 1);
  await pool.volume().write(bytes, v * CHUNK);
  content.set(bytes, v * CHUNK);
}

const ACTS: Readonly<Record<string, (stage: Stage) => Promise<unknown>>> = {
  "a grow": ({ pool, paths }) => pool.grow(paths[1] ?? ""),
  "first writes": async (stage) => {
    for (let v = MAPPED; v < MAPPED + 300; v++) await write(stage, v);
  },
  "a discard": async ({ pool, content }) => {
    content.fill(0, 0, 5000 * CHUNK);
    await pool.volume().discard(0, 5000 * CHUNK);
  },
  "a flush": async (stage) => {
    await write(stage, MAPPED + 1);
    await stage.pool.volume().flush();
  },
  "a check": async ({ pool }) => assertEquals(await pool.check(), []),
  "a snapshot": async (stage) => {
    await stage.pool.snapshotChanges.take([{ volume: "small", snapshot: "s" }]);
    await write(stage, 5);
  },
  "an add": ({ pool, path }) => pool.add([path("new")], { createSize: MIB }),
  "a removal": ({ pool, paths }) => pool.remove([paths[0] ?? ""]),
  "its removal": ({ pool, paths }) => pool.remove([paths[1] ?? ""]),
  "a resize": ({ pool }) => pool.resize(20_000 * CHUNK),
  "a close": ({ pool }) => pool.close(),
};

async function openStage(
  small: SmallPool,
  path: Stage["path"],
): Promise<Stage> {
  const { pool, paths } = small;
  const content = new Uint8Array((MAPPED + 300) * CHUNK);
  const stage = { pool, paths, content, path };
  await pool.volume().writeZeroes(0, MAPPED * CHUNK, { noHole: true });
  for (let v = 0; v < MAPPED; v += 500) await write(stage, v);
  return stage;
}

async function assertHolds(pool: Pool, content: Uint8Array): Promise<void> {
  const found = new Uint8Array(content.length);
  await pool.volume().read(found, 0);
  assertEquals(firstDifference(content, found), -1);
}

async function codeOf(act: Promise<unknown>): Promise<string> {
  try {
    await act;
    return "";
  } catch (error) {
    if (error instanceof VirstorError) return error.code;
    throw error;
  }
}

for (const [name, act] of Object.entries(ACTS)) {
  Deno.test(`grow() beside ${name} loses nothing`, async () => {
    for (const turns of [0, 1, 3, 8]) {
      await using scratch = await makeQuickScratch();
      const small = await openSmallPool(scratch, 3, {
        format: "native",
        chunkSize: CHUNK,
        createSize: 16 * MIB,
        virtualSize: 10_000 * CHUNK,
      });
      const stage = await openStage(small, (one) => scratch.file(one));
      const { pool, content } = stage;
      const grown = stage.paths[1] ?? "";
      await Deno.truncate(grown, 24 * MIB);
      const growing = codeOf(pool.grow(grown));
      for (let i = 0; i < turns; i++) {
        await new Promise((done) => setTimeout(done));
      }
      const codes = await Promise.all([growing, codeOf(act(stage))]);
      for (const code of codes) {
        assert(["", "invalid", "shutdown"].includes(code), `${turns}: ${code}`);
      }
      let paths = stage.paths;
      if (name !== "a close") {
        await assertHolds(pool, content);
        // Removals have an end.
        for (const one of pool.status().components) {
          if (one.evacuating) await pool.evacuated(one.path);
        }
        assertEquals(await pool.check(), []);
        paths = pool.status().components.map((one) => one.path);
        await pool.close();
      }
      const again = codes[0] === "" || !paths.includes(grown)
        ? await openPool(paths)
        : await openToGrow(paths, grown);
      await assertHolds(again, content);
      await again.close();
      if (codes[0] === "") await assertSound("native", paths);
    }
  });
}
