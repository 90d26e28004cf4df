/**
 * Goal: BLOCK_STATUS tells what the contexts know, in few runs, and never more
 * than was asked for or fits. Method: real sockets; the client checks the
 * rules of the protocol with every reply; a device with holes, contexts that
 * say what the test wants.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { messageOf, VirstorError } from "../../../errors.ts";
import type { NbdContext, NbdStatusRun } from "../../../nbd/mod.ts";
import { STATUS_RUNS_MAX } from "../../../nbd/wire/limits.ts";
import { encodeStatusFilter, NBD } from "../../helpers/nbd_client.ts";
import { exportOf, pattern, serve, until } from "./serving.ts";
import { SparseDevice } from "./sparse_device.ts";

const MIB = 1024 * 1024;
const UNIT = 64 * 1024;
const DIALECTS = ["structured", "extended"] as const;
const { CMD_BLOCK_STATUS: command, CMD_FLAG_REQ_ONE, STATE_ZERO } = NBD;
const HOLE = NBD.STATE_HOLE | NBD.STATE_ZERO;
const ALLOCATION = "base:allocation";

/** A context, and the calls that it got. */
function contextOf(
  name: string,
  status: (offset: number, length: number, limit: number) => NbdStatusRun[],
): NbdContext & { calls: number[][] } {
  const calls: number[][] = [];
  return {
    name,
    calls,
    status(...args) {
      calls.push(args);
      return status(...args);
    },
  };
}

/** Every byte another status than the one before. */
function* stripes(offset: number, length: number): Generator<NbdStatusRun> {
  for (let i = 0; i < length; i++) yield { length: 1, flags: (offset + i) % 2 };
}

