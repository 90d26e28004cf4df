/**
 * Goal: a command on a stopped pool that another command changes at the same
 * time sees the pool before or after, or says that it is in use; never that it
 * is damaged or that a component is missing.
 *
 * Method: a change between the look into the registry and the locks, which is
 * the moment that counts; then real processes side by side.
 *
 * @module
 */
import { PATIENCE_MS } from "../helpers/patience.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { addComponents } from "../../cli/calls/change_pool.ts";
import { isMissing } from "../../cli/terminal/finding_text.ts";
import { withComponents } from "../../cli/registry/locate.ts";
import { updatePool } from "../../cli/state/mod.ts";
import { VirstorError } from "../../errors.ts";
import {
  checkComponents,
  inspectComponents,
  labelPool,
  openPool,
} from "../../pool/mod.ts";
import {
  FORMATS,
  makeScratch,
  MIB,
  type Scratch,
  SMALL_CHUNK,
} from "../helpers/scratch.ts";
import { makeSmallPool } from "./served.ts";

/** How long the processes go on at least, milliseconds. */
const RUN_MS = 2000;

/** A pool of one component; each further one has a directory of its own. */
async function makePool(
  scratch: Scratch,
  format: (typeof FORMATS)[number],
): Promise<{ stateDirectory: string; name: string }> {
  const stateDirectory = scratch.file("state");
  const pool = await labelPool({
    name: "demo",
    format,
    paths: [scratch.file("a")],
    createSize: MIB,
    chunkSize: SMALL_CHUNK,
    virtualSize: 64 * MIB,
  });
  await updatePool(stateDirectory, "demo", () => Promise.resolve(pool));
  return { stateDirectory, name: "demo" };
}

async function add(
  scratch: Scratch,
  pool: { stateDirectory: string; name: string },
  name: string,
): Promise<void> {
  await Deno.mkdir(scratch.file(name));
  const open = await withComponents(
    pool,
    ({ paths, options }) => openPool(paths, options),
  );
  const paths = [scratch.file(`${name}/component`)];
  const request = { paths, force: false, hardcode: false, createSize: MIB };
  await addComponents(pool.stateDirectory, open, request);
  await open.close();
}

for (const format of FORMATS) {
  Deno.test(`withComponents() looks again if the pool has changed since (${format})`, async () => {
    await using scratch = await makeScratch();
    const pool = await makePool(scratch, format);
    let changes = 0;
    const change = async () => {
      if (changes < 2) await add(scratch, pool, `more${changes++}`);
    };
    const findings = await withComponents(
      pool,
      async ({ paths, options }) => {
        await change();
        return (await checkComponents(paths, options)).findings;
      },
      (found) => found.some(isMissing),
    );
    assertEquals(findings, []);
    const status = await withComponents(pool, async ({ paths, options }) => {
      if (changes++ < 3) await add(scratch, pool, `more${changes}`);
      return await inspectComponents(paths, options);
    });
    assertEquals(status.components.length, 4);
  });

  Deno.test(`withComponents() gives up, as busy, on a pool that never stays as it is (${format})`, async () => {
    await using scratch = await makeScratch();
    const pool = await makePool(scratch, format);
    let changes = 0;
    const error = await assertRejects(
      () =>
        withComponents(pool, async ({ paths, options }) => {
          await add(scratch, pool, `more${changes++}`);
          return await inspectComponents(paths, options);
        }),
      VirstorError,
    );
    assertEquals(error.code, "busy");
  });

  Deno.test(`virstor check, status and repair beside add and remove never see half a change (${format})`, async () => {
    await using work = await makeSmallPool(format, ["a"]);
    await Deno.mkdir(work.path("far"));
    const end = Date.now() + RUN_MS;
    const seen = { changes: 0, reads: 0 };
    // On a busy machine it may take longer until each has had its turn.
    const goesOn = () =>
      Date.now() < end ||
      Date.now() < end + PATIENCE_MS &&
        (seen.changes === 0 || seen.reads === 0);
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await work.run(args);
      assert(
        code === 0 || code === 8,
        `${args[0]}: ${code} ${stdout} ${stderr}`,
      );
      return code === 0;
    };
    const change = async () => {
      while (goesOn()) {
        if (await run("add", "--create", "1M", "demo", "far/b")) {
          seen.changes++;
          while (!await run("remove", "demo", "far/b")) seen.changes++;
        }
        await Deno.remove(work.path("far/b")).catch(() => {});
      }
    };
    const read = async (...args: string[]) => {
      while (goesOn()) if (await run(...args)) seen.reads++;
    };
    await Promise.all([
      change(),
      read("check", "demo"),
      read("status", "demo"),
      read("repair", "--dry-run", "demo"),
    ]);
    assert(seen.changes > 0 && seen.reads > 0, JSON.stringify(seen));
  });
}
