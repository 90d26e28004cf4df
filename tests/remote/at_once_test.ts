/**
 * Components on other machines are asked at the same time: several that do not
 * answer hold a command up no longer than one does.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { MemoryDevice } from "../../device/mod.ts";
import { VirstorError } from "../../errors.ts";
import { exportOf, NbdDisk, serve } from "../../nbd/mod.ts";
import {
  checkComponents,
  clearLabels,
  labelPool,
  openPool,
  taste,
} from "../../pool/mod.ts";
import type { RemoteComponents } from "../../pool/remote/mod.ts";
import { eventually } from "../helpers/patience.ts";
import { makeScratch, MIB } from "../helpers/scratch.ts";

const COUNT = 3;

/** A pool of components on other machines, of which some never answer. */
async function farPool(): Promise<
  AsyncDisposable & {
    /** The URIs. */
    readonly paths: readonly string[];
    /** How to reach them. */
    readonly remote: RemoteComponents;
    /** Those that do not answer, from now on. */
    readonly silent: Set<string>;
    /** Lets attempts end only once all have begun. */
    meet(): void;
    /** How often all attempts have met. */
    readonly meetings: number;
  }
> {
  const stack = new AsyncDisposableStack();
  const scratch = stack.use(await makeScratch());
  const names = Array.from({ length: COUNT }, (_, i) => `far${i}`);
  const far = stack.use(
    await serve({
      exports: names.map((name) =>
        exportOf(new MemoryDevice(16 * MIB), { name })
      ),
      listen: { path: scratch.file("far") },
    }),
  );
  const paths = names.map((name) =>
    `nbd+unix:///${name}?socket=${scratch.file("far")}`
  );
  assert(far.uri !== "");
  const silent = new Set<string>();
  let [begun, isMeeting, meetings] = [0, false, 0];
  const remote: RemoteComponents = {
    journals: scratch.path,
    journalSize: MIB,
    intervalMs: 500,
    connect: async (uris, options) => {
      begun += 1;
      if (isMeeting) {
        const mine = meetings;
        await eventually(
          "all are asked at the same time",
          () => begun % COUNT === 0 || meetings > mine,
        );
        meetings = Math.floor(begun / COUNT);
      }
      if (!silent.has(uris[0] ?? "")) return NbdDisk.connect(uris, options);
      throw new VirstorError("io", `Cannot connect to "${uris[0]}": no answer`);
    },
  };
  await labelPool({ name: "p", paths, remote });
  return {
    paths,
    remote,
    silent,
    meet: () => {
      begun = 0;
      isMeeting = true;
    },
    get meetings() {
      return meetings;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

Deno.test("the components of a pool are opened at the same time", async () => {
  await using far = await farPool();
  const { paths, remote } = far;
  far.meet();
  await (await openPool(paths, { remote })).close();
  assertEquals(far.meetings, 1);
  assertEquals((await checkComponents(paths, { remote })).findings, []);
  assertEquals(far.meetings, 2);
  const { pools } = await taste(paths, { remote });
  assertEquals(pools.map(({ missing }) => missing), [[]]);
  assertEquals(far.meetings, 3);
});

Deno.test("one component that does not answer is named, whatever the others do", async () => {
  await using far = await farPool();
  const { paths, remote, silent } = far;
  const [first = "", , last = ""] = paths;
  silent.add(first).add(last);
  far.meet();
  const error = await assertRejects(
    () => openPool(paths, { remote }),
    VirstorError,
  );
  assertEquals(error.code, "not-found");
  assert(error.message.includes(`"${first}": no answer`), error.message);
  assert(error.message.includes(`"${last}": no answer`), error.message);
  const refused = await assertRejects(
    () => clearLabels(paths, { remote }),
    VirstorError,
  );
  assert(refused.message.includes(first), refused.message);
  silent.clear();
  // Nothing has changed, and nothing holds a lock.
  await (await openPool(paths, { remote })).close();
  const cleared = await clearLabels(paths, { remote });
  assertEquals(cleared.map(({ path }) => path), paths);
  const { pools } = await taste(paths, { remote });
  assertEquals(pools, []);
  assertEquals(far.meetings, 5);
});
