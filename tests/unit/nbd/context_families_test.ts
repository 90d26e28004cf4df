/**
 * Goal: an export may have thousands of metadata contexts, and a list of all
 * exports stays short. Method: real sockets; what the server lists, and how often
 * it has the contexts made.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import { messageOf } from "../../../errors.ts";
import type { NbdContext, NbdContextFamily } from "../../../nbd/mod.ts";
import { encodeContextQuery, NBD } from "../../helpers/nbd_client.ts";
import { exportOf, serve } from "./serving.ts";

const DISK = new MemoryDevice(1024 * 1024);
const LIST = NBD.OPT_LIST_META_CONTEXT;

function contextNamed(name: string): NbdContext {
  return { name, status: (_, length) => [{ length, flags: 7 }] };
}

/** A family of `prefix` and a number; notes how often its contexts are made. */
function familyOf(
  prefix: string,
  count: number,
): NbdContextFamily & { made: number } {
  return {
    prefix,
    count,
    made: 0,
    contexts() {
      this.made++;
      return Array.from(
        { length: count },
        (_, i) => contextNamed(`${prefix}${i}`),
      );
    },
  };
}

Deno.test("LIST_META_CONTEXT names the prefix of a family that is large", async () => {
  const small = familyOf("x-test:few:", 16);
  const large = familyOf("x-test:many:", 17);
  const exports = [exportOf(DISK, {
    name: "disk",
    contexts: [contextNamed("x-test:one")],
    contextFamilies: [small, large],
  })];
  await using serving = await serve({ exports });
  using client = await serving.greeted();
  await client.speak("structured");
  const named = async (...queries: string[]) => [
    ...(await client.contexts("disk", queries, LIST)).keys(),
  ];
  const few = small.contexts().map(({ name }) => name);
  const many = large.contexts().map(({ name }) => name);
  large.made = 0;
  assertEquals(await named(), [
    ...["base:allocation", "x-test:one"],
    ...[...few, "x-test:many:"],
  ]);
  assertEquals(large.made, 0);
  assertEquals(await named("base:"), ["base:allocation"]);
  assertEquals(await named("x-test:one"), ["x-test:one"]);
  assertEquals(await named("x-test:many"), []);
  assertEquals(large.made, 0);
  assertEquals(await named("x-test:"), ["x-test:one", ...few, ...many]);
  assertEquals(await named("x-test:many:"), many);
  assertEquals(await named("x-test:many:3", "x-test:many:x"), [
    "x-test:many:3",
  ]);
  assertEquals(await named("x-test:many:", "x-test:one"), [
    "x-test:one",
    ...many,
  ]);
});

Deno.test("SET_META_CONTEXT selects of a family by full names", async () => {
  const family = familyOf("x-test:many:", 300);
  const exports = [
    exportOf(DISK, { name: "disk", contextFamilies: () => [family] }),
  ];
  await using serving = await serve({ exports });
  using client = await serving.greeted();
  await client.speak("structured");
  const prefixes = ["x-test:many:", "x-test:"];
  assertEquals((await client.contexts("disk", prefixes)).size, 0);
  const names = ["base:allocation", "x-test:many:7", "x-test:many:299"];
  const ids = await client.contexts("disk", names);
  assertEquals([...ids.keys()], names);
  await client.go("disk");
  const { errno } = await client.call({
    ...{ command: NBD.CMD_BLOCK_STATUS, length: 512 },
  });
  assertEquals(errno, 0);
});

Deno.test("SET_META_CONTEXT refuses more contexts than an answer may have", async () => {
  const family = familyOf("x-test:many:", 300);
  const exports = [exportOf(DISK, { name: "disk", contextFamilies: [family] })];
  await using serving = await serve({ exports });
  using client = await serving.greeted();
  await client.speak("structured");
  const names = family.contexts().map(({ name }) => name);
  assertEquals((await client.contexts("disk", names.slice(0, 16))).size, 16);
  const data = encodeContextQuery("disk", names.slice(0, 17));
  const replies = await client.option(NBD.OPT_SET_META_CONTEXT, data);
  assertEquals(replies.map(({ type }) => type), [NBD.REP_ERR_TOO_BIG]);
  // The earlier selection is gone, and the connection is in sync.
  await client.go("disk");
  const { errno } = await client.call({
    ...{ command: NBD.CMD_BLOCK_STATUS, length: 512 },
  });
  assertEquals(errno, NBD.EINVAL);
});

Deno.test("a family that is not what it promises stops the server", async () => {
  const wrong = [
    familyOf("base:many:", 1),
    familyOf("x-test:many", 1),
    familyOf("x-test:", 1),
    { ...familyOf("x-test:many:", 1), contexts: () => [contextNamed("x:y")] },
  ];
  for (const family of wrong) {
    const made = exportOf(DISK, { name: "disk", contextFamilies: [family] });
    await using serving = await serve({ exports: [made] });
    const finished = serving.server.finished.then(() => "", messageOf);
    const ask = async () => {
      using client = await serving.greeted();
      await client.speak("structured");
      await client.contexts("disk", [], LIST);
    };
    await ask().catch(() => {});
    assert((await finished).length > 0, family.prefix);
  }
});
