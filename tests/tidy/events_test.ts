/**
 * The table of events in `docs/operations.md` is that of the code.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { EVENT_LEVELS } from "../../cli/terminal/event_levels.ts";
import { readTextFiles } from "./files.ts";

const FILES = await readTextFiles();

Deno.test("docs/operations.md tells every event, and its level", () => {
  const page = FILES.find(({ path }) => path === "docs/operations.md");
  const [, table = ""] = page?.text.split(/\n\| event +\| level /) ?? [];
  const rows = table.split("\n\n")[0]?.matchAll(
    /^\| `([a-z-]+)` +\| `([a-z]+)` +\| \S/gm,
  );
  const told = Array.from(rows ?? [], ([, event, level]) => [event, level]);
  assertEquals(told.toSorted(), Object.entries(EVENT_LEVELS).toSorted());
});

Deno.test("docs/library.md tells every event of a pool, and its data", () => {
  const textOf = (path: string) =>
    FILES.find((each) => each.path === path)?.text ?? "";
  const [, data = ""] = textOf("pool/core/events.ts")
    .split("export interface PoolEventData {");
  const kinds = data.slice(0, data.indexOf("\n}")).matchAll(
    /^ {2}readonly "?([a-z-]+)"?: \{$([^]*?)^ {2}\};/gm,
  );
  const ofCode = Array.from(kinds, ([, kind, fields = ""]) => [
    kind,
    ...Array.from(fields.matchAll(/^ {4}readonly (\w+):/gm), ([, f]) => f),
  ]);
  assert(ofCode.length > 5, "The events were not found");
  const [, table = ""] = textOf("docs/library.md").split(/\n\| `kind` .*\n/);
  const rows = table.split("\n\n")[0]?.matchAll(/^\| `.*$/gm) ?? [];
  const told = Array.from(
    rows,
    ([row]) => Array.from(row.matchAll(/`([^`]+)`/g), ([, word]) => word),
  );
  assertEquals(told.toSorted(), [...ofCode, ["missed", "count"]].toSorted());
});

Deno.test("no event is in the table that nothing tells", () => {
  const sources = FILES.filter(({ path }) =>
    /^(cli|nbd|pool)\/.*\.ts$/.test(path) &&
    path !== "cli/terminal/event_levels.ts"
  );
  for (const event of Object.keys(EVENT_LEVELS)) {
    const telling = new RegExp(
      `(kind: |#emit\\(\\s*|\\blog\\(\\s*|writeLine\\(|\\btell\\(\\s*)"${event}"`,
    );
    assert(sources.some(({ text }) => telling.test(text)), event);
  }
});
