/**
 * Goal: whatever state a pool is in, `status` and `list` say the same of it, as
 * text and as JSON, of one pool and of all.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { NBD } from "../helpers/nbd_client.ts";
import type { Server, Workspace } from "../helpers/virstor.ts";
import { COMPONENT_CHUNKS, fill, makeSmallPool, serve } from "./served.ts";

/** A pool in a state, and what is to be said of it. */
interface State {
  /** In words, as text has it. */
  readonly words: string;
  /** Why, as far as text and JSON say so. */
  readonly reason?: RegExp;
  /** The format; native. */
  readonly format?: string;
  /** Makes it out of a pool of two components with data on the first. */
  readonly make: (work: Workspace) => Promise<Server | void>;
  /** The first thing that is warned of; anything, if left out. */
  readonly warning?: RegExp;
  /** The exit code of `status NAME`. */
  readonly code?: number;
  /** What JSON says of the pool itself; null if nothing. */
  readonly pool?: "open" | "failed" | "stopped" | null;
  /** What the table says of the components. */
  readonly components?: string;
}

async function away(work: Workspace): Promise<void> {
  await Deno.mkdir(work.path("away"));
  await Deno.rename(work.path("b"), work.path("away/b"));
}

const STATES: readonly State[] = [
  { words: "stopped", make: async () => {}, pool: "stopped" },
  { words: "served", make: (work) => serve(work), pool: "open" },
  {
    words: "served, read-only",
    make: (work) => serve(work, "--read-only"),
    pool: "open",
  },
  {
    words: "served, read-only, degraded",
    make: async (work) => {
      await away(work);
      return await serve(work, "--degraded");
    },
    pool: "open",
    components: "1 of 2",
  },
  {
    words: "served",
    warning: /^All 12 chunks are in use/,
    make: async (work) => {
      const server = await serve(work);
      using client = await BusyClient.open(server);
      await fill(client, 2 * COMPONENT_CHUNKS);
      return server;
    },
    pool: "open",
  },
  {
    words: "stopped",
    warning: /^All 12 chunks are in use/,
    make: async (work) => {
      const server = await serve(work);
      {
        using client = await BusyClient.open(server);
        await fill(client, 2 * COMPONENT_CHUNKS);
      }
      await server.stop();
    },
    pool: "stopped",
  },
  {
    words: "served, evacuating",
    make: async (work) => {
      const server = await serve(work);
      await work.succeed(["remove", "--detach", "--rate", "1", "demo", "a"]);
      return server;
    },
    pool: "open",
  },
  {
    words: "stopped, evacuating",
    make: async (work) => {
      const server = await serve(work);
      await work.succeed(["remove", "--detach", "--rate", "1", "demo", "a"]);
      await server.stop();
    },
    pool: "stopped",
  },
  {
    words: "failed",
    reason: /^Pool "demo" takes no more writes: .*deleted/,
    make: async (work) => {
      const server = await serve(work);
      using client = await BusyClient.open(server);
      await Deno.rename(work.path("b"), work.path("c"));
      await Deno.remove(work.path("c"));
      await fill(client, COMPONENT_CHUNKS + 1);
      assertEquals((await client.flush()).errno, NBD.EIO);
      return server;
    },
    pool: "failed",
  },
  {
    words: "incomplete, read-only",
    reason: /^Cannot open pool "demo": component 1 \(.*\) of 2 .* is missing/,
    make: away,
    code: 3,
    pool: "stopped",
    components: "1 of 2",
  },
  {
    words: "incomplete, read-only",
    format: "freebsd",
    reason: /^Cannot open pool "demo": component 1 of 2 .* is missing/,
    make: away,
    code: 3,
    pool: "stopped",
    components: "1 of 2",
  },
  {
    words: "not-found",
    reason: /^Cannot open pool "demo": none of its components was found/,
    make: async (work) => {
      for (const name of ["a", "b"]) await Deno.remove(work.path(name));
    },
    code: 3,
    pool: null,
    components: "-",
  },
  {
    words: "corrupt",
    reason:
      /^Cannot open pool "demo": the component is at generation .*--accept/,
    make: async (work) => {
      const old = await Deno.readFile(work.path("b"));
      for (let i = 0; i < 2; i++) await (await serve(work)).stop();
      await Deno.writeFile(work.path("b"), old);
    },
    code: 2,
    pool: null,
    components: "-",
  },
];

