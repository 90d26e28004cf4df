/**
 * What a pool costs that lists many snapshots or volumes: the time of an open,
 * of a change and of a status, and memory.
 *
 * ```sh
 * deno run -A --v8-flags=--expose-gc bench/many.ts 1000 snapshots
 * deno run -A --v8-flags=--expose-gc bench/many.ts 1000 volumes
 * ```
 *
 * @module
 */

import { labelPool, openPool } from "../pool/mod.ts";
import { addSnapshots } from "../tests/helpers/long_superblock.ts";

const MIB = 2 ** 20;
const TAKEN = 20;

let before = 0;

function lap(what: string, times = 1): void {
  const ms = (performance.now() - before) / times;
  print(`${what}: ${ms.toFixed(1)} ms`);
  before = performance.now();
}

function print(text: string): void {
  // deno-lint-ignore no-console -- this is what it is for
  console.log(text);
}

function memory(): number {
  const { gc } = globalThis as { gc?: () => void };
  gc?.();
  return Deno.memoryUsage().rss / MIB;
}

async function main(count: number, kind: string): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "virstor-many-" });
  try {
    const paths = ["a", "b"].map((name) => `${directory}/${name}`);
    await labelPool({
      ...{ name: "many", paths, createSize: 512 * MIB },
      ...{ virtualSize: 2 ** 40, format: "native" },
    });
    const snapshots = kind === "snapshots" ? count : 0;
    addSnapshots(paths, snapshots, 20, count - snapshots);
    const idle = memory();
    before = performance.now();
    const pool = await openPool(paths);
    lap("open");
    print(`memory: ${(memory() - idle).toFixed(1)} MiB`);
    before = performance.now();
    for (let i = 0; i < TAKEN; i++) {
      const snapshot = `new-${i}`;
      await pool.snapshotChanges.take([{ volume: "many", snapshot }]);
    }
    lap("a snapshot", TAKEN);
    pool.status();
    lap("status");
    await pool.describeVolumes();
    lap("describeVolumes");
    await pool.close();
    lap("close");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const [count = "1000", kind = "snapshots"] = Deno.args;
await main(Number(count), kind);
