/**
 * Rules of what an open makes of a pool with snapshots and clones, each left out
 * of a copy of the program: sequences that are interrupted anywhere have to find
 * it. Without this nothing would show that they see anything.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Mutation, simulateMutant } from "./mutant.ts";

interface Canary {
  readonly name: string;
  readonly mutation: Mutation;
  /** The steps, with commas in between. */
  readonly sequence: string;
  readonly seed: number;
  /** Whether the open after it is interrupted, too. */
  readonly isTwice?: boolean;
  /** What the simulation says. */
  readonly complaint: RegExp;
}

const CANARIES: readonly Canary[] = [
  {
    name: "copies are provisional",
    mutation: {
      file: "pool/io/chunk_mapper.ts",
      from: "const owner = isCopy ? map.provisionalOwner : map.owner;",
      to: "const { owner } = map;",
    },
    sequence: "write",
    seed: 3,
    complaint: /Block \d+ of \w+ holds 0, it may hold/,
  },
  {
    name: "a rollback ends the epochs since its snapshot",
    mutation: {
      file: "pool/change/snapshot_records.ts",
      from: "const dead = [{ first: epoch + 1, last }];",
      to: "const dead: { first: number; last: number }[] = [];",
    },
    sequence: "roll back",
    seed: 3,
    complaint: /Block \d+ of world holds/,
  },
  {
    name: "an open frees what no snapshot sees any more",
    mutation: {
      file: "pool/format/native/native_map.ts",
      from: "of takeUnseen(record, map)) {",
      to: "of [] as ReturnType<typeof takeUnseen>) {",
    },
    sequence: "remove snapshot",
    seed: 1,
    complaint: /chunks in use .* are seen/,
  },
  {
    name: "an open frees what a removed volume has left",
    mutation: {
      file: "pool/format/native/native_map.ts",
      from: "    if (map === undefined || this.#isDead(volume, birth)) {",
      to: "    if (map === undefined) return;\n" +
        "    if (this.#isDead(volume, birth)) {",
    },
    sequence: "remove volume",
    seed: 1,
    complaint: /which is mapped elsewhere/,
  },
  {
    name: "a version that moves keeps its birth",
    mutation: {
      file: "pool/change/chunk_moves.ts",
      from:
        "const owner = { volume: map.volume, birth, isProvisional: false };",
      to: "const { owner } = map;",
    },
    sequence: "evacuate",
    seed: 2,
    complaint: /a version of a chunk is there twice|may hold/,
  },
  {
    name: "what was dropped is gone before this boot is recorded (V4)",
    mutation: {
      file: "pool/format/native/native_recovery.ts",
      from: "  await endProvisional(loaded, say);\n  await format.begin();\n",
      to: "  await format.begin();\n  await endProvisional(loaded, say);\n",
    },
    sequence: "write",
    seed: 3,
    isTwice: true,
    complaint: /again before change .* with all surviving: .*may hold/,
  },
  {
    name: "what counts after a kill is settled by the open (V4)",
    mutation: {
      file: "pool/format/native/native_recovery.ts",
      from: "    format.recordSettled(component, " +
        "chunks.toSorted((a, b) => a - b));\n",
      to: "",
    },
    sequence: "write",
    seed: 3,
    complaint: /an entry has other flags|may hold/,
  },
  {
    name: "a mapping that is newer than the superblock counts (V9)",
    mutation: {
      file: "pool/format/native/native_map.ts",
      from: "    if (birth > map.epoch) map.setEpoch(birth);\n",
      to: "",
    },
    sequence: "busy snapshot",
    seed: 1,
    complaint: /Block \d+ of world@\w+ holds 0, it may hold/,
  },
];

for (const canary of CANARIES) {
  const { name, mutation, sequence, seed, isTwice, complaint } = canary;
  Deno.test(`sequences find out whether ${name}`, async () => {
    const args = ["--sequence", sequence, "--seed", `${seed}`];
    if (isTwice === true) args.push("--twice");
    const { code, output } = await simulateMutant([mutation], args);
    assertEquals(code, 1, output);
    assert(complaint.test(output), output);
  });
}
