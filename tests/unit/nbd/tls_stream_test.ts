/**
 * Goal: an encrypted connection is as bounded, as complete and as hard to break
 * as another one. Method: real sockets, clients that stop reading, shut their
 * way out, forge records, or look for the goodbye.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { encodeOption, NBD, type NbdClient } from "../../helpers/nbd_client.ts";
import {
  encryptTcp,
  oldHello,
  replyTo,
  tls,
  TlsClient,
} from "../../helpers/tls_client.ts";
import { pattern, serve, until } from "./serving.ts";

const MIB = 1024 * 1024;

Deno.test("an encrypted client that does not read costs a few buffers", async () => {
  await using serving = await serve({ tls: tls(), tcp: true });
  using client = await encryptTcp(await serving.greeted());
  await client.go("disk");
  const request = { command: NBD.CMD_READ, length: MIB };
  await client.sendAll(Array.from({ length: 200 }, () => request));
  await until("it reads", () => serving.server.counters.reads > 0);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const { reads } = serving.server.counters;
  // The sockets hold some, two reply buffers the others.
  assert(reads < 40, `${reads} of 200 were executed`);
  using other = await TlsClient.encrypted(serving.address);
  await other.go("disk");
  assertEquals((await other.read(0, MIB)).length, MIB);
  assertEquals((await client.receiveAll(200)).size, 200);
});

Deno.test("what an encrypted client sends is not read ahead of its use", async () => {
  await using serving = await serve({ tls: tls(), tcp: true });
  using client = await encryptTcp(await serving.greeted());
  await client.go("disk");
  // It reads no replies, so that its requests are not taken any more.
  const request = { command: NBD.CMD_READ, length: MIB };
  await client.sendAll(Array.from({ length: 100 }, () => request));
  let sent = 0;
  const write = { command: NBD.CMD_WRITE, payload: new Uint8Array(MIB) };
  const sending = (async () => {
    for (; sent < 100; sent++) await client.send(write);
  })();
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert(sent < 40, `${sent} MiB were taken`);
  assertEquals((await client.receiveAll(150)).size, 150);
  await sending;
  assertEquals((await client.receiveAll(50)).size, 50);
});

Deno.test("an encrypted client that shuts its way out gets its replies", async () => {
  await using serving = await serve({ tls: tls() });
  using client = await TlsClient.encrypted(serving.address);
  await client.go("disk");
  const request = { command: NBD.CMD_READ, length: MIB };
  await client.sendAll(Array.from({ length: 20 }, () => request));
  await (client.conn as Deno.TcpConn).closeWrite();
  assertEquals((await client.receiveAll(20)).size, 20);
  assertEquals(await client.receiveEnd(), 0);
});

/** What a record in the clear may hold. */
const FORGED: Readonly<Record<string, Uint8Array>> = {
  "data": new Uint8Array([0x17, 3, 3, 0, 40, ...pattern(40)]),
  "an alert": new Uint8Array([0x15, 3, 3, 0, 2, 2, 40]),
  "an empty alert": new Uint8Array([0x15, 3, 3, 0, 0]),
  "a new handshake": oldHello(3),
  "a long record": new Uint8Array([0x17, 3, 3, 0xff, 0xff, ...pattern(70_000)]),
  "an option": encodeOption(NBD.OPT_LIST),
};

for (const [what, bytes] of Object.entries(FORGED)) {
  Deno.test(`${what} in the clear ends the connection`, async () => {
    await using serving = await serve({ tls: tls() });
    for (const isServed of [false, true]) {
      const outside = await TlsClient.greeted(serving.address);
      assertEquals(await replyTo(outside.plain, NBD.OPT_STARTTLS), NBD.REP_ACK);
      using inside = await outside.encrypt();
      if (isServed) await inside.go("disk");
      else assertEquals(await inside.list(), ["disk"]);
      await outside.plain.conn.write(bytes).catch(() => {});
      await until("it is gone", () => serving.server.clients.length === 0);
    }
    assertEquals(serving.events.map(({ kind }) => kind), [
      "refused",
      "connected",
      "disconnected",
    ]);
    using good = await TlsClient.encrypted(serving.address);
    assertEquals(await good.list(), ["disk"]);
  });
}

Deno.test("close() ends encrypted clients, also in the handshake", async () => {
  const serving = await serve({ tls: tls(), tcp: true });
  using idle = await TlsClient.encrypted(serving.address);
  await idle.go("disk");
  using deaf = await TlsClient.encrypted(serving.address);
  await deaf.go("disk");
  const request = { command: NBD.CMD_READ, length: MIB };
  await deaf.sendAll(Array.from({ length: 100 }, () => request));
  using early = await serving.greeted();
  assertEquals(await replyTo(early, NBD.OPT_STARTTLS), NBD.REP_ACK);
  await until("it reads", () => serving.server.counters.reads > 0);
  await serving.server.close({ graceMs: 100 });
  assertEquals(serving.server.clients, []);
  assertEquals(await idle.receiveEnd(), 0);
  assertEquals(await early.receiveEnd(), 0);
  await serving[Symbol.asyncDispose]();
});

/** What ends the connection of a client that does this. */
const ENDS: Readonly<Record<string, (client: NbdClient) => Promise<void>>> = {
  async ABORT(client) {
    assertEquals(await replyTo(client, NBD.OPT_ABORT), NBD.REP_ACK);
  },
  async DISC(client) {
    await client.go("disk");
    await client.send({ command: NBD.CMD_DISC });
  },
  async "an option of nonsense"(client) {
    await client.sendRaw(new Uint8Array(16));
  },
};

for (const [what, end] of Object.entries(ENDS)) {
  Deno.test(`the server says goodbye inside TLS after ${what}`, async () => {
    await using serving = await serve({ tls: tls(), tcp: true });
    using client = await encryptTcp(await serving.greeted());
    await end(client);
    // This client takes an end without a goodbye for an error.
    assertEquals(await client.conn.read(new Uint8Array(1)), null);
  });
}
