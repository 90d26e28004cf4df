/**
 * `virstor add` of a far side that never answers: the served pool goes on with
 * other changes, and its stop calls the addition off.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { MIB } from "../helpers/scratch.ts";
import { Machine } from "./remote_pool.ts";

Deno.test("an addition that hangs holds no change of a served pool, and no stop", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const uri = `nbd://127.0.0.1:${listener.addr.port}/`;
  await using here = await Machine.create();
  await here.succeed("label", "p", await here.makeFile("near", 8 * MIB));
  const server = await here.serve();
  const adding = here.run("add", "p", uri);
  using _connection = await listener.accept();
  const changed = await Promise.all([
    here.succeed("snapshot", "p@s"),
    here.succeed("resize", "p", "4T"),
  ]);
  assertEquals(changed.length, 2);
  assertEquals((await server.stop()).code, 0);
  assert((await adding).code !== 0, "it was not added");
  assertStringIncludes(await here.succeed("check", "p"), "is sound");
});
