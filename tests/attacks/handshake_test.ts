/**
 * Goal: what has harmed servers before a disk was chosen does no harm here.
 * Method: the messages of each attack, over real sockets, against a server
 * with a pool behind it that serves good clients at the same time.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  encodeContextQuery,
  encodeInfoData,
  encodeOption,
  encodeRequest,
  NBD,
  type NbdClient,
} from "../helpers/nbd_client.ts";
import { MIB, pattern } from "../helpers/scratch.ts";
import { until } from "../helpers/small_pools.ts";
import {
  assertInStep,
  type Attack,
  joined,
  Target,
  testAttacks,
} from "./target.ts";
import { PATIENCE_MS } from "../helpers/patience.ts";

/** The longest string that the protocol allows, bytes. */
const NAME_MAX = 4096;
/** The longest data of an option that is looked at, bytes. */
const OPTION_DATA_MAX = 16 * 1024;
/** Options whose data starts with a length and a name. */
const NAMING = [
  NBD.OPT_INFO,
  NBD.OPT_GO,
  NBD.OPT_LIST_META_CONTEXT,
  NBD.OPT_SET_META_CONTEXT,
];
/** Every option that there is, and some that there are not. */
const ALL_OPTIONS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0xffffffff];
/** Half-open connections of a flood. */
const FLOOD = 40;
/**
 * Soon over, and long enough for good clients on a busy machine, milliseconds.
 */
const SHORT_HANDSHAKE_MS = 3000;

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A client between two options that speaks structured replies. */
async function haggling(target: Target): Promise<NbdClient> {
  const client = await target.greeted();
  await client.speak("structured");
  return client;
}

/** The type of the only reply to an option. */
async function soleReply(
  client: NbdClient,
  option: number,
  data?: Uint8Array,
): Promise<number | undefined> {
  const replies = await client.option(option, data);
  assertEquals(replies.length, 1);
  assert((replies[0]?.data.length ?? 0) <= NAME_MAX, "a text is too long");
  return replies[0]?.type;
}

/** Data with a name of this length; the announced one may be another. */
function naming(option: number, length: number, announced = length) {
  const name = "n".repeat(length);
  const data = option === NBD.OPT_INFO || option === NBD.OPT_GO
    ? encodeInfoData(name)
    : encodeContextQuery(name, ["base:allocation"]);
  new DataView(data.buffer).setUint32(0, announced);
  return data;
}

/** A client that leaves so that the server learns it from a reset. */
async function reset(client: NbdClient): Promise<void> {
  // What is not read when a TCP socket is closed makes it send a reset.
  await client.sendRaw(encodeOption(NBD.OPT_LIST));
  client.close();
}

const leaving: Attack[] = [
  {
    name: "CVE-2011-1925, CVE-2013-7441: leaving anywhere in the handshake",
    async run(target) {
      const whole = joined([
        new Uint8Array([0, 0, 0, 3]),
        encodeOption(NBD.OPT_STRUCTURED_REPLY),
        encodeOption(NBD.OPT_GO, encodeInfoData("disk")),
      ]);
      for (let sent = 0; sent <= whole.length; sent++) {
        using client = await target.connect();
        await client.sendRaw(whole.subarray(0, sent));
      }
    },
  },
  {
    name: "CVE-2013-7441: an unknown name in EXPORT_NAME",
    async run(target) {
      for (const name of ["nosuch", "disk\0", "\xff", "n".repeat(NAME_MAX)]) {
        using client = await target.greeted();
        await client.sendRaw(encodeOption(NBD.OPT_EXPORT_NAME, bytesOf(name)));
        assertEquals(await client.receiveEnd(), 0);
      }
    },
  },
  {
    name: "nbdkit 1.32: hanging up early, with a reset",
    target: { tcp: true },
    async run(target) {
      for (let i = 0; i < 50; i++) {
        const client = await target.connect();
        if (i % 2 > 0) await client.greet();
        await reset(client);
      }
    },
  },
  {
    name: "CVE-2017-9524: a client that does not negotiate",
    async run(target) {
      for (const sends of [new Uint8Array(), encodeRequest({ command: 0 })]) {
        using client = await target.connect();
        await client.sendRaw(sends);
        await client.conn.closeWrite();
        assertEquals(await client.receiveEnd(), 18);
      }
    },
  },
  {
    name: "CVE-2017-7539: unexpected bytes in place of an option",
    async run(target) {
      const junk = [
        encodeRequest({ command: NBD.CMD_READ, length: 512 }),
        bytesOf("GET / HTTP/1.1\r\nHost: disk\r\n\r\n"),
        bytesOf("NBDMAGIC\x00\x00\x42\x02\x81\x86\x12\x53"),
        pattern(100_000, 7),
        new Uint8Array(64),
      ];
      for (const bytes of junk) {
        using client = await target.greeted();
        await client.sendRaw(bytes).catch(() => {});
        assertEquals(await client.receiveEnd(), 0);
      }
    },
  },
];

