/**
 * What a pool does for components that answer late, each left out of a copy of
 * the program: the simulation has to find it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Mutation, simulateMutant } from "./mutant.ts";

/** What is left out, and what finds it. */
interface Canary {
  readonly mutation: Mutation;
  /** A pair, or `random`. */
  readonly overlap: string;
  /** One of these has to find it: what a run does changes with the program. */
  readonly seeds: readonly number[];
  readonly complaint: RegExp;
}

/** The rules, and what the program does without. */
export const CANARIES: Readonly<Record<string, Canary>> = {
  "a first write ends when the journal has data and mapping": {
    mutation: {
      file: "pool/io/chunk_writer.ts",
      from: "    return map.component(chunk)?.device.behind;\n",
      to: "    return undefined;\n",
    },
    overlap: "first write,first write",
    seeds: [1],
    complaint: /holds 0, it may hold/,
  },
  "a flush covers what waits for room in the journal": {
    mutation: {
      file: "pool/remote/component_flush.ts",
      from: "if (last !== undefined) await last;\n",
      to: "",
    },
    overlap: "random",
    seeds: Array.from({ length: 40 }, (_, i) => i + 1),
    complaint: /was not stopped cleanly|may hold/,
  },
};

for (const [rule, canary] of Object.entries(CANARIES)) {
  Deno.test(`the simulation notices that not: ${rule}`, async () => {
    const { mutation, overlap, seeds, complaint } = canary;
    let result = { code: 0, output: "" };
    for (const seed of seeds) {
      result = await simulateMutant(
        [mutation],
        ["--format", "native", "--remote"]
          .concat(["--overlap", overlap, "--seed", `${seed}`]),
      );
      if (result.code !== 0) break;
    }
    assertEquals(result.code, 1, result.output);
    assert(complaint.test(result.output), result.output);
  });
}
