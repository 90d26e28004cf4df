/**
 * The table of metrics in `docs/operations.md` is that of the code.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { LOAD_FAMILIES } from "../../cli/http/load_families.ts";
import { POOLS_FAMILIES } from "../../cli/http/pool_families.ts";
import { SERVER_FAMILIES } from "../../cli/http/server_families.ts";
import { readTextFiles } from "./files.ts";

const FAMILIES = [...SERVER_FAMILIES, ...POOLS_FAMILIES, ...LOAD_FAMILIES];

Deno.test("docs/operations.md lists every metric", async () => {
  const page = (await readTextFiles()).find(({ path }) =>
    path === "docs/operations.md"
  );
  const [, table = ""] = page?.text.split(/\n\| metric +\| labels /) ?? [];
  const rows = table.split("\n\n")[0]?.split("\n") ?? [];
  const listed = rows.flatMap((row) =>
    Array.from(
      (row.split("|")[1] ?? "").matchAll(/`(\w+)`/g),
      ([, name]) => name,
    )
  );
  assertEquals(listed.toSorted(), FAMILIES.map(({ name }) => name).toSorted());
});

Deno.test("metrics have the names and units that Prometheus wants", () => {
  for (const { name, type, help } of FAMILIES) {
    assertEquals(name.endsWith("_total"), type === "counter", name);
    assertMatch(name, /^(virstor|process)_[a-z_]+$/);
    assertMatch(help, /^[A-Z].*\.$/);
    if (/bytes|seconds/.test(name)) {
      assertMatch(name, /_(bytes|seconds)(_total)?$/);
    }
  }
});