const lengths: Attack[] = [
  {
    name: "CVE-2017-15118, CVE-2022-26496: long names",
    async run(target) {
      using client = await haggling(target);
      for (const length of [255, 256, 257, NAME_MAX, NAME_MAX + 1, 16_000]) {
        const expected = length > NAME_MAX
          ? NBD.REP_ERR_INVALID
          : NBD.REP_ERR_UNKNOWN;
        for (const option of NAMING) {
          const data = naming(option, length);
          assertEquals(await soleReply(client, option, data), expected);
        }
      }
      await assertInStep(client);
    },
  },
  {
    name: "CVE-2017-15119: options that announce up to 4 GiB",
    async run(target) {
      for (const option of ALL_OPTIONS) {
        for (const length of [MIB + 1, 2 ** 31, 2 ** 32 - 1]) {
          using client = await target.greeted();
          await client.sendRaw(encodeOption(option, pattern(100, 1), length));
          assertEquals(await client.receiveEnd(), 0);
        }
      }
    },
  },
  {
    name: "CVE-2017-15119: options that are too long, and come",
    async run(target) {
      using client = await haggling(target);
      const data = new Uint8Array(OPTION_DATA_MAX + 1);
      for (const option of ALL_OPTIONS) {
        if (option === NBD.OPT_EXPORT_NAME || option === NBD.OPT_ABORT) {
          continue;
        }
        const type = await soleReply(client, option, data);
        assert((type ?? 0) > 0x80000000, `option ${option} is not refused`);
      }
      await assertInStep(client);
    },
  },
  {
    name: "CVE-2020-10761: unknown names of 4096 bytes in error texts",
    async run(target) {
      using client = await haggling(target);
      for (const option of NAMING) {
        const data = naming(option, NAME_MAX);
        assertEquals(
          await soleReply(client, option, data),
          NBD.REP_ERR_UNKNOWN,
        );
      }
      await assertInStep(client);
    },
  },
  {
    name: "CVE-2022-26495, go-nbd: a name of 0xffffffff bytes and its like",
    async run(target) {
      using client = await haggling(target);
      const lies = [1, 3, 5, 11, 2 ** 16, 2 ** 31 - 1, 2 ** 31];
      for (let i = 1; i <= 12; i++) lies.push(2 ** 32 - i);
      for (const option of NAMING) {
        for (const lie of lies) {
          const data = naming(option, 4, lie);
          assertEquals(
            await soleReply(client, option, data),
            NBD.REP_ERR_INVALID,
            `option ${option}, ${lie} bytes`,
          );
        }
      }
      await assertInStep(client);
    },
  },
  {
    name: "nbd-server 3.24: counts inside options that lie",
    async run(target) {
      using client = await haggling(target);
      for (const count of [1, 2, 255, 0xffff]) {
        const data = encodeInfoData("disk");
        new DataView(data.buffer).setUint16(data.length - 2, count);
        for (const option of [NBD.OPT_INFO, NBD.OPT_GO]) {
          const type = await soleReply(client, option, data);
          assertEquals(type, NBD.REP_ERR_INVALID);
        }
      }
      for (const count of [0, 2, 2 ** 31, 2 ** 32 - 1]) {
        const data = encodeContextQuery("disk", ["base:allocation"]);
        new DataView(data.buffer).setUint32(8, count);
        for (
          const option of [
            NBD.OPT_LIST_META_CONTEXT,
            NBD.OPT_SET_META_CONTEXT,
          ]
        ) {
          const type = await soleReply(client, option, data);
          assertEquals(type, NBD.REP_ERR_INVALID);
        }
      }
      await assertInStep(client);
    },
  },
  {
    name: "qemu 7.2 and #4843: SET_META_CONTEXT with bytes behind its queries",
    async run(target) {
      using client = await haggling(target);
      const query = encodeContextQuery("disk", ["base:allocation"]);
      // What is left over looks like an option of its own.
      for (const rest of [new Uint8Array(1), encodeOption(NBD.OPT_LIST)]) {
        for (
          const option of [
            NBD.OPT_LIST_META_CONTEXT,
            NBD.OPT_SET_META_CONTEXT,
          ]
        ) {
          const data = joined([query, rest]);
          const type = await soleReply(client, option, data);
          assertEquals(type, NBD.REP_ERR_INVALID);
        }
      }
      await assertInStep(client);
    },
  },
  {
    name: "nbd-server 3.24, go-nbd: LIST with data",
    async run(target) {
      using client = await target.greeted();
      for (const data of [new Uint8Array(1), encodeOption(NBD.OPT_LIST)]) {
        const type = await soleReply(client, NBD.OPT_LIST, data);
        assertEquals(type, NBD.REP_ERR_INVALID);
      }
      await assertInStep(client);
    },
  },
];

