/**
 * Goal: replies come when they are ready, not in the order of the requests, and
 * every one is whole. Method: requests that go out with one write on one
 * connection, and cookies that tell which reply came when: behind writes that a
 * full pool makes wait; and small reads beside one of 32 MiB.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  type Dialect,
  NBD,
  NbdClient,
  type RawRequest,
} from "../helpers/nbd_client.ts";
import { CHUNK, MIB, ServedPool, stampedBytes } from "./served_pool.ts";
import { firstDifference } from "../helpers/bytes.ts";

const DIALECTS: readonly Dialect[] = ["simple", "structured", "extended"];
/** The chunks for data of the usual pool. */
const CAPACITY = 28;

async function connect(pool: ServedPool, dialect: Dialect): Promise<NbdClient> {
  const client = await NbdClient.connect({ path: pool.socket });
  await client.greet();
  await client.speak(dialect);
  if (dialect !== "simple") await client.contexts("pool", ["base:allocation"]);
  await client.go("pool");
  return client;
}

/** What must not wait for a write that does. */
function othersIn(dialect: Dialect): RawRequest[] {
  const others: RawRequest[] = [
    { command: NBD.CMD_READ, offset: CHUNK, length: 4096 },
    { command: NBD.CMD_READ, offset: 60 * MIB, length: CHUNK },
    { command: NBD.CMD_READ, offset: 0, length: 4 * MIB },
    { command: NBD.CMD_WRITE, offset: CHUNK, payload: stampedBytes(4096, 99) },
    { command: NBD.CMD_FLUSH },
    { command: NBD.CMD_WRITE_ZEROES, offset: 50 * MIB, length: MIB },
    { command: NBD.CMD_TRIM, offset: 50 * MIB, length: MIB },
    { command: NBD.CMD_CACHE, offset: 0, length: MIB },
    { command: NBD.CMD_READ, offset: 64 * MIB, length: 1 },
  ];
  if (dialect === "simple") return others;
  return [...others, { command: NBD.CMD_BLOCK_STATUS, length: 64 * MIB }];
}

for (const dialect of DIALECTS) {
  Deno.test(`Replies overtake those of writes that wait for space (${dialect})`, async () => {
    await using pool = await ServedPool.start();
    using client = await connect(pool, dialect);
    for (let chunk = 0; chunk < CAPACITY; chunk++) {
      await client.write(chunk * CHUNK, stampedBytes(4096, chunk));
    }
    const write = { command: NBD.CMD_WRITE, payload: stampedBytes(4096, 40) };
    const others = othersIn(dialect);
    const [first, second, ...rest] = await client.sendAll([
      { ...write, offset: 40 * CHUNK },
      { ...write, offset: 41 * CHUNK, flags: NBD.CMD_FLAG_FUA },
      ...others,
    ]);
    const overtaking = await client.receiveAll(rest.length);
    assertEquals(
      [...overtaking.keys()].sort(),
      [...rest].sort(),
      "only later requests are answered",
    );
    const errors = rest.map((cookie) => overtaking.get(cookie)?.errno);
    const beyond = errors.splice(8, 1);
    assertEquals([...new Set(errors)], [0]);
    assertEquals(beyond, [NBD.EINVAL]);
    assertEquals((await pool.status()).pool.delayed.count, 2);

    await pool.add();
    const last = await client.receiveAll(2);
    assertEquals([...last.keys()].sort(), [first, second].sort());
    assertEquals([...last.values()].map(({ errno }) => errno), [0, 0]);
    for (const chunk of [40, 41]) {
      const bytes = await client.read(chunk * CHUNK, 4096);
      assertEquals(bytes, stampedBytes(4096, 40));
    }
    await client.disconnect();
    await pool.stopAndCheck();
  });

  Deno.test(`Small reads and a read of 32 MiB do not mix (${dialect})`, async () => {
    await using pool = await ServedPool.start({ componentSize: "24M" });
    using client = await connect(pool, dialect);
    const large = stampedBytes(32 * MIB, 1);
    await client.write(0, large);
    const length = 4096;
    const offsets = Array.from({ length: 64 }, (_, i) => i * 500 * 1024);
    const small = offsets.map((offset) => ({
      command: NBD.CMD_READ,
      offset,
      length,
    }));
    const [slow, ...quick] = await client.sendAll([
      { command: NBD.CMD_READ, offset: 0, length: 32 * MIB },
      ...small,
    ]);
    const replies = await client.receiveAll(quick.length + 1);
    const { payload } = replies.get(slow ?? 0n) ?? {};
    const wrong = firstDifference(large, payload ?? new Uint8Array(0));
    assertEquals(wrong, -1);
    for (const [i, offset] of offsets.entries()) {
      assertEquals(
        replies.get(quick[i] ?? 0n)?.payload,
        large.slice(offset, offset + length),
      );
    }
    await client.disconnect();
    await pool.stopAndCheck();
  });
}
