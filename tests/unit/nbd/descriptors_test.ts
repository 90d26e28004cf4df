/**
 * Goal: a connection's descriptor is given only if it is its own. Method: real
 * sockets; the kernel's `recv` shows which client is at the other end of a
 * descriptor, with the bytes that a client has sent.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { NativeBuffer } from "../../../device/linux/mod.ts";
import {
  descriptorOf,
  nativeSockets,
  trackDescriptors,
} from "../../../nbd/server/stream/descriptors.ts";
import { makeScratch } from "../../helpers/scratch.ts";
import { PATIENCE_MS } from "../../helpers/patience.ts";

// The C library stays open for ever: not from within a test.
const sockets = nativeSockets();
const ignore = sockets === null;

/** A listener, and the client that connects to it. */
interface Place extends AsyncDisposable {
  listener: Deno.Listener;
  connect(): Promise<Deno.Conn>;
}

const PLACES: Record<string, () => Promise<Place>> = {
  Unix: async () => {
    const scratch = await makeScratch();
    const path = scratch.file("socket");
    return {
      listener: Deno.listen({ transport: "unix", path }),
      connect: () => Deno.connect({ transport: "unix", path }),
      [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
    };
  },
  IPv4: () => Promise.resolve(overTcp("127.0.0.1")),
  ...hasIpv6() ? { IPv6: () => Promise.resolve(overTcp("::1")) } : {},
};

function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

function overTcp(hostname: string): Place {
  const listener = Deno.listen({ hostname, port: 0 });
  const { port } = listener.addr;
  return {
    listener,
    connect: () => Deno.connect({ hostname, port }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Whether the bytes that come out of a descriptor are those of a client. */
async function assertIsOf(
  connection: Deno.Conn,
  client: Deno.Conn,
): Promise<void> {
  const descriptor = descriptorOf(connection);
  assert(descriptor !== undefined && sockets !== null);
  const word = crypto.getRandomValues(new Uint8Array(8));
  await client.write(word);
  const buffer = new NativeBuffer(16);
  // The connection does not wait: what was sent is there soon.
  const deadline = performance.now() + PATIENCE_MS;
  while (sockets.receive(descriptor, buffer.address, 16) === 0) {
    assert(performance.now() < deadline, "nothing comes");
    await new Promise((done) => setTimeout(done, 1));
  }
  assertEquals(buffer.bytes.subarray(0, 8), word);
}

function closeAll(connections: readonly Deno.Conn[]): void {
  for (const one of connections) one.close();
}

/** A listener that has accepted before it is asked, as others might. */
function acceptAhead(listener: Deno.Listener): Deno.Listener {
  let next: Promise<Deno.Conn> | undefined;
  return {
    addr: listener.addr,
    async accept() {
      const first = await (next ?? listener.accept());
      next = listener.accept();
      await next;
      return first;
    },
    close() {
      void next?.then((last) => last.close());
      listener.close();
    },
  } as Deno.Listener;
}

for (const [kind, open] of Object.entries(PLACES)) {
  Deno.test({
    name: `a connection's descriptor is its own (${kind})`,
    ignore,
    async fn() {
      await using place = await open();
      const listener = trackDescriptors(place.listener);
      const clients: Deno.Conn[] = [];
      const connections: Deno.Conn[] = [];
      const seen = new Set<number | undefined>();
      for (let i = 0; i < 8; i++) {
        clients.push(await place.connect());
        connections.push(await listener.accept());
        seen.add(descriptorOf(connections[i] as Deno.Conn));
      }
      assertEquals(seen.size, 8);
      for (const [i, one] of connections.entries()) {
        await assertIsOf(one, clients[i] as Deno.Conn);
      }
      // Numbers are used again, and are the right ones all the same.
      closeAll(clients.splice(2, 3));
      closeAll(connections.splice(2, 3));
      for (let i = 5; i < 8; i++) {
        clients.push(await place.connect());
        connections.push(await listener.accept());
      }
      for (const [i, one] of connections.entries()) {
        await assertIsOf(one, clients[i] as Deno.Conn);
      }
      closeAll([...clients, ...connections]);
      listener.close();
    },
  });

  Deno.test({
    name: `clients that wait to be accepted are distinguished (${kind})`,
    ignore,
    async fn() {
      await using place = await open();
      const listener = trackDescriptors(place.listener);
      const clients: Deno.Conn[] = [];
      for (let i = 0; i < 4; i++) clients.push(await place.connect());
      const connections: Deno.Conn[] = [];
      for (let i = 0; i < 4; i++) connections.push(await listener.accept());
      for (const [i, one] of connections.entries()) {
        await assertIsOf(one, clients[i] as Deno.Conn);
      }
      closeAll([...clients, ...connections]);
      listener.close();
    },
  });

  Deno.test({
    name:
      `no wrong descriptor is given if another caller accepts ahead (${kind})`,
    ignore,
    async fn() {
      await using place = await open();
      const listener = trackDescriptors(acceptAhead(place.listener));
      const clients: Deno.Conn[] = [];
      for (let i = 0; i < 5; i++) clients.push(await place.connect());
      const connections: Deno.Conn[] = [];
      for (let i = 0; i < 4; i++) connections.push(await listener.accept());
      for (const [i, one] of connections.entries()) {
        // The other end has a port, so over TCP it stays sure.
        if (kind === "Unix") assertEquals(descriptorOf(one), undefined);
        else await assertIsOf(one, clients[i] as Deno.Conn);
      }
      closeAll([...clients, ...connections]);
      listener.close();
    },
  });
}

Deno.test({
  name: "a client that is gone already does not end it for others",
  ignore,
  async fn() {
    const { listener: inner, connect } = overTcp("127.0.0.1");
    let isFirst = true;
    let client = await connect();
    const listener = trackDescriptors(
      {
        addr: inner.addr,
        async accept() {
          const connection = await inner.accept();
          if (!isFirst) return connection;
          isFirst = false;
          // Bytes that a client has not read when it closes make a reset.
          await connection.write(new Uint8Array(10));
          client.close();
          const rest = new Uint8Array(1);
          await connection.read(rest).catch(() => {});
          return connection;
        },
        close: () => inner.close(),
      } as Deno.Listener,
    );
    const gone = await listener.accept();
    assertEquals(descriptorOf(gone), undefined);
    client = await connect();
    const connection = await listener.accept();
    await assertIsOf(connection, client);
    closeAll([gone, client, connection]);
    listener.close();
  },
});
