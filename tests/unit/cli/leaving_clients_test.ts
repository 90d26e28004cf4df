/**
 * A stop waits a moment for clients that have left, and no longer.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { lastCount } from "../../../cli/serve/leaving_clients.ts";

Deno.test("clients that have just left are waited for", async () => {
  const counts = [2, 2, 1, 0];
  let looks = 0;
  assertEquals(await lastCount(() => counts[looks++] ?? 0), 0);
  // Looked at once more in the end: a client may have come.
  assertEquals(looks, 5);
  assertEquals(await lastCount(() => 0), 0);
});

Deno.test("clients that stay are counted after a moment", async () => {
  let looks = 0;
  const count = await lastCount(() => {
    looks++;
    return 3;
  });
  assertEquals(count, 3);
  assert(looks > 1, `${looks}`);
});
