/**
 * Faults of overlapping steps that were mended: each is put back into a copy of
 * the program, and the simulation has to find it there. Without this nothing
 * would show that it sees anything.
 *
 * A mutation names the text that mends the fault. It fails when that text
 * changes: then it has to be written anew.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Mutation, simulateMutant } from "./mutant.ts";

interface Canary {
  readonly name: string;
  readonly mutations: readonly Mutation[];
  /** What to run: pairs, or `random`; each with its seed. */
  readonly runs: readonly [overlap: string, seed: number][];
  /** What the simulation says. */
  readonly complaint: RegExp;
}

const CANARIES: readonly Canary[] = [
  {
    name: "a change that does not wait for the evacuation it holds",
    mutations: [{
      file: "pool/change/evacuation.ts",
      from: "    this.wake();\n    await this.#running;\n",
      to: "    this.wake();\n",
    }],
    runs: [["cancel,cancel", 4], ["cancel,evacuate", 4]],
    complaint:
      /An assertion failed: .*(an evacuating component moves|no chunk)/,
  },
  {
    name: "remove --cancel outside the queue of changes",
    mutations: [{
      file: "pool/change/control.ts",
      from: "    return this.#change(async () => {\n      const { kept } = ",
      to: "    return (async (change) => await change())(async () => {\n" +
        "      await this.evacuation.hold();\n      const { kept } = ",
    }, {
      file: "pool/change/control.ts",
      from: "      this.evacuation.detach(kept);\n",
      to: "      this.evacuation.detach(kept);\n" +
        "      this.evacuation.release();\n",
    }],
    runs: [["cancel,cancel", 4]],
    complaint: /does not come to rest|is leaving, it may be in/,
  },
  {
    name: "a stop that does not wait for requests in flight",
    mutations: [{
      file: "pool/volume.ts",
      from: "    await this.#inFlight.settled();\n",
      to: "",
    }, {
      file: "pool/open_parts.ts",
      from: "      assert(requestsInFlight === 0, ",
      to: "      assert(true, ",
    }, {
      file: "pool/volume.ts",
      from: "new Eraser(parts, () => this.#health.assertWritable())",
      to: "new Eraser(parts, () => {})",
    }],
    runs: [["discard,close", 2], ["zero,close", 4]],
    complaint:
      /An assertion failed|differs from the one at the last clean stop/,
  },
  {
    name: "a volume that is closed, and does not wait for its requests",
    mutations: [{
      file: "pool/volume.ts",
      from: "    await this.#inFlight.settled();\n",
      to: "",
    }],
    runs: [["discard,close volume", 1], ["read,close volume", 1]],
    complaint: /The volume is closed, and a request is in flight/,
  },
  {
    name: "a volume that is closed, and keeps its leases",
    mutations: [{
      file: "pool/volume.ts",
      from: "    this.#leases?.end();\n",
      to: "",
    }],
    runs: [["close volume,lane overwrite", 1]],
    complaint: /A closed volume answered a request/,
  },
  {
    name: "a disk that becomes smaller on disk before it does in memory",
    mutations: [{
      file: "pool/change/resize.ts",
      from: "options.force ?? false);\n    map.resize(chunks);\n",
      to: "options.force ?? false);\n",
    }],
    runs: [["shrink,lane first write", 1], ["shrink,first write", 2]],
    complaint: /was made to end at block|but the disk has|are seen/,
  },
  {
    name: "parts of a request that are left behind when another one fails",
    mutations: [{
      file: "device/block/join_parts.ts",
      from: "      completion?.catch(noteFailure);\n",
      to: "",
    }, {
      file: "device/block/join_parts.ts",
      from: "    if (failsFast || inFlight.length === 0) throw error;\n",
      to: "    throw error;\n",
    }],
    runs: [["degraded", 1], ["zero", 5], ["zero", 2], ["read", 5]],
    complaint: /A promise was left behind|it may hold 0|it may have held/,
  },
  {
    name: "a snapshot that leaves threads their leases",
    mutations: [{
      file: "pool/core/forward_map.ts",
      from:
        "if (epoch > this.#sharedThrough) this.leases?.withdrawAll();\n    ",
      to: "",
    }],
    runs: [["snapshot,lane overwrite", 1]],
    complaint: /Block \d+ of world@s\d+ holds/,
  },
  {
    name: "a rollback that does not close the volume",
    mutations: [{
      file: "pool/change/snapshot_changes.ts",
      from: "      await this.#tools.hooks.close(record.id);\n",
      to: "",
    }],
    runs: [["roll back,overwrite", 1]],
    complaint: /Block \d+ of world holds/,
  },
  {
    name: "a flattened clone whose copies are not durable",
    mutations: [{
      file: "pool/change/volume_changes.ts",
      from: "      await flushMembers(this.#base);\n      const record",
      to: "      const record",
    }],
    runs: [["flatten,flush", 1]],
    complaint: /Block \d+ of c\d+ holds 0/,
  },
  {
    name: "a clone that gets a snapshot while it is flattened",
    mutations: [{
      file: "pool/change/volume_changes.ts",
      from: "      assertFlattens(parts);\n      const { format }",
      to: "      const { format }",
    }],
    runs: [["flatten,snapshot", 2]],
    complaint: /Block \d+ of c\d+@s\d+ holds 0/,
  },
  {
    name: "a volume with the number of one whose chunks are being freed",
    mutations: [{
      file: "pool/change/collector.ts",
      from: "    base.removed.set(map.volume, map);\n",
      to: "",
    }],
    runs: [["remove volume,create volume", 1]],
    complaint: /Block \d+ of v\d+ holds/,
  },
  {
    name: "the removal of a snapshot outside the queue of changes",
    mutations: [{
      file: "pool/change/snapshot_changes.ts",
      from: "const freed = await this.#run(async () => {\n",
      to: "const freed = await (async (change) => await change())" +
        "(async () => {\n",
    }],
    runs: [["remove snapshot,clone", 2]],
    complaint: /was refused: .*there is no such snapshot/,
  },
];

for (const { name, mutations, runs, complaint } of CANARIES) {
  Deno.test(`canary: ${name}`, async () => {
    for (const [overlap, seed] of runs) {
      const options = ["--format", "native", "--overlap", overlap];
      const args = [...options, "--seed", `${seed}`];
      const { code, output } = await simulateMutant(mutations, args);
      assertEquals(code, 1, output);
      assert(complaint.test(output), output);
    }
  });
}

Deno.test("canary: a copy without a fault is sound", async () => {
  const { code, output } = await simulateMutant([], [
    ...["--format", "native", "--overlap", "cancel,cancel", "--seed", "4"],
  ]);
  assertEquals(code, 0, output);
});
