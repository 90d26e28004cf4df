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
  "without a mark, a flush ends when the journal is durable, too": [{
    file: "pool/remote/far_flush.ts",
    from: "    await synced;\n",
    to: "",
  }],
  "the journal keeps what the far side has not flushed": [{
    file: "pool/remote/far_flush.ts",
    from: "    await flushFar(options, last.sequence, marked);\n",
    to: "",
  }],
  "a journal that lacks what was flushed is not replayed": [{
    file: "pool/remote/flush_mark.ts",
    from: "if (isWhole) return found;",
    to: "if (isWhole || true) return found;",
  }],
  "what follows lost records has numbers behind the mark": [{
    file: "pool/remote/flush_mark.ts",
    from: "const next = Math.max(sequence + 1, header.tailSequence);",
    to: "const next = nextSequence;",
  }],
  "the mark is written before the flush, not after it": [{
    file: "pool/remote/far_flush.ts",
    from: "const marked = owner?.mark(last.sequence);",
    to: "const marked = undefined;",
  }, {
    file: "pool/remote/far_flush.ts",
    from: "    await synced;\n",
    to: "    await synced;\n    await owner?.mark(last.sequence);\n",
  }],
  "the mark has the number of the last record": [{
    file: "pool/remote/far_flush.ts",
    from: "const marked = owner?.mark(last.sequence);",
    to: "const marked = owner?.mark(last.sequence - 1);",
  }],
  "what was found is durable before a new epoch begins": [{
    file: "pool/remote/journal_epoch.ts",
    from: "  await device.flush();\n  const epoch",
    to: "  const epoch",
  }, {
    file: "pool/remote/journal_epoch.ts",
    from: "at);\n    await device.flush();\n",
    to: "at);\n",
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
