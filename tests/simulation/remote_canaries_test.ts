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
  readonly args: readonly string[];
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
    args: ["--overlap", "first write,first write", "--seed", "1"],
    complaint: /holds 0, it may hold/,
  },
  "a flush covers what waits for room in the journal": {
    mutation: {
      file: "pool/remote/component_flush.ts",
      from: "      if (last !== undefined) await last;\n",
      to: "",
    },
    args: ["--overlap", "random", "--seed", "4"],
    complaint: /was not stopped cleanly|may hold/,
  },
};

for (const [rule, { mutation, args, complaint }] of Object.entries(CANARIES)) {
  Deno.test(`the simulation notices that not: ${rule}`, async () => {
    const { code, output } = await simulateMutant(
      [mutation],
      ["--format", "native", "--remote", ...args],
    );
    assertEquals(code, 1, output);
    assert(complaint.test(output), output);
  });
}