/** Names that a server might take for something else than a name. */
const STRANGE_NAMES = [
  ...["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"],
  ...["0", "-1", "length", "null", "undefined", "Disk", "disk ", "d", "dis"],
  ...[".", "..", "../target", "/etc/passwd", "/dev/sda", "a", "socket", "*"],
  ...["disk/", "disk,locked", "%s%s%s%n", "\ufeffdisk", "\u202edisk", "🦊"],
];

const order: Attack[] = [
  {
    name: "CVE-2019-14851: options in every order",
    async run(target) {
      const info = encodeInfoData("disk", [0, 1, 2, 3]);
      const query = encodeContextQuery("disk", ["base:allocation"]);
      const options: [number, Uint8Array?][] = [
        [NBD.OPT_LIST],
        [NBD.OPT_INFO, info],
        [NBD.OPT_STRUCTURED_REPLY],
        [NBD.OPT_LIST_META_CONTEXT, query],
        [NBD.OPT_SET_META_CONTEXT, query],
        [NBD.OPT_EXTENDED_HEADERS],
        [4711, info],
      ];
      for (const [first, firstData] of options) {
        for (const [second, secondData] of options) {
          using client = await target.greeted();
          await client.option(first, firstData);
          await client.option(second, secondData);
          const last = await client.option(NBD.OPT_GO, info);
          assertEquals(last.at(-1)?.type, NBD.REP_ACK);
        }
      }
    },
  },
  {
    name: "a server in TypeScript: names of members, of files, of others",
    async run(target) {
      using client = await haggling(target);
      for (const name of STRANGE_NAMES) {
        for (const option of NAMING) {
          const data = option === NBD.OPT_INFO || option === NBD.OPT_GO
            ? encodeInfoData(name)
            : encodeContextQuery(name, ["base:allocation"]);
          const type = await soleReply(client, option, data);
          assertEquals(type, NBD.REP_ERR_UNKNOWN, name);
        }
        const contexts = [name, `${name}:${name}`, `base:${name}`];
        assertEquals((await client.contexts("disk", contexts)).size, 0, name);
        using other = await target.greeted();
        await other.sendRaw(encodeOption(NBD.OPT_EXPORT_NAME, bytesOf(name)));
        assertEquals(await other.receiveEnd(), 0);
      }
      await assertInStep(client);
    },
  },
  {
    name: "nbdkit: options without an end",
    async run(target) {
      using client = await target.greeted();
      const many = Array.from(
        { length: 2000 },
        () => encodeOption(NBD.OPT_STRUCTURED_REPLY),
      );
      const sending = client.sendRaw(joined(many)).catch(() => {});
      const received = await client.receiveEnd();
      await sending;
      assert(received < 2000 * 20, "there is no end to options");
    },
  },
];

