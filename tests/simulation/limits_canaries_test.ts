/**
 * The rules of limits, each left out of a copy of the program: random lives with
 * quotas, reserves, policies and full hosts have to find it.
 *
 * @module
 */

import { assert } from "@std/assert";
import { type Mutation, simulateMutant } from "./mutant.ts";

interface Canary {
  readonly name: string;
  readonly mutation: Mutation;
  /** A life that finds it. */
  readonly seed: number;
  /** What it says. */
  readonly complaint: RegExp;
}

const CANARIES: readonly Canary[] = [
  {
    name: "what is set aside is left to its volume",
    mutation: {
      file: "pool/io/reserves.ts",
      from: "return this.#holders.size === 0 || this.freeFor(volume) > 0;",
      to: "return this.#holders.size === 0 || volume >= 0;",
    },
    seed: 108,
    complaint: /chunks are set aside, and \d+ are free/,
  },
  {
    name: "a volume takes no more than its quota",
    mutation: {
      file: "pool/io/volume_limits.ts",
      from: "return this.used >= this.#quotaChunks;",
      to: "return this.used >= this.#quotaChunks + 2;",
    },
    seed: 5,
    complaint: /uses \d+ chunks, and its quota is/,
  },
  {
    name: "a volume has a policy of its own",
    mutation: {
      file: "pool/io/volume_limits.ts",
      from: 'return onFull === "" ? this.#parts.settings.onFull : onFull;',
      to: "return this.#parts.settings.onFull;",
    },
    seed: 49,
    complaint: /Cannot write to pool "life": it is full/,
  },
  {
    name: "limits are recorded",
    mutation: {
      file: "pool/change/volume_changes.ts",
      from: "        await format.setVolumes(" +
        "withRecord(format.records, record));\n      } catch",
      to: "        await Promise.resolve();\n      } catch",
    },
    seed: 2,
    complaint: /volume life has quota=0 .*, not quota=\d+/,
  },
  {
    name: "a copy that goes elsewhere gives its chunk up",
    mutation: {
      file: "pool/io/chunk_copies.ts",
      from: "    mapper.giveUp(copy.target, copy.to);\n" +
        "    copy.target = other;",
      to: "    copy.target = other;",
    },
    seed: 13,
    complaint: /\(1 without an entry\)/,
  },
];

for (const { name, mutation, seed, complaint } of CANARIES) {
  Deno.test(`random lives find out whether ${name}`, async () => {
    const { code, output } = await simulateMutant(
      [mutation],
      [`${seed}`, "1", "60", "limited"],
      "simulate_volumes.ts",
    );
    assert(code !== 0, "a life with a fault is found unsound");
    assert(complaint.test(output), output);
  });
}
