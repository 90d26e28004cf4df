/**
 * What goes on for volumes and snapshots, in words.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { jobPair } from "../../../cli/commands/job_text.ts";

const POOL = { name: "vm", chunkSize: 2 ** 20 };

Deno.test("jobs are named as users know volumes, with their progress", () => {
  const job = { doneChunks: 1, allChunks: 3, freedChunks: 2 };
  const cases = [
    [
      { ...job, kind: "free", names: ["data@mon", "data@tue", "data@wed"] },
      ["Freeing", "vm/data@mon and 2 more: 33%, 2 MiB freed"],
    ],
    [
      { ...job, kind: "free", names: ["vm@mon"], doneChunks: 0, allChunks: 0 },
      ["Freeing", "vm@mon: 100%, 2 MiB freed"],
    ],
    [
      { ...job, kind: "rollback", names: ["vm-2@mon"], freedChunks: 0 },
      ["Rolling back", "vm/vm-2@mon: 33%, 0 B freed"],
    ],
    [
      { ...job, kind: "flatten", names: ["vm"] },
      ["Flattening", "vm: 33%"],
    ],
  ] as const;
  for (const [each, pair] of cases) {
    assertEquals(jobPair(POOL, each), [...pair]);
  }
});
