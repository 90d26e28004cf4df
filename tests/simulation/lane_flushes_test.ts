/**
 * Goal: what a lane or the event loop has flushed survives a power cut, however
 * their flushes overlap. Method: random runs in simulated worlds; and canaries,
 * which undo one rule of `device/leases/sync_line.ts` each.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { inWorlds } from "./in_worlds.ts";
import { laneFlushes } from "./lane_flushes.ts";
import { type Mutation, simulateMutant } from "./mutant.ts";

/** Seeds that are run. */
const SEEDS = 25;
/** The most seeds that a canary needs. */
const CANARY_SEEDS = "100";

for (const format of ["freebsd", "native"] as const) {
  Deno.test(`simulation: flushes of lanes, ${format}`, async () => {
    await inWorlds(async (directory) => {
      for (let seed = 1; seed <= SEEDS; seed++) {
        await laneFlushes(directory, format, seed);
      }
    });
  });
}

const CANARIES: Readonly<Record<string, readonly Mutation[]>> = {
  "a lane that flushes although the owner has written": [{
    file: "device/leases/leased_flush.ts",
    from: '    if (line.hasFailed || line.isDirty) return "owner";\n',
    to: '    if (line.hasFailed) return "owner";\n',
  }, {
    file: "device/leases/leased_flush.ts",
    from: "    if (line.hasFailed || line.isDirty) {\n",
    to: "    if (line.hasFailed) {\n",
  }],
  "a lane that does not wait for another flush": [{
    file: "device/leases/leased_flush.ts",
    from: '    if (isClean && line.isFree) return "next";\n',
    to: '    if (isClean) return "next";\n',
  }],
  "an owner that does not wait for the flush of a lane": [{
    file: "device/file/file_sync.ts",
    from: "    if (this.#line.tryLock()) return this.#syncIfDirty();\n",
    to: "    this.#line.tryLock();\n    return this.#syncIfDirty();\n",
  }],
};

for (const [name, mutations] of Object.entries(CANARIES)) {
  Deno.test(`canary: ${name}`, async () => {
    const args = ["--format", "native", "--seed", CANARY_SEEDS];
    const { code, output } = await simulateMutant(
      mutations,
      args,
      "lane_flushes.ts",
    );
    assertEquals(code, 1, output);
    assert(/it may hold|takes no more writes/.test(output), output);
  });
}
