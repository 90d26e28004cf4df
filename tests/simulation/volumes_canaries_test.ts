/**
 * The rules of volumes and snapshots, each left out of a copy of the program:
 * random lives have to find it. Without this nothing would show that they see
 * anything.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Mutation, simulateMutant } from "./mutant.ts";

interface Canary {
  readonly name: string;
  readonly mutations: readonly Mutation[];
  /** A life that finds it. */
  readonly seed: number;
  /** What it says. */
  readonly complaint: RegExp;
}

/** Steps of a life. */
const STEPS = 60;

/** The rules. */
export const CANARIES: readonly Canary[] = [
  {
    name: "copies are provisional",
    mutations: [{
      file: "pool/io/chunk_mapper.ts",
      from: "const owner = isCopy ? map.provisionalOwner : map.owner;",
      to: "const { owner } = map;",
    }],
    seed: 3,
    complaint: /may hold/,
  },
  {
    name: "after a power cut provisional entries are dropped",
    mutations: [{
      file: "pool/format/native/native_open.ts",
      from: "const isPowerCut = !truth.clean && ",
      to: "const isPowerCut = false && ",
    }],
    seed: 3,
    complaint: /may hold/,
  },
  {
    name: "a flush settles what is provisional",
    mutations: [{
      file: "pool/io/settling.ts",
      from: "      this.#format.recordSettled(component, ",
      to: "      void (component, ",
    }],
    seed: 1,
    complaint: /may hold/,
  },
  {
    name: "a chunk that hides another stays mapped",
    mutations: [{
      file: "pool/io/layered_eraser.ts",
      from: "map.pinned.has(virtualChunk) || map.hides(virtualChunk);",
      to: "map.pinned.has(virtualChunk);",
    }],
    seed: 2,
    complaint: /may hold|are seen/,
  },
  {
    name: "a version is released once what hides it is durable",
    mutations: [{
      file: "pool/change/sweeps.ts",
      from: "return true;\n    await flushMembers(this.#base);\n    const b",
      to: "return true;\n    const b",
    }, {
      file: "pool/change/sweeps.ts",
      from: "if (isHiddenDurably(this.#base, this.#map, v, version)) {",
      to: "if (true) {",
    }],
    seed: 1,
    complaint: /may hold/,
  },
  {
    name: "a discard begins anew when a snapshot is taken",
    mutations: [{
      file: "pool/io/eraser.ts",
      from: "    if (this.#parts.map.isLayered) throw OVERTAKEN;\n",
      to: "",
    }],
    seed: 6,
    complaint: /may hold|are seen/,
  },
  {
    name: "a copy looks again after a wait",
    mutations: [{
      file: "pool/io/chunk_copies.ts",
      from: "    if (isSame && copy.restarts >= 0) return;\n",
      to: "    if (copy.restarts >= 0) return;\n",
    }, {
      file: "pool/io/chunk_copies.ts",
      from: "    if (isSame()) this.#put(copy, bytes);\n",
      to: "    this.#put(copy, bytes);\n",
    }],
    seed: 146,
    complaint: /may hold|is closed/,
  },
  {
    name: "an evacuation moves old versions",
    mutations: [{
      file: "pool/change/leaving_chunks.ts",
      from: "of [...map.old.virtualChunks]) {",
      to: "of [] as number[]) {",
    }],
    seed: 2,
    complaint: /Cannot find the virtual chunks/,
  },
  {
    name: "a snapshot holds what was written during its flush",
    mutations: [{
      file: "pool/change/snapshot_changes.ts",
      from: "      await flushMembers(this.#base);\n      try {",
      to: "      try {",
    }],
    seed: 20,
    complaint: /may hold/,
  },
  {
    name: "superblocks list volumes before the first snapshot",
    mutations: [{
      file: "pool/change/snapshot_changes.ts",
      from: "      await format.listVolumes();\n",
      to: "",
    }],
    seed: 1,
    complaint: /has no volume table|may hold/,
  },
  {
    name: "a lease of a shared chunk allows no write",
    mutations: [{
      file: "device/leases/lease_reader.ts",
      from: "if (this.#take(chunk, within) && !this.lease.isReadOnly) {",
      to: "if (this.#take(chunk, within)) {",
    }],
    seed: 9,
    complaint: /may hold/,
  },
  {
    name: "a lease of the parent's chunk ends when a clone has its own",
    mutations: [{
      file: "pool/core/forward_map.ts",
      from: "of what the parent sees.\n    this.leases?.withdraw(",
      to: "of what the parent sees.\n    void (",
    }],
    seed: 1,
    complaint: /may hold|gave/,
  },
  {
    name: "a version that moves ends the leases of all that read it",
    mutations: [{
      file: "pool/core/forward_map.ts",
      from:
        "    for (const table of this.readers) table.withdraw(virtualChunk);\n",
      to: "",
    }],
    seed: 66,
    complaint: /A lane read \d+ in block|gave/,
  },
  {
    name: "chunks that are mapped together are recorded before they are leased",
    mutations: [{
      file: "pool/format/native/native_table.ts",
      from:
        "    this.#isHeld = false;\n    if (this.#isUnsaved) this.#write();\n",
      to: "    this.#isHeld = false;\n    this.#isUnsaved = false;\n",
    }],
    seed: 4,
    complaint: /may hold/,
  },
  {
    name: "zeroes look again after a wait",
    mutations: [{
      file: "pool/io/layered_eraser.ts",
      from: "            if (part.count === most) at = part.offset;\n",
      to: "",
    }],
    seed: 63,
    complaint: /may hold/,
  },
  {
    name: "a dead entry beyond the end is no damage",
    mutations: [{
      file: "pool/format/native/native_map.ts",
      from: '    if (this.#isDead(volume, birth)) return "";\n',
      to: "",
    }],
    seed: 21,
    complaint: /names virtual chunk/,
  },
];

for (const { name, mutations, seed, complaint } of CANARIES) {
  Deno.test(`random lives find out whether ${name}`, async () => {
    const { code, output } = await simulateMutant(
      mutations,
      [`${seed}`, "1", `${STEPS}`],
      "simulate_volumes.ts",
    );
    assert(code !== 0, "a life with a fault is found unsound");
    assert(complaint.test(output), output);
    assertEquals(/Life \d+/.exec(output)?.[0], `Life ${seed}`);
  });
}
