/**
 * Goal: what has harmed servers when a disk was in use does no harm here, in
 * any dialect. Method: the messages of each attack, over real sockets, against
 * a server with a pool behind it that serves good clients at the same time.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { VirstorError } from "../../errors.ts";
import {
  encodeExtendedRequest,
  encodeRequest,
  NBD,
  type NbdClient,
  type RawRequest,
} from "../helpers/nbd_client.ts";
import { KIB, MIB, pattern } from "../helpers/scratch.ts";
import { until } from "../helpers/small_pools.ts";
import { assertRefused, encode } from "./requests.ts";
import { HeldDevice } from "../unit/nbd/held_device.ts";
import { serve } from "../unit/nbd/serving.ts";
import {
  assertBytes,
  type Attack,
  DIALECTS,
  DISK_SIZE,
  joined,
  type Target,
  testAttacks,
  testAttacksOnThreads,
} from "./target.ts";

const {
  CMD_READ,
  CMD_WRITE,
  CMD_DISC,
  CMD_FLUSH,
  CMD_TRIM,
} = NBD;

/** The longest payload, bytes. */
const PAYLOAD_MAX = 32 * MIB;
/** The flags that a write needs. */
function writeFlags(client: NbdClient): number {
  return client.dialect === "extended" ? NBD.CMD_FLAG_PAYLOAD_LEN : 0;
}

const leaving: Attack[] = [
  {
    name: "CVE-2017-10664: clients that are gone before their replies",
    target: { tcp: true },
    async run(target) {
      for (let i = 0; i < 12; i++) {
        for (const dialect of DIALECTS) {
          using client = await target.open(dialect);
          const length = i % 2 > 0 ? 4 * MIB : 64 * KIB;
          await client.sendAll(
            Array.from({ length: 4 }, () => ({ command: CMD_READ, length })),
          );
          // Not everything is read, so closing sends a reset.
          if (i % 3 > 0) await client.receiveRaw(16);
        }
      }
    },
  },
  {
    name: "truncated payloads",
    async run(target) {
      for (const dialect of DIALECTS) {
        for (const length of [1, 4096, 64 * KIB + 1, 8 * MIB, PAYLOAD_MAX]) {
          for (const sent of [0, 1, Math.floor(length / 2), length - 1]) {
            using client = await target.open(dialect);
            const flags = writeFlags(client);
            const request = { command: CMD_WRITE, length, flags };
            const payload = new Uint8Array(Math.min(sent, 300_000));
            await client.sendRaw(encode(client, { ...request, payload }));
          }
        }
      }
    },
  },
  {
    name: "nbdkit 1.32 and 1.33: DISC right behind writes",
    async run(target) {
      for (const dialect of DIALECTS) {
        const client = await target.open(dialect);
        const payload = pattern(200_000, DIALECTS.indexOf(dialect));
        const writes = Array.from({ length: 16 }, (_, i) => ({
          command: CMD_WRITE,
          offset: i * 256 * KIB,
          payload,
        }));
        await client.sendAll(writes);
        const disconnected = client.sendRaw(
          encode(client, { command: CMD_DISC }),
        );
        const replies = await client.receiveAll(writes.length);
        await disconnected;
        assertEquals(
          [...replies.values()].filter(({ errno }) => errno > 0),
          [],
        );
        // It does not wait for the client to close.
        assertEquals(await client.receiveEnd(), 0);
        client.close();
        using other = await target.open(dialect);
        for (const { offset } of writes) {
          assertBytes(await other.read(offset, payload.length), payload);
        }
      }
    },
  },
  {
    name: "nbd-server 3.24: DISC with flags, a range or a payload",
    async run(target) {
      const odd: Partial<RawRequest>[] = [
        { flags: NBD.CMD_FLAG_FUA },
        { flags: 0xffff },
        { offset: 2n ** 64n - 1n, length: 2 ** 32 - 1 },
        { flags: NBD.CMD_FLAG_PAYLOAD_LEN, payload: pattern(5000, 1) },
      ];
      for (const dialect of DIALECTS) {
        for (const changes of odd) {
          using client = await target.open(dialect);
          const request = { command: CMD_DISC, ...changes };
          await client.sendRaw(encode(client, request));
          assertEquals(await client.receiveEnd(), 0);
        }
      }
    },
  },
  {
    name: "qemu 7.2: half a connection closed, with replies to come",
    async run(target) {
      for (const dialect of DIALECTS) {
        using client = await target.open(dialect);
        const reads = Array.from({ length: 20 }, (_, i) => ({
          command: CMD_READ,
          offset: i * MIB,
          length: i % 4 > 0 ? MIB : 5 * MIB,
        }));
        await client.sendAll(reads);
        await client.conn.closeWrite();
        const replies = await client.receiveAll(reads.length);
        assertEquals(
          [...replies.values()].filter(({ errno }) => errno > 0),
          [],
        );
        assertEquals(await client.receiveEnd(), 0);
      }
    },
  },
  {
    name: "requests of another dialect, or of none",
    async run(target) {
      const extended = encodeExtendedRequest({ command: CMD_FLUSH });
      const compact = encodeRequest({ command: CMD_FLUSH });
      for (const dialect of DIALECTS) {
        const foreign = dialect === "extended" ? compact : extended;
        for (const bytes of [foreign, new Uint8Array(64), pattern(64, 9)]) {
          using client = await target.open(dialect);
          const good = { command: CMD_READ, length: 3 * MIB };
          await client.send(good);
          await client.sendRaw(joined([bytes, bytes])).catch(() => {});
          assertEquals((await client.receive()).errno, 0);
          assertEquals(await client.receiveEnd(), 0);
        }
      }
    },
  },
];