const floods: Attack[] = [
  {
    name: "CVE-2019-14850: work at the disk before the handshake is done",
    async run(target) {
      const before = { ...target.pool.status().counters };
      for (let i = 0; i < 20; i++) {
        using client = await haggling(target);
        await client.contexts("disk", ["base:allocation"]);
        await client.info("disk", [0, 1, 2, 3]);
        await client.list();
      }
      assertEquals({ ...target.pool.status().counters }, before);
    },
  },
  {
    name: "CVE-2024-7409: a flood of half-open connections",
    target: { limits: { handshakes: FLOOD, handshakeMs: SHORT_HANDSHAKE_MS } },
    async run(target) {
      const clients = await Promise.all(
        Array.from({ length: 2 * FLOOD }, () => target.connect()),
      );
      await target.assertGood();
      // A client that proceeds is not shut out.
      using newcomer = await target.open("simple");
      await newcomer.disconnect();
      for (const client of clients) await client.receiveEnd();
      for (const client of clients) client.close();
      await until(() => target.server.clients.length === target.goodCount);
      const refused = target.events.filter(({ kind }) => kind === "refused");
      assertEquals(refused.length, 2 * FLOOD);
    },
  },
  {
    name: "CVE-2024-7409: a handshake that goes on byte by byte for ever",
    target: { limits: { handshakeMs: SHORT_HANDSHAKE_MS } },
    async run(target) {
      using client = await target.connect();
      await client.sendRaw(new Uint8Array([0, 0, 0, 3]));
      const option = encodeOption(NBD.OPT_LIST);
      let ended = false;
      const end = client.receiveEnd().then(() => ended = true);
      for (let i = 0; !ended; i = (i + 1) % option.length) {
        await client.sendRaw(option.subarray(i, i + 1)).catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await end;
    },
  },
  {
    name: "options whose answers are not read",
    target: { limits: { handshakeMs: SHORT_HANDSHAKE_MS } },
    async run(target) {
      const many = Array.from(
        { length: 900 },
        () => encodeOption(NBD.OPT_INFO, encodeInfoData("disk", [1, 2, 3])),
      );
      const clients = await Promise.all(
        Array.from({ length: 10 }, () => target.greeted()),
      );
      for (const client of clients) {
        void client.sendRaw(joined([...many, ...many])).catch(() => {});
      }
      await target.assertGood();
      await until(() => target.server.clients.length === target.goodCount);
      for (const client of clients) client.close();
    },
  },
];

testAttacks([...leaving, ...lengths, ...order, ...floods]);

Deno.test("attack: CVE-2024-7409: stopping while half-open sockets linger", async () => {
  const limits = { handshakeMs: 2 * PATIENCE_MS };
  await using target = await Target.start({ limits });
  const clients = await Promise.all(
    Array.from({ length: FLOOD }, () => target.connect()),
  );
  await until(() => target.server.clients.length === FLOOD + target.goodCount);
  // Far less than a handshake, or the end, may take.
  const started = performance.now();
  await target.server.close({ graceMs: 2 * PATIENCE_MS });
  assert(
    performance.now() - started < PATIENCE_MS,
    "half-open sockets hold up an end",
  );
  for (const client of clients) client.close();
});
