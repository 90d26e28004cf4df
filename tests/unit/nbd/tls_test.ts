/**
 * Goal: STARTTLS does what the protocol says, and nothing that was sent or
 * agreed on in the clear counts after it. Method: real sockets, raw options,
 * the runtime's own TLS client; and clients that attack, lie and stall.
 *
 * @module
 */

import {
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { encodeOption, NBD } from "../../helpers/nbd_client.ts";
import {
  goodIdentity,
  oldHello,
  pem,
  replyTo,
  tls,
  TlsClient,
  type TlsClientOptions,
} from "../../helpers/tls_client.ts";
import { pattern, serve, until } from "./serving.ts";

const MIB = 1024 * 1024;

const STARTTLS = encodeOption(NBD.OPT_STARTTLS);

for (const tcp of [true, false]) {
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    const where = tcp ? "TCP" : "a Unix socket";
    Deno.test(`requests go through ${maxVersion} over ${where}`, async () => {
      await using serving = await serve({ tcp, tls: tls() });
      using client = await TlsClient.encrypted(serving.address, { maxVersion });
      assertEquals(await client.list(), ["disk"]);
      await client.speak("structured");
      await client.go("disk");
      const data = pattern(MIB - 13, 5);
      await client.write(7, data);
      for (let i = 0; i < 3; i++) {
        const cookies = await client.sendAll(
          Array.from({ length: 8 }, () => (
            { command: NBD.CMD_READ, offset: 7, length: data.length }
          )),
        );
        const replies = await client.receiveAll(cookies.length);
        for (const { payload } of replies.values()) assertEquals(payload, data);
      }
      await client.disconnect();
      await until("it is gone", () => serving.server.clients.length === 0);
      assertEquals(serving.events.map(({ message }) => message), [
        'Uses export "disk" over TLS, structured replies',
        "the client said goodbye",
      ]);
    });
  }
}

Deno.test("STARTTLS is refused where TLS is not configured", async () => {
  await using serving = await serve();
  using client = await serving.greeted();
  assertEquals(await replyTo(client, NBD.OPT_STARTTLS), NBD.REP_ERR_POLICY);
  for (const length of [1, 500, 65536]) {
    const data = new Uint8Array(length);
    const reply = await replyTo(client, NBD.OPT_STARTTLS, data);
    assertEquals(reply, NBD.REP_ERR_INVALID);
  }
  assertEquals((await client.go("disk")).size, 1024n * 1024n);
});

Deno.test("where TLS is required nothing else is answered before it", async () => {
  await using serving = await serve({ tls: tls() });
  using client = await serving.greeted();
  for (let option = 0; option < 20; option++) {
    const allowed: number[] = [
      NBD.OPT_EXPORT_NAME,
      NBD.OPT_ABORT,
      NBD.OPT_STARTTLS,
    ];
    if (allowed.includes(option)) continue;
    for (const length of [0, 10, 20_000]) {
      const data = new Uint8Array(length);
      const reply = await replyTo(client, option, data);
      assertEquals(reply, NBD.REP_ERR_TLS_REQD, `option ${option}`);
    }
  }
  assertEquals(await replyTo(client, NBD.OPT_ABORT), NBD.REP_ACK);
  assertEquals(await client.receiveEnd(), 0);
  using old = await serving.greeted();
  await old.sendRaw(encodeOption(NBD.OPT_EXPORT_NAME, new Uint8Array(0)));
  assertEquals(await old.receiveEnd(), 0);
  assertEquals(serving.server.counters.reads, 0);
  assertEquals(serving.events.map(({ kind, message }) => [kind, message]), [
    ["left", "Left without choosing an export"],
    [
      "refused",
      "Cannot negotiate: the server requires TLS, and the client sent " +
      "EXPORT_NAME without it",
    ],
  ]);
});

