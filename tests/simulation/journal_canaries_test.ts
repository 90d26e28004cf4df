/**
 * The rules of the journal, each left out of a copy of the program: lives of
 * remote components have to find it. Without this nothing would show that they
 * see anything.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Mutation, simulateMutant } from "./mutant.ts";

/** Lives that may pass before one finds it. */
const LIVES = 400;

/** The rules, and what the program does without. */
export const CANARIES: Readonly<Record<string, readonly Mutation[]>> = {
  "a flush ends when the journal is durable, too": [{
    file: "pool/remote/far_flush.ts",
    from: "    await synced;\n",
    to: "",
  }],
  "the journal keeps what the far side has not flushed": [{
    file: "pool/remote/far_flush.ts",
    from: "    await flushFar(options);\n",
    to: "",
  }],
  "a record of another lap ends the journal": [{
    file: "pool/remote/journal_recovery.ts",
    from: "found === undefined || found.sequence !== sequence",
    to: "found === undefined || found.sequence < sequence - 1000",
  }],
  "a torn record ends the journal": [{
    file: "pool/remote/journal_recovery.ts",
    from: "return isSoundJournalRecord(bytes.subarray(0, size)) ? record",
    to: "return isSoundJournalRecord(bytes.subarray(0, size)) || true ? record",
  }],
  "only the space before a durable tail is used again": [{
    file: "pool/remote/journal_tail.ts",
    from: "return this.#durable.end;",
    to: "return this.#tail.end;",
  }],
  "a flush covers what is overwritten after it began": [{
    file: "pool/remote/drain.ts",
    from: "sequence > this.#barrier;",
    to: "sequence > 0;",
  }],
  "a request waits for those that it overlaps": [{
    file: "pool/remote/drain.ts",
    from: "other.end <= start || other.start >= end",
    to: "other.end <= start || other.start >= end || true",
  }],
};

for (const [rule, mutations] of Object.entries(CANARIES)) {
  Deno.test(`lives of a remote component notice that not: ${rule}`, async () => {
    const { code, output } = await simulateMutant(
      mutations,
      ["--lives", `${LIVES}`],
      "simulate_journal.ts",
    );
    assertEquals(code, 1, output);
    assert(/may be|mixed|Cannot use the journal/.test(output), output);
  });
}