/** A pool of two components with data on the first, served once and stopped. */
async function makeUsedPool(format: string): Promise<Workspace> {
  const work = await makeSmallPool(format, ["a", "b"]);
  const server = await serve(work);
  {
    using client = await BusyClient.open(server);
    await fill(client, 2);
  }
  await server.stop();
  await work.keep();
  return work;
}

Deno.test("virstor status and list say the same in every state, as text and as JSON", async (t) => {
  for (const format of ["native", "freebsd"]) {
    await using work = await makeUsedPool(format);
    for (const state of STATES) {
      if ((state.format ?? "native") !== format) continue;
      await t.step(`${state.words} (${format})`, async () => {
        await work.restore();
        const server = await state.make(work);
        await assertSaid(work, state);
        // What is stopped afterwards says so again.
        await server?.stop();
      });
    }
  }
  await t.step("unknown", async () => {
    await using work = await makeSmallPool();
    const text = await work.run(["status", "absent"]);
    assertEquals([text.code, text.stdout], [3, ""]);
    assertMatch(text.stderr, /^virstor: Cannot find pool "absent": .*\n$/);
    const json = await work.run(["status", "--json", "absent"]);
    assertEquals([json.code, json.stderr], [3, text.stderr]);
    const { name, state, pool, server, error } = JSON.parse(json.stdout);
    assertEquals([name, state, pool, server], [
      "absent",
      "unknown",
      null,
      null,
    ]);
    assertEquals(text.stderr, `virstor: ${error.message}\n`);
    // The others are shown all the same.
    const both = await work.run(["status", "demo", "absent"]);
    assertEquals([both.code, both.stderr], [3, text.stderr]);
    assertMatch(both.stdout, /^Pool: +demo\nHealth: .*\nState: +stopped\n/);
  });
});

async function assertSaid(work: Workspace, wanted: State): Promise<void> {
  const { words, reason, code = 0, pool = null } = wanted;
  const [word = "", ...conditions] = words.split(", ");
  const one = await work.run(["status", "demo"]);
  const json = await work.run(["status", "--json", "demo"]);
  assertEquals([one.code, json.code], [code, code], one.stderr);
  const report = JSON.parse(json.stdout);
  const [all] = JSON.parse(await work.succeed(["status", "--json"]));
  for (const each of [report, all]) {
    assertEquals(
      [each.name, each.state, each.conditions, each.pool?.state ?? null],
      ["demo", word, conditions, pool],
    );
    assertEquals(each.server !== null, /served|failed/.test(word));
    if (reason === undefined) assertEquals(each.reason, "");
    else assertMatch(each.reason, reason);
    const isReader = conditions.includes("read-only");
    if (each.pool !== null) assertEquals(each.pool.readOnly, isReader);
  }
  const why = report.reason === "" ? "" : `: ${report.reason}`;
  const text = `\nState: +${escaped(`${words}${why}`)}\n`;
  if (pool === null) assertEquals(one.stdout, "");
  else assertMatch(one.stdout, new RegExp(text));
  if (code !== 0) assertEquals(one.stderr, `virstor: ${report.reason}\n`);
  const warnings: string[] = report.pool?.warnings ?? [];
  if (wanted.warning) assertMatch(warnings[0] ?? "", wanted.warning);
  assertEquals(
    one.stdout.split("\n").filter((line) => line.startsWith("Warning: ")),
    warnings.map((warning) => `Warning: ${warning}`),
  );
  assertEquals(all.pool?.warnings ?? [], warnings);
  const [head = "", row = ""] = (await work.succeed(["status"])).split("\n");
  const cell = (title: string, next?: string) =>
    row.slice(
      head.indexOf(title),
      next === undefined ? undefined : head.indexOf(next),
    ).trim();
  assertEquals(cell("State", "Virtual"), words);
  const { components = "2" } = wanted;
  assert(row.endsWith(` ${components}`), row);
  // Dashes only where nothing is known.
  assertEquals(/ - /.test(row), pool === null, row);
  const [listed] = JSON.parse(await work.succeed(["list", "--json"]));
  assertEquals([listed.name, listed.state], ["demo", word]);
  assertEquals(listed.virtualSize === null, pool === null);
  assertMatch(await work.succeed(["list"]), new RegExp(`\nState: +${word}\n`));
  const verbose = await work.succeed(["status", "-v"]);
  assertMatch(verbose, new RegExp(text));
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