Deno.test("where TLS is optional the client decides", async () => {
  await using serving = await serve({ tls: tls({ required: false }) });
  using plain = await serving.open("structured");
  await plain.write(0, pattern(5000));
  using encrypted = await TlsClient.encrypted(serving.address);
  await encrypted.go("disk");
  assertEquals(await encrypted.read(0, 5000), pattern(5000));
  await plain.disconnect();
  await encrypted.disconnect();
});

Deno.test("STARTTLS is taken once, and without data", async () => {
  await using serving = await serve({ tls: tls() });
  using client = await TlsClient.greeted(serving.address);
  const data = new Uint8Array(3);
  const refused = await replyTo(client.plain, NBD.OPT_STARTTLS, data);
  assertEquals(refused, NBD.REP_ERR_INVALID);
  assertEquals(await replyTo(client.plain, NBD.OPT_STARTTLS), NBD.REP_ACK);
  using inside = await client.encrypt();
  for (let i = 0; i < 3; i++) {
    const again = await replyTo(inside, NBD.OPT_STARTTLS);
    assertEquals(again, NBD.REP_ERR_INVALID);
  }
  assertEquals((await inside.go("disk")).size, 1024n * 1024n);
});

Deno.test("what was agreed on in the clear is forgotten (CVE-2021-3716)", async () => {
  await using serving = await serve({ tls: tls({ required: false }) });
  for (const dialect of ["structured", "extended"] as const) {
    using client = await TlsClient.greeted(serving.address);
    await client.plain.speak(dialect);
    await client.plain.contexts("disk", ["base:allocation"]);
    assertEquals(await replyTo(client.plain, NBD.OPT_STARTTLS), NBD.REP_ACK);
    using inside = await client.encrypt();
    await assertRejects(
      () => inside.contexts("disk", ["base:allocation"]),
      Error,
      `${NBD.REP_ERR_INVALID}`,
    );
    const { flags } = await inside.go("disk");
    assertEquals(flags & NBD.FLAG_SEND_DF, 0);
    assertEquals(flags & NBD.FLAG_BLOCK_STAT_PAYLOAD, 0);
    // The client takes nothing but simple replies now.
    assertEquals((await inside.read(0, 100)).length, 100);
    const command = NBD.CMD_BLOCK_STATUS;
    const { errno } = await inside.call({ command, length: 512 });
    assertEquals(errno, NBD.EINVAL);
    await inside.disconnect();
  }
});

Deno.test("contexts that are chosen inside count, others do not", async () => {
  await using serving = await serve({ tls: tls({ required: false }) });
  using client = await TlsClient.greeted(serving.address);
  await client.plain.speak("structured");
  await client.plain.contexts("disk", ["base:allocation"]);
  assertEquals(await replyTo(client.plain, NBD.OPT_STARTTLS), NBD.REP_ACK);
  using inside = await client.encrypt();
  await inside.speak("structured");
  await inside.go("disk");
  const request = { command: NBD.CMD_BLOCK_STATUS, length: 512 };
  assertEquals((await inside.call(request)).errno, NBD.EINVAL);
});

Deno.test("STARTTLS does not begin a new count of options", async () => {
  await using serving = await serve({ tls: tls(), limits: { options: 4 } });
  using inside = await TlsClient.encrypted(serving.address);
  for (let i = 0; i < 3; i++) assertEquals(await inside.list(), ["disk"]);
  assertEquals(await inside.receiveEnd(), 0);
  assertEquals(serving.events.map(({ message }) => message), [
    "Cannot negotiate: more than 4 options were sent",
  ]);
});

Deno.test("what is injected behind STARTTLS ends the connection", async () => {
  await using serving = await serve({ tls: tls({ required: false }) });
  const more: Uint8Array[] = [
    encodeOption(NBD.OPT_STRUCTURED_REPLY),
    encodeOption(NBD.OPT_ABORT),
    STARTTLS,
    new Uint8Array([0x16]),
    new Uint8Array([0x16, 3, 1, 1, 0]),
    pattern(10_000),
  ];
  for (const bytes of more) {
    using client = await serving.greeted();
    await client.sendRaw(new Uint8Array([...STARTTLS, ...bytes]));
    // Not even the STARTTLS is answered.
    assertEquals(await client.receiveEnd(), 0);
  }
  assertEquals(serving.events.length, more.length);
  for (const { message } of serving.events) {
    assertMatch(
      message,
      /^Cannot negotiate: \d+ bytes? came behind STARTTLS, the client must wait/,
    );
  }
});

