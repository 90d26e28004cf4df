/**
 * Everyday commands: `replace`, `forget`, and `resize` by a difference, on
 * served and stopped pools.
 *
 * @module
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { MIB } from "../helpers/scratch.ts";
import {
  assertFilled,
  assertSound,
  COMPONENT_CHUNKS,
  fill,
  makeSmallPool,
  serve,
  statusOf,
  untilStatus,
} from "./served.ts";

Deno.test("virstor replace moves a component of a served pool to another", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work);
  using client = await BusyClient.open(server);
  await fill(client);
  const replace = ["replace", "--create", "1M", "demo", "a", "b"];
  assertEquals(
    await work.succeed(replace),
    `Replaced ${work.path("a")} by ${work.path("b")} in pool "demo"\n`,
  );
  await assertFilled(client, COMPONENT_CHUNKS);
  const paths = (await statusOf(work)).pool.components.map(({ path }) => path);
  assertEquals(paths, [work.path("b")]);
  // The same again has nothing to do, and says so.
  const again = await work.run(replace);
  assertEquals(again.code, 0);
  assertStringIncludes(again.stderr, "nothing is left to do");
  await assertSound(work);
});

Deno.test("virstor replace goes on after an interruption, and undoes what does not fit", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work);
  using client = await BusyClient.open(server);
  await fill(client);
  const small = ["replace", "--create", "512K", "demo", "a", "small"];
  const refused = await work.run(small);
  assertEquals(refused.code, 5, refused.stderr);
  assertEquals((await statusOf(work)).pool.components.length, 1);
  const slow = ["replace", "--detach", "--rate", "1", "--create", "1M"];
  const begun = await work.succeed([...slow, "--json", "demo", "a", "b"]);
  assertEquals(JSON.parse(begun).isDone, false);
  await untilStatus(work, ({ pool }) => pool.evacuation !== null);
  await server.stop();
  // On the stopped pool the same command ends what was begun.
  await work.succeed(["replace", "demo", "a", "b"]);
  const { pool } = await statusOf(work);
  assertEquals(pool.components.map(({ path }) => path), [work.path("b")]);
  assertEquals((await work.run(["replace", "demo", "x", "y"])).code, 9);
  using reader = await BusyClient.open(await serve(work));
  await assertFilled(reader, COMPONENT_CHUNKS);
});

Deno.test("virstor resize takes a difference", async () => {
  await using work = await makeSmallPool();
  const sizeOf = async () => (await statusOf(work)).pool.virtualSize / MIB;
  await work.succeed(["resize", "demo", "+64M"]);
  assertEquals(await sizeOf(), 128);
  await serve(work);
  // Two at once add up.
  await Promise.all([
    work.succeed(["resize", "demo", "+8M"]),
    work.succeed(["resize", "demo", "+8M"]),
  ]);
  assertEquals(await sizeOf(), 144);
  assertEquals((await work.run(["resize", "demo", "-4M"])).code, 9);
  await work.succeed(["resize", "-f", "demo", "-4M"]);
  assertEquals(await sizeOf(), 140);
  const all = await work.run(["resize", "-f", "demo", "-1G"]);
  assertEquals(all.code, 9, all.stderr);
  assertEquals(await sizeOf(), 140);
  assertEquals((await work.run(["resize", "demo", "+much"])).code, 64);
});

Deno.test("virstor forget removes pools and lost components from the registry", async () => {
  await using work = await makeSmallPool("native", ["a", "b"]);
  const forget = (...words: string[]) => work.run(["forget", "demo", ...words]);
  const there = await forget("a");
  assertEquals(there.code, 9);
  assertStringIncludes(there.stderr, "it is there");
  assertEquals((await forget("c")).code, 3);
  const server = await serve(work);
  assertEquals((await forget()).code, 8);
  await server.stop();
  await Deno.rename(work.path("b"), work.path("state/b"));
  const lost = await forget("b", "--json");
  assertEquals(JSON.parse(lost.stdout), {
    name: "demo",
    forgotten: [work.path("b")],
    isPoolForgotten: false,
  });
  const [listed] = JSON.parse(await work.succeed(["list", "--json"]));
  assertEquals(listed.components, [work.path("a")]);
  assertEquals((await forget()).code, 0);
  assertEquals((await forget()).code, 3);
  await Deno.rename(work.path("state/b"), work.path("b"));
  await work.succeed(["taste", "."]);
  await assertSound(work);
});
