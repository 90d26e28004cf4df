/**
 * Waiting for an evacuation that comes to no good end. The good ends are in
 * `remove_test.ts`.
 *
 * @module
 */
import { assertEquals, assertRejects } from "@std/assert";
import { waitForRemoval } from "../../cli/commands/wait_for_removal.ts";
import { VirstorError } from "../../errors.ts";
import type { PoolStatus } from "../../pool/mod.ts";
import { makeScratch, openSmallPool } from "../helpers/scratch.ts";

/** The status of a pool of which component 1 is to leave, changed. */
async function leavingStatus(change: Partial<PoolStatus>): Promise<PoolStatus> {
  await using scratch = await makeScratch();
  const { pool } = await openSmallPool(scratch, 2, { format: "native" });
  await using _ = pool;
  const status = pool.status();
  return {
    ...status,
    components: status.components.map((one) => ({
      ...one,
      path: `/c${one.index}`,
      evacuating: one.index === 1,
    })),
    ...change,
  };
}

function evacuation(
  change: Partial<NonNullable<PoolStatus["evacuation"]>>,
): NonNullable<PoolStatus["evacuation"]> {
  return {
    components: ["/c1"],
    state: "moving",
    reason: "",
    movedBytes: 0,
    leftBytes: 0,
    bytesPerSecond: 0,
    secondsLeft: null,
    ...change,
  };
}

function wait(status: PoolStatus, path = "/c1"): Promise<void> {
  return waitForRemoval({
    name: "small",
    paths: [path],
    ask: () => Promise.resolve(status),
    signal: new AbortController().signal,
  });
}

for (
  const { path = "/c1", reason, advice } of [
    { reason: 'Cannot write to "/c2"', advice: "" },
    {
      path: "nbd://far/",
      reason: 'Cannot read 9 bytes at 0 of "nbd://far/": EIO',
      advice: "",
    },
    {
      reason: 'Cannot read 9 bytes at 0 of "/c1": EIO',
      advice: "; look at its disk, or give up what cannot be read: " +
        '"virstor remove --accept-loss SIZE"',
    },
  ]
) {
  Deno.test(`waitForRemoval() fails when the evacuation was stopped: ${reason}`, async () => {
    const stopped = evacuation({ state: "stopped", reason });
    const status = await leavingStatus({ evacuation: stopped });
    const components = status.components.map((one) =>
      one.evacuating ? { ...one, path } : one
    );
    const error = await assertRejects(
      () => wait({ ...status, components }, path),
      VirstorError,
    );
    assertEquals(error.code, "io");
    assertEquals(
      error.message,
      `Cannot remove "${path}" from pool "small": the evacuation stopped: ` +
        reason + advice,
    );
  });
}

Deno.test("waitForRemoval() fails when the pool takes no more writes", async () => {
  const reason = 'Pool "small" takes no more writes: EIO';
  const error = await assertRejects(
    async () =>
      await wait(
        await leavingStatus({
          state: "failed",
          reason,
          evacuation: evacuation({}),
        }),
      ),
    VirstorError,
    reason,
  );
  assertEquals(error.code, "io");
});

Deno.test("waitForRemoval() ends when the component is no member", async () => {
  const status = await leavingStatus({});
  await wait({ ...status, components: status.components.slice(0, 1) });
});