Deno.test("what is injected in time to pass for TLS is refused by it", async () => {
  await using serving = await serve({ tls: tls({ required: false }) });
  using client = await serving.greeted();
  await client.sendRaw(STARTTLS);
  assertEquals((await client.receiveOptionReply()).type, NBD.REP_ACK);
  await client.sendRaw(encodeOption(NBD.OPT_LIST));
  await client.receiveEnd();
  await until("it was logged", () => serving.events.length > 0);
  assertMatch(serving.events[0]?.message ?? "", /^Cannot negotiate TLS: /);
});

for (
  const [what, bytes] of [
    ["TLS 1.1", oldHello(2)],
    ["SSL 3.0", oldHello(0)],
    ["zeroes", new Uint8Array(100_000)],
    ["random bytes", crypto.getRandomValues(new Uint8Array(60_000))],
    ["a record of random bytes", crypto.getRandomValues(new Uint8Array(5000))],
    ["an empty handshake", new Uint8Array([0x16, 3, 1, 0, 0, 0x16, 3, 3])],
    ["data before the handshake", new Uint8Array([0x17, 3, 3, 0, 1, 65])],
  ] as const
) {
  Deno.test(`${what} instead of a good ClientHello does no harm`, async () => {
    await using serving = await serve({
      tls: tls(),
      limits: { handshakeMs: 5000 },
    });
    using good = await TlsClient.encrypted(serving.address);
    await good.go("disk");
    using bad = await serving.greeted();
    assertEquals(await replyTo(bad, NBD.OPT_STARTTLS), NBD.REP_ACK);
    if (what.startsWith("a record")) bytes.set([0x16, 3, 1, 0x13, 0x83, 1]);
    await bad.sendRaw(bytes).catch(() => {});
    // It may wait for more, which does not come.
    (bad.conn as Deno.UnixConn).closeWrite().catch(() => {});
    await bad.receiveEnd();
    await until("it was logged", () => serving.events.length === 2);
    assertMatch(serving.events[1]?.message ?? "", /^Cannot negotiate TLS: /);
    await good.write(0, pattern(1000));
    assertEquals(await good.read(0, 1000), pattern(1000));
    await good.disconnect();
  });
}

for (
  const [what, bytes] of [
    ["says nothing", new Uint8Array(0)],
    ["sends half a ClientHello", oldHello(3).subarray(0, 20)],
  ] as const
) {
  Deno.test(`a client that ${what} after STARTTLS runs out of time`, async () => {
    const limits = { handshakeMs: 300 };
    await using serving = await serve({ tls: tls(), limits });
    using client = await serving.greeted();
    assertEquals(await replyTo(client, NBD.OPT_STARTTLS), NBD.REP_ACK);
    if (bytes.length > 0) await client.sendRaw(bytes);
    assertEquals(await client.receiveEnd(), 0);
    await until("it was logged", () => serving.events.length > 0);
    assertEquals(serving.events.map(({ message }) => message), [
      "The handshake took more than 300 ms",
    ]);
  });
}

Deno.test("a client that stalls inside TLS runs out of the same time", async () => {
  await using serving = await serve({
    tls: tls(),
    limits: { handshakeMs: 3000 },
  });
  using client = await TlsClient.encrypted(serving.address);
  assertEquals(await client.list(), ["disk"]);
  assertEquals(await client.receiveEnd(), 0);
  await until("it was logged", () => serving.events.length > 0);
  assertEquals(serving.events.map(({ message }) => message), [
    "The handshake took more than 3000 ms",
  ]);
});

