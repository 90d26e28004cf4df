/**
 * Goal: a component that was cut or extended is known as one by every command,
 * and is not overwritten unasked. Method: the real command on components of
 * both formats, cut and extended by a page, a little, and much; with holes and
 * with data at their ends.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { FORMATS, MIB, pattern } from "../helpers/scratch.ts";
import { Workspace } from "../helpers/virstor.ts";

const SIZE = 80 * MIB;

interface Change {
  readonly what: string;
  readonly by: number;
  /** Whether what is added is data, no hole. */
  readonly filled?: boolean;
}

const CHANGES: readonly Change[] = [
  { what: "extended by 4 KiB", by: 4096 },
  { what: "extended by 64 KiB", by: 65_536 },
  { what: "extended by 16 MiB of data", by: 16 * MIB, filled: true },
  { what: "extended by 100 GiB", by: 100 * 1024 * MIB },
  { what: "cut by 4 KiB", by: -4096 },
  { what: "cut by 64 KiB", by: -65_536 },
  { what: "cut by 4 MiB", by: -4 * MIB },
];

/** Makes a pool of a and b with some data on each, and another one of c. */
async function makePools(format: string): Promise<Workspace> {
  const work = await Workspace.create();
  await work.succeed(
    ["label", "--format", format, "--create", "80M", "-m", "1M", "-s", "1G"]
      .concat("pool", "a", "b"),
  );
  const server = await work.serve(["serve", "--socket", "s", "pool"]);
  {
    using client = await BusyClient.open({ path: work.path("s") }, "pool");
    for (let chunk = 0; chunk < 100; chunk++) {
      const { errno } = await client.write(chunk * MIB, pattern(4096, chunk));
      assertEquals(errno, 0);
    }
  }
  await server.stop();
  await work.succeed(["label", "-s", "1G", "--create", "80M", "other", "c"]);
  await work.keep();
  return work;
}

/** Changes the size of b. */
async function change(
  work: Workspace,
  { by, filled }: Change,
): Promise<void> {
  await Deno.truncate(work.path("b"), SIZE + by);
  if (filled !== true) return;
  using file = await Deno.open(work.path("b"), { write: true });
  await file.seek(SIZE, Deno.SeekMode.Start);
  await file.write(pattern(by, 5));
}

/** Asserts that every command knows a component that was changed. */
async function assertKnown(
  work: Workspace,
  format: string,
  { by }: Change,
): Promise<void> {
  const { mtime, size } = await Deno.stat(work.path("b"));
  const told = by > 0
    ? new RegExp(`(is ${by} bytes.* longer|longer by ${by}|extended)`)
    : /(shorter|cut)/;
  // By the size of a slot: where one belongs there is the other one.
  const isHalf = format === "native" && Math.abs(by) === 65_536;
  const missing = isHalf ? 2 : 3;
  const commands: readonly [number, ...string[]][] = [
    [missing, "dump", "b"],
    [missing, "status", "pool"],
    [missing, "serve", "--socket", "s", "pool"],
    [2, "check", "pool"],
    [4, "label", "-s", "1G", "new", "b"],
    [4, "add", "other", "b"],
    [0, "list"],
    [0, "taste", "."],
  ];
  for (const [code, ...args] of commands) {
    const result = await work.run(args);
    const text = result.stdout + result.stderr;
    assertEquals(result.code, code, `${args}: ${text}`);
    assertMatch(text, told, args.join(" "));
  }
  const after = await Deno.stat(work.path("b"));
  assertEquals([after.mtime, after.size], [mtime, size]);
}

/** A component that was extended is grown, and then extended while served. */
async function assertGrows(work: Workspace, by: number): Promise<void> {
  const grown = await work.succeed(["grow", "b"]);
  assertMatch(
    grown,
    new RegExp(`of pool "pool" from .* to .*: \\d+ chunks more`),
  );
  await work.succeed(["check", "pool"]);
  const server = await work.serve(["serve", "--socket", "s", "pool"]);
  await Deno.truncate(work.path("b"), SIZE + by + 64 * MIB);
  assertMatch(await work.succeed(["grow", "b"]), /: 6\d chunks more/);
  using client = await BusyClient.open({ path: work.path("s") }, "pool");
  for (let chunk = 0; chunk < 170; chunk++) {
    if (chunk >= 100) await client.write(chunk * MIB, pattern(4096, chunk));
    const { payload } = await client.read(chunk * MIB, 4096);
    assertEquals(payload, pattern(4096, chunk));
  }
  await server.stop();
  await work.succeed(["check", "pool"]);
}

for (const format of FORMATS) {
  Deno.test(`virstor says that a component was cut or extended (${format})`, async (t) => {
    await using work = await makePools(format);
    // What the formats have in common is tried with one of them.
    const some = CHANGES.filter((_, index) =>
      format === "native" || index % 3 === 0
    );
    for (const one of some) {
      await t.step(one.what, async () => {
        await work.restore();
        await change(work, one);
        await assertKnown(work, format, one);
        if (one.by < 0) return;
        if (one.by >= 16 * MIB) return await assertGrows(work, one.by);
        assertMatch(
          (await work.run(["grow", "b"])).stderr,
          format === "native" ? /too little/ : /^$/,
        );
        if (format === "freebsd") return;
        // With its size of before, one that was extended is what it was.
        await Deno.truncate(work.path("b"), SIZE);
        await work.succeed(["taste", "a", "b"]);
        await work.succeed(["check", "pool"]);
      });
    }
  });
}

Deno.test("virstor grow takes in one component after the other of a stopped pool", async () => {
  await using work = await makePools("native");
  for (const name of ["a", "b"]) {
    await Deno.truncate(work.path(name), SIZE + 16 * MIB);
  }
  for (const name of ["b", "a"]) {
    assertMatch(await work.succeed(["grow", name]), /: 1\d chunks more/);
  }
  assertMatch(await work.succeed(["check", "pool"]), /is sound/);
});