const payloads: Attack[] = [
  {
    name: "xapi #107: a refused write whose payload is still to come",
    async run(target) {
      for (const dialect of DIALECTS) {
        using owner = await target.open(dialect);
        const content = pattern(MIB, 8);
        await owner.write(0, content);
        using client = await target.open(dialect, "locked");
        for (const length of [1, 4096, 70_000, MIB, PAYLOAD_MAX]) {
          // Every few bytes of it are a request, should they be taken for one.
          const fake = encode(client, { command: CMD_DISC });
          const payload = new Uint8Array(length);
          for (let at = 0; at + fake.length < length; at += fake.length) {
            payload.set(fake, at);
          }
          const request = { command: CMD_WRITE, payload };
          await assertRefused(client, [request], NBD.EPERM);
        }
        assertBytes(await client.read(0, MIB), content);
        await client.disconnect();
      }
    },
  },
  {
    name: "payloads longer than the limit",
    async run(target) {
      for (const dialect of DIALECTS) {
        using client = await target.open(dialect);
        const length = PAYLOAD_MAX + 1;
        const request = { command: CMD_WRITE, payload: new Uint8Array(length) };
        if (dialect === "extended") {
          await client.send(request).catch(() => {});
          assertEquals(await client.receiveEnd(), 0);
        } else {
          await assertRefused(client, [request], NBD.EINVAL);
          assertEquals((await client.read(0, 4096)).length, 4096);
        }
      }
    },
  },
  {
    name: "payloads of requests that have none",
    async run(target) {
      using client = await target.open("extended");
      const flags = NBD.CMD_FLAG_PAYLOAD_LEN;
      for (const command of [0, 3, 4, 5, 6, 8, 9, 0xffff]) {
        // All commands take the same way, so one of them is the longest.
        const longest = command === 3 ? [PAYLOAD_MAX] : [];
        for (const length of [1, 4096, 100_000, ...longest]) {
          const payload = new Uint8Array(length);
          const request = { command, flags, payload };
          await assertRefused(client, [request], NBD.EINVAL);
        }
      }
      await client.disconnect();
    },
  },
  {
    name: "commands and flags that do not exist",
    async run(target) {
      for (const dialect of DIALECTS) {
        using client = await target.open(dialect);
        const unknown: RawRequest[] = [8, 9, 255, 256, 0xffff].map(
          (command) => ({ command, length: 2 ** 32 - 1 }),
        );
        for (const command of [0, 3, 4, 5, 6, 7]) {
          for (const bit of [6, 7, 8, 14, 15]) {
            unknown.push({ command, flags: 1 << bit });
          }
        }
        await assertRefused(client, unknown, NBD.EINVAL);
        await client.disconnect();
      }
    },
  },
  {
    name: "many requests with one cookie",
    async run(target) {
      for (const dialect of DIALECTS) {
        using client = await target.open(dialect);
        const request = encode(client, { command: CMD_FLUSH, cookie: 7n });
        await client.sendRaw(
          joined(Array.from({ length: 999 }, () => request)),
        );
        await client.conn.closeWrite();
        const size = dialect === "extended" ? 32 : 16;
        assertEquals(await client.receiveEnd(), 999 * size);
      }
    },
  },
];

