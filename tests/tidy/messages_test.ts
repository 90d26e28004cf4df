/**
 * What messages to users look like.
 *
 * Numbers in messages have nouns in the form that English wants: `1 chunk`, not
 * `1 chunks`. There is one helper for that, `counted()`.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { counted, inBytes, isOrAre } from "../../errors.ts";
import { readTextFiles } from "./files.ts";

/** What is counted in messages; other words in -s are verbs or names. */
const NOUNS = [
  ...["bytes", "chunks", "clients", "components", "connections", "copies"],
  ...["discards", "entries", "exports", "files", "flushes", "labels"],
  ...["members", "options", "pages", "pieces", "pools", "reads", "requests"],
  ...["seconds", "slots", "threads", "volumes", "writes", "zeroes"],
].join("|");

/**
 * A number in a template, before a noun in the plural or a hand-made ending.
 * Constants are written in capitals: those need no singular.
 */
const BY_HAND = [
  new RegExp(`\\$\\{(?![A-Z_\\d. /*]+\\})[^{}]*\\} (${NOUNS})\\b`),
  /=== 1 \? "[^"]*" : "[^"]*s\b/,
];

Deno.test("no message makes a plural by hand", async () => {
  const sources = (await readTextFiles()).filter(({ path }) =>
    /^(cli|device|metadata|nbd|pool)\/.*\.ts$/.test(path)
  );
  const found = sources.flatMap(({ path, text }) =>
    text.split("\n").flatMap((line, index) =>
      !line.trimStart().startsWith("*") &&
        BY_HAND.some((pattern) => pattern.test(line))
        ? [`${path}:${index + 1}: ${line.trim()}`]
        : []
    )
  );
  assertEquals(found, [], "use counted() of errors.ts");
});

Deno.test("no finding has the effect none", async () => {
  const sources = (await readTextFiles()).filter(({ path }) =>
    path.startsWith("pool/")
  );
  const found = sources.filter(({ text }) =>
    /effect\b[^"`]{0,60}["`]none\b/.test(text)
  );
  assertEquals(found.map(({ path }) => path), [], "say what it means");
});

Deno.test("counted() gives a number its noun", () => {
  assertEquals(counted(1, "component"), "1 component");
  assertEquals(counted(0, "component"), "0 components");
  assertEquals(counted(12, "component"), "12 components");
  assertEquals(counted(1, "entry", "entries"), "1 entry");
  assertEquals(counted(2, "entry", "entries"), "2 entries");
  assertEquals(counted(0.5, "second"), "0.5 seconds");
  assertEquals([inBytes(1), inBytes(4096)], ["1 byte", "4096 bytes"]);
  assertEquals([0, 1, 2].map(isOrAre), ["are", "is", "are"]);
});
