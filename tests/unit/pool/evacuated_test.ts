/**
 * Waiting for a component to leave, as a user of the library does. Each wait
 * comes to an end, and one that is dropped harms nothing: the test runner fails
 * this file if a rejection is not handled.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import type { OpenDevice } from "../../../pool/core/mod.ts";
import { openPool } from "../../../pool/mod.ts";
import {
  componentSize,
  openSmallPool,
  type Scratch,
  SMALL_CHUNK,
  type SmallPool,
} from "../../helpers/scratch.ts";
import {
  assertRefused,
  assertSound,
  type Content,
  makeQuickScratch,
  makeSparse,
  writeChunk,
} from "../../helpers/small_pools.ts";

/** So slow that no test sees its end. */
const CRAWLING = { bytesPerSecond: 1 };

/** Opens a pool of four components; the first two hold 10 and 4 chunks. */
async function openFour(
  scratch: Scratch,
  openDevice?: OpenDevice,
): Promise<SmallPool & { a: string; b: string; content: Content }> {
  const small = await openSmallPool(scratch, 4, {
    format: "native",
    createSize: componentSize("native", 10),
    ...openDevice && { openDevice },
  });
  const content: Content = new Map();
  for (let v = 0; v < 14; v++) await writeChunk(small.pool, content, v);
  const [a = "", b = ""] = small.paths;
  return { ...small, a, b, content };
}

Deno.test("Pool.evacuated() resolves for every caller when the component has left", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths, a } = await openFour(scratch);
  const removing = pool.remove([a]);
  // The wait may begin before remove() has settled.
  await Promise.all([pool.evacuated(a), pool.evacuated(a), removing]);
  assertEquals(
    pool.status().components.map(({ path }) => path),
    paths.slice(1),
  );
  await pool.evacuated(a);
  await pool.close();
  await pool.evacuated(a);
  await assertSound("native", paths.slice(1));
});

Deno.test("Pool.evacuated() resolves for a component that has left at once, until it is added again", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openFour(scratch);
  const d = scratch.file("d");
  const createSize = componentSize("native", 20);
  await pool.add([d], { createSize });
  assertEquals((await pool.remove([d])).removed, [d]);
  await pool.evacuated(d);
  await pool.add([d]);
  await assertRefused(() => pool.evacuated(d), "invalid", "not being removed");
  await pool.close();
});

Deno.test("Pool.evacuated() refuses a component that is not being removed", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, a } = await openFour(scratch);
  const none = makeSparse(scratch.file("none"), 4096);
  for (
    const [path, message] of [
      [
        a,
        `Cannot wait for "${a}" to leave pool "small": it is not being removed`,
      ],
      [none, `Cannot wait for "${none}": it is no component of pool "small"`],
    ] as const
  ) {
    await assertRefused(() => pool.evacuated(path), "invalid", message);
  }
  await pool.close();
});

Deno.test("Pool.evacuated() rejects when the removal is cancelled, and goes on for the others", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, a, b } = await openFour(scratch);
  await pool.remove([a, b], CRAWLING);
  const [kept, left] = [pool.evacuated(a), pool.evacuated(b)];
  await pool.cancelRemove([a]);
  await assertRefused(
    () => kept,
    "cancelled",
    `Cannot remove "${a}" from pool "small": its removal was cancelled, it ` +
      "stays",
  );
  await assertRefused(() => pool.evacuated(a), "invalid", "not being removed");
  await pool.remove([b]);
  await left;
  await pool.close();
});

Deno.test("Pool.evacuated() rejects when an error stops the evacuation, also later, until it is begun again", async () => {
  await using scratch = await makeQuickScratch();
  let isFaulty = false;
  const { pool, a } = await openFour(scratch, (path, options) => {
    const device = new FileDevice(path, options);
    const { read } = FileDevice.prototype;
    device.read = (target, offset) => {
      if (!isFaulty || target.length !== SMALL_CHUNK) {
        return read.call(device, target, offset);
      }
      throw new VirstorError("io", "Cannot read: no spindle turns");
    };
    return device;
  });
  isFaulty = true;
  await pool.remove([a]);
  const message = `Cannot remove "${a}" from pool "small": the evacuation ` +
    "stopped: Cannot read: no spindle turns";
  await assertRefused(() => pool.evacuated(a), "io", message);
  await assertRefused(() => pool.evacuated(a), "io", message);
  isFaulty = false;
  await pool.remove([a]);
  await pool.evacuated(a);
  await pool.close();
});

Deno.test("Pool.evacuated() rejects when the pool takes no more writes", async () => {
  await using scratch = await makeQuickScratch();
  let isFaulty = false;
  const { pool, a } = await openFour(scratch, (path, options) => {
    const device = new FileDevice(path, options);
    device.flush = () => {
      if (!isFaulty) return FileDevice.prototype.flush.call(device);
      throw new VirstorError("io", "Cannot flush: no spindle turns");
    };
    return device;
  });
  await pool.remove([a], CRAWLING);
  const left = pool.evacuated(a);
  isFaulty = true;
  await assertRejects(async () => await pool.volume().flush());
  assertEquals(pool.status().state, "failed");
  const reason = pool.status().reason;
  await assertRefused(() => left, "failed", reason);
  await assertRefused(() => pool.evacuated(a), "failed", reason);
  await pool.close();
});

Deno.test("Pool.evacuated() rejects when the pool closes; a paused evacuation has nothing to wait for", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths, a } = await openFour(scratch);
  await pool.remove([a], CRAWLING);
  const left = pool.evacuated(a);
  const closing = pool.close();
  const late = pool.evacuated(a);
  const message = 'Pool "small" is stopped';
  for (const wait of [left, late]) {
    await assertRefused(() => wait, "shutdown", message);
  }
  await closing;
  await assertRefused(() => pool.evacuated(a), "shutdown", message);
  for (
    const options of [{ readOnly: true }, { evacuation: { paused: true } }]
  ) {
    await using again = await openPool(paths, options);
    await assertRefused(
      () => again.evacuated(a),
      "io",
      "the evacuation stopped: it goes on when the pool is opened for writing",
    );
    if (again.settings.readOnly) continue;
    await again.remove([a]);
    await again.evacuated(a);
  }
});

Deno.test("Pool.evacuated() that is dropped ends no program", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, a, b } = await openFour(scratch);
  void pool.evacuated(a);
  await pool.remove([a, b], CRAWLING);
  void pool.evacuated(a);
  await pool.cancelRemove([a]);
  void pool.evacuated(b);
  await pool.close();
  void pool.evacuated(b);
  await new Promise((resolve) => setTimeout(resolve));
  assert(pool.status().state === "closed");
});