for (const dialect of DIALECTS) {
  const named = (name: string) => `${dialect}: ${name}`;

  Deno.test(named("base:allocation tells holes, zeroes and data"), async () => {
    const device = new SparseDevice(4 * MIB, UNIT, 512);
    await using serving = await serve({ device });
    const { client, ids } = await serving.select(dialect, [ALLOCATION]);
    using _ = client;
    const id = ids.get(ALLOCATION) ?? 0;
    const statusOf = async (offset: number, length: number, flags = 0) => {
      const reply = await client.call({ command, offset, length, flags });
      assertEquals([reply.errno, reply.chunks.length], [0, 1]);
      return reply.status.get(id);
    };
    assertEquals(await statusOf(0, 4 * MIB), [[4 * MIB, HOLE]]);
    await client.write(UNIT, pattern(3 * UNIT));
    device.kinds.set(10, "zero");
    device.kinds.set(11, "zero");
    const all: [number, number][] = [
      [UNIT, HOLE],
      [3 * UNIT, 0],
      [6 * UNIT, HOLE],
      [2 * UNIT, STATE_ZERO],
      [4 * MIB - 12 * UNIT, HOLE],
    ];
    assertEquals(await statusOf(0, 4 * MIB), all);
    assertEquals(await statusOf(512, UNIT), [[UNIT - 512, HOLE], [512, 0]]);
    assertEquals(await statusOf(4 * MIB - 512, 512), [[512, HOLE]]);
    const one = CMD_FLAG_REQ_ONE;
    assertEquals(await statusOf(512, 4 * MIB - 512, one), [[UNIT - 512, HOLE]]);
    assertEquals(await statusOf(0, 512, one), [[512, HOLE]]);
    assertEquals(await statusOf(0, 512, NBD.CMD_FLAG_FUA), [[512, HOLE]]);
    assertEquals(serving.server.counters.blockStatuses, 7);
    // An answer never goes beyond the request, whatever is known beyond it.
    assertEquals(await statusOf(UNIT, 512), [[512, 0]]);
  });

  Deno.test(
    named("each context has a chunk, all or those asked for"),
    async () => {
      const device = new SparseDevice(MIB, UNIT, 512);
      const contexts = [1, 2, 3].map((flags) =>
        contextOf(`x-test:${flags}`, (_, length) => [{ length, flags }])
      );
      const exports = [exportOf(device, { contexts })];
      await using serving = await serve({ exports });
      const { client, ids } = await serving.select(dialect, [
        ...["x-test:3", "x-test:1", ALLOCATION],
      ]);
      using _ = client;
      const [one, three] = [ids.get("x-test:1"), ids.get("x-test:3")];
      const all = await client.call({ command, length: MIB });
      assertEquals(
        new Map(all.status),
        new Map([
          [ids.get(ALLOCATION) ?? 0, [[MIB, HOLE]]],
          [one ?? 0, [[MIB, 1]]],
          [three ?? 0, [[MIB, 3]]],
        ]),
      );
      assertEquals(contexts.map(({ calls }) => calls.length), [1, 0, 1]);
      if (dialect !== "extended") return;
      const payload = encodeStatusFilter(512, [three ?? 0]);
      const some = await client.call({ command, payload });
      assertEquals(new Map(some.status), new Map([[three, [[512, 3]]]]));
      assertEquals(contexts.map(({ calls }) => calls.length), [1, 0, 2]);
    },
  );

  Deno.test(named("answers are bounded, and can be asked on"), async () => {
    const size = 2 * STATUS_RUNS_MAX;
    const device = new SparseDevice(4 * size);
    const context = contextOf("x-test:stripes", (offset, length, limit) => [
      ...stripes(offset, Math.min(length, limit)),
    ]);
    // One that does not heed the limit.
    const heedless = contextOf("x-test:more", (offset, length) => [
      ...stripes(offset, length),
    ]);
    const exports = [exportOf(device, { contexts: [context, heedless] })];
    await using serving = await serve({ exports });
    for (const queries of [[context.name], [context.name, heedless.name]]) {
      const { client, ids } = await serving.select(dialect, queries);
      using _ = client;
      const most = STATUS_RUNS_MAX / queries.length;
      let offset = 0;
      while (offset < size) {
        const reply = await client.call({
          ...{ command, offset, length: size - offset },
        });
        assertEquals(reply.status.size, queries.length);
        for (const runs of reply.status.values()) {
          assertEquals(runs.length, Math.min(most, size - offset));
          assertEquals(runs[0], [1, offset % 2]);
        }
        offset += most;
      }
      // Many such requests at once: each waits for room.
      const requests = Array(20).fill({ command, length: size });
      await client.sendAll(requests);
      const replies = await client.receiveAll(20);
      for (const { status } of replies.values()) {
        const first = status.get(ids.get(context.name) ?? 0);
        assertEquals(first?.length, most);
      }
    }
  });

  Deno.test(named("answers wait for a client that takes none"), async () => {
    const context = contextOf("x-test:stripes", (offset, length, limit) => [
      ...stripes(offset, Math.min(length, limit)),
    ]);
    const size = STATUS_RUNS_MAX;
    const device = new SparseDevice(size);
    const exports = [exportOf(device, { contexts: [context] })];
    await using serving = await serve({ exports });
    const { client } = await serving.select(dialect, [context.name]);
    using _ = client;
    await client.sendAll(Array(100).fill({ command, length: size }));
    await until("some are done", () => context.calls.length >= 2);
    await new Promise((done) => setTimeout(done, 50));
    // Two reply buffers, and what the sockets take.
    const done = context.calls.length;
    assert(done < 12, `${done} were done`);
    assertEquals((await client.receiveAll(100)).size, 100);
  });

  Deno.test(
    named("what a context says too much is cut and joined"),
    async () => {
      const device = new SparseDevice(MIB);
      const says: NbdStatusRun[][] = [
        [{ length: 10 * MIB, flags: 5 }],
        [{ length: 100, flags: 1 }, { length: 100, flags: 1 }],
        [{ length: 100, flags: 1 }, { length: 10 * MIB, flags: 2 }],
        [
          { length: 100, flags: 1 },
          { length: 900, flags: 2 },
          { length: 1, flags: 3 },
        ],
        [{ length: 1, flags: 0xffffffff }],
      ];
      const wanted = [
        [[1000, 5]],
        [[200, 1]],
        [[100, 1], [900, 2]],
        [[100, 1], [900, 2]],
        [[1, 0xffffffff]],
      ];
      let next = 0;
      const context = contextOf("x-test:a", () => says[next] ?? []);
      const exports = [exportOf(device, { contexts: [context] })];
      await using serving = await serve({ exports });
      const { client, ids } = await serving.select(dialect, [context.name]);
      using _ = client;
      for (; next < says.length; next++) {
        for (const flags of [0, CMD_FLAG_REQ_ONE]) {
          const reply = await client.call({ command, length: 1000, flags });
          const runs = reply.status.get(ids.get(context.name) ?? 0);
          assertEquals(runs, flags === 0 ? wanted[next] : [wanted[next]?.[0]]);
        }
      }
    },
  );

  Deno.test(named("a status that makes no sense is refused"), async () => {
    const device = new SparseDevice(MIB, UNIT, 512);
    await using serving = await serve({ device });
    const { client } = await serving.select(dialect, [ALLOCATION]);
    using _ = client;
    const bad = [
      { length: 0 },
      { length: 0, offset: MIB },
      { length: MIB + 512 },
      { length: 512, offset: MIB },
      { length: 256 },
      { length: 512, offset: 256 },
      { length: 512, flags: NBD.CMD_FLAG_DF },
      { length: 512, flags: NBD.CMD_FLAG_NO_HOLE },
      { length: 512, offset: 2n ** 64n - 512n },
      { length: 2 ** 32 - 512, offset: 512 },
    ];
    for (const request of bad) {
      const reply = await client.call({ command, ...request });
      assertEquals(reply.errno, NBD.EINVAL);
      assert(reply.text.length > 0);
    }
    const { errno } = await client.call({ command, length: 512 });
    assertEquals(errno, 0);
    for (const nothing of [[], ["x-no:such"]]) {
      const { client } = await serving.select(dialect, nothing);
      using _ = client;
      const reply = await client.call({ command, length: 512 });
      assertEquals(reply.errno, NBD.EINVAL);
      assertEquals(
        reply.text,
        "No metadata context was selected for this export",
      );
      assertEquals((await client.read(0, 512)).length, 512);
    }
  });

  Deno.test(named("a context that fails fails the request"), async () => {
    const device = new SparseDevice(MIB);
    const fails = contextOf("x-test:fails", () => {
      throw new VirstorError("io", "Cannot look: it is dark");
    });
    const exports = [exportOf(device, { contexts: [fails] })];
    await using serving = await serve({ exports });
    const { client } = await serving.select(dialect, [ALLOCATION, fails.name]);
    using _ = client;
    const reply = await client.call({ command, length: MIB });
    assertEquals([reply.errno, reply.text], [NBD.EIO, "The device failed"]);
    assertEquals(
      serving.events.at(-1)?.message,
      `BLOCK_STATUS of ${MIB} bytes at 0: Cannot look: it is dark`,
    );
    assertEquals(serving.server.counters.errors, 1);
    assertEquals((await client.read(0, 512)).length, 512);
  });
}

Deno.test("a context that says nothing stops the server", async () => {
  for (const withPayload of [false, true]) {
    const empty = contextOf("x-test:empty", () => []);
    const device = new SparseDevice(MIB);
    const exports = [exportOf(device, { contexts: [empty] })];
    await using serving = await serve({ exports });
    const finished = serving.server.finished.then(() => "", messageOf);
    const { client, ids } = await serving.select("extended", [empty.name]);
    using _ = client;
    const payload = encodeStatusFilter(512, [ids.get(empty.name) ?? 0]);
    const request = withPayload ? { payload } : { length: 512 };
    await client.send({ command, ...request });
    await client.receiveEnd();
    assertEquals(
      await finished,
      "a metadata context has a run for every request",
    );
  }
});

Deno.test("the simple dialect has no BLOCK_STATUS", async () => {
  await using serving = await serve();
  using client = await serving.open();
  const { errno } = await client.call({ command, length: 512 });
  assertEquals(errno, NBD.EINVAL);
});
