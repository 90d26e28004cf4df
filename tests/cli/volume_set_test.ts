/**
 * `virstor volume set`: the limits of a volume, of a served pool and of a stopped
 * one.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import type { VolumeStatus } from "../../pool/mod.ts";
import { MIB } from "../helpers/scratch.ts";
import { assertSound, makeSmallPool, serve } from "./served.ts";

for (const isServed of [false, true]) {
  const state = isServed ? "served" : "stopped";
  Deno.test(`volume set gives a volume limits (${state})`, async () => {
    await using work = await makeSmallPool("native", ["a", "b", "c", "d"]);
    if (isServed) await serve(work);
    await work.succeed(["volume", "create", "-s", "2M", "demo/v"]);
    const words = [
      "quota=1M",
      "reserve=512K",
      "on-full=error",
      "read-only=yes",
    ];
    assertEquals(
      await work.succeed(["volume", "set", "demo/v", ...words]),
      'Set quota=1M reserve=512K on-full=error read-only=yes of volume "demo/v"\n',
    );
    assertMatch(
      await work.succeed(["volume", "list"]),
      /Quota +Reserve .*\n.*\ndemo\/v .* 1 MiB +512 KiB /,
    );
    const ofV = async () => {
      const all = await work.succeed(["volume", "list", "--json"]);
      const [, v] = JSON.parse(all) as VolumeStatus[];
      return [v?.quota, v?.reserve, v?.onFull, v?.readOnly];
    };
    assertEquals(await ofV(), [MIB, MIB / 2, "error", true]);
    const ended = ["quota=none", "reserve=0", "on-full=pool", "read-only=no"];
    await work.succeed(["volume", "set", "demo/v", ...ended]);
    assertEquals(await ofV(), [0, 0, "", false]);
    for (const bad of ["quota", "quota=x", "on-full=maybe", "size=1M", "=1"]) {
      const refused = await work.run(["volume", "set", "demo/v", bad]);
      assertEquals(refused.code, 64, refused.stderr);
    }
    const twice = ["volume", "set", "demo/v", "quota=1M", "quota=2M"];
    const { code, stderr } = await work.run(twice);
    assertEquals(code, 64);
    assertMatch(stderr, /^virstor: Setting quota is given twice\n/);
    assertEquals(await ofV(), [0, 0, "", false]);
    const first = await work.run(["volume", "set", "demo/v", "reserve=1T"]);
    assertMatch(first.stderr, /a reserve of .* needs .* free/);
    await assertSound(work);
  });
}