/** Bytes that all delayed writes may hold before clients are slowed. */
const DELAYED_MAX = 64 * MIB;

const leaks: Attack[] = [
  {
    name: "error paths that keep something: refused, delayed and lost requests",
    async run(target) {
      for (let round = 0; round < 2; round++) {
        for (const dialect of DIALECTS) await fillAndLeave(target, dialect);
      }
      const { delayed } = target.pool.status();
      assert(delayed.cancelled > 0, "no write was cancelled");
      // What the attackers took is given back, so that there is room again.
      using client = await target.open("extended");
      const length = DISK_SIZE / 2;
      const trim = { command: CMD_TRIM, offset: 0, length };
      assertEquals((await client.call(trim)).errno, 0);
      await client.disconnect();
    },
  },
];

/** Fills the pool, so that writes wait, and leaves while they do. */
async function fillAndLeave(
  target: Target,
  dialect: "simple" | "structured" | "extended",
): Promise<void> {
  using client = await target.open(dialect);
  const writes = Array.from({ length: 48 }, (_, i) => ({
    command: CMD_WRITE,
    offset: i * MIB,
    payload: new Uint8Array(MIB).fill(i + 1),
  }));
  const sending = client.sendAll([
    ...writes,
    { command: CMD_READ, offset: 0, length: 20 * MIB },
  ]).catch(() => {});
  // Some are answered; the others wait for space, and others go on.
  await until(() => target.pool.status().delayed.count > 0);
  await target.assertGood();
  assert(target.pool.status().delayed.bytes <= DELAYED_MAX, "too much waits");
  await client.conn.closeWrite().catch(() => {});
  client.close();
  await sending;
  await until(() => target.server.clients.length === target.goodCount);
}

testAttacks([...leaving, ...payloads, ...leaks]);
testAttacksOnThreads([...leaving, ...payloads, ...leaks]);

for (const dialect of DIALECTS) {
  Deno.test(`attack: reads that fail late keep no buffer, ${dialect}`, async () => {
    const device = new HeldDevice(16 * MIB);
    await using serving = await serve({ device });
    using client = await serving.open(dialect);
    device.holds = (kind) => kind === "read";
    const error = new VirstorError("io", "Cannot read: a bad sector");
    for (let i = 0; i < 20; i++) {
      const flags = dialect === "simple" || i % 2 > 0 ? 0 : NBD.CMD_FLAG_DF;
      const length = [512, MIB, 2 * MIB, 3 * MIB, 16 * MIB][i % 5] ?? 0;
      await client.send({ command: CMD_READ, length, flags });
      let answered = false;
      const receiving = client.receive().finally(() => answered = true);
      while (!answered) {
        for (const operation of [...device.held]) operation.fail(error);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      assertEquals((await receiving).errno, NBD.EIO);
    }
    device.holds = () => false;
    assertEquals((await client.read(0, 16 * MIB)).length, 16 * MIB);
  });
}

Deno.test("attack: leaving a long read while a write waits", async () => {
  const device = new HeldDevice(32 * MIB);
  device.holds = (kind) => kind === "write";
  await using serving = await serve({ device });
  const client = await serving.open();
  await client.send({ command: CMD_WRITE, payload: new Uint8Array(512) });
  await client.send({ command: CMD_READ, length: PAYLOAD_MAX });
  await client.receiveRaw(16);
  client.close();
  await until(() => serving.server.clients.length === 0);
});