Deno.test("a client that leaves in the middle of the handshake is gone", async () => {
  await using serving = await serve({ tls: tls() });
  const client = await serving.greeted();
  assertEquals(await replyTo(client, NBD.OPT_STARTTLS), NBD.REP_ACK);
  client.close();
  await until("it is gone", () => serving.server.clients.length === 0);
  assertMatch(serving.events[0]?.message ?? "", /^Cannot negotiate TLS: /);
});

Deno.test("handshakes that fail leave nothing behind", async () => {
  await using serving = await serve({ tls: tls() });
  const before = Deno.memoryUsage().external;
  const count = 400;
  for (let i = 0; i < count; i++) {
    using client = await serving.greeted();
    assertEquals(await replyTo(client, NBD.OPT_STARTTLS), NBD.REP_ACK);
    if (i % 2 === 0) await client.sendRaw(new Uint8Array(100));
  }
  await until("all are gone", () => serving.events.length === count);
  // Each had a receive buffer of 64 KiB.
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  await until("the memory is back", () => {
    collect();
    return Deno.memoryUsage().external < before + count * 16 * 1024;
  });
});

for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
  Deno.test(`a client has to show a certificate that is believed, ${maxVersion}`, async () => {
    await using serving = await serve({ tls: tls({ verifies: true }) });
    const refused: TlsClientOptions[] = [
      {},
      { certificate: "other/client" },
      { certificate: "good/expired" },
      // It is one for servers.
      { certificate: "good/server" },
    ];
    for (const options of refused) {
      // In TLS 1.3 a client learns of the refusal with its first answer.
      await assertRejects(async () => {
        using client = await TlsClient.encrypted(serving.address, {
          ...options,
          maxVersion,
        });
        await client.list();
      });
    }
    await until(
      "all were logged",
      () => serving.events.length === refused.length,
    );
    assertEquals(serving.events.map(({ message }) => message), [
      "Cannot negotiate TLS: peer sent no certificates",
      "Cannot negotiate TLS: UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "Cannot negotiate TLS: CERT_HAS_EXPIRED",
      "Cannot negotiate TLS: UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    ]);
    using client = await TlsClient.encrypted(serving.address, {
      certificate: "good/client",
      maxVersion,
    });
    await client.go("disk");
    assertEquals((await client.read(0, 512)).length, 512);
    await client.disconnect();
  });
}

Deno.test("the identity is asked for anew for each connection", async () => {
  const other = {
    certificate: pem("other/server-cert.pem"),
    key: pem("other/server-key.pem"),
  };
  let identity = goodIdentity();
  await using serving = await serve({ tls: tls({ identity: () => identity }) });
  using first = await TlsClient.encrypted(serving.address);
  identity = other;
  const options = { authority: "other/ca-cert.pem" };
  using second = await TlsClient.encrypted(serving.address, options);
  assertEquals(await second.list(), ["disk"]);
  assertEquals(await first.list(), ["disk"]);
});

for (
  const [what, identity] of [
    ["no certificate", { certificate: "", key: "" }],
    ["no key", { certificate: pem("good/server-cert.pem"), key: "nonsense" }],
    ["no authority", { ...goodIdentity(), clientAuthority: "nonsense" }],
  ] as const
) {
  Deno.test(`an identity that is ${what} ends that connection only`, async () => {
    const identities = [identity, goodIdentity()];
    await using serving = await serve({
      tls: tls({ identity: () => identities.shift() ?? goodIdentity() }),
    });
    await assertRejects(async () => {
      const certificate = "good/client";
      const options = { certificate };
      using client = await TlsClient.encrypted(serving.address, options);
      await client.list();
    });
    await until("it was logged", () => serving.events.length === 1);
    assertStringIncludes(serving.events[0]?.message ?? "", "Cannot negotiate");
    using client = await TlsClient.encrypted(serving.address);
    assertEquals(await client.list(), ["disk"]);
  });
}
