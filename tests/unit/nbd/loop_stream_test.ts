/**
 * Goal: a connection that is used by its descriptor loses nothing, doubles
 * nothing, notices the end, and never uses a number that is another's. Method:
 * real sockets that are tracked, and the runtime's own calls at the other end.
 *
 * @module
 */

import { assert, assertEquals, fail } from "@std/assert";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import { NativeBuffer } from "../../../device/linux/mod.ts";
import {
  descriptorOf,
  nativeSockets,
} from "../../../nbd/server/stream/descriptors.ts";
import { type NbdEvent, NbdServer } from "../../../nbd/mod.ts";
import { trackDescriptors } from "../../../nbd/server/stream/mod.ts";
import { LoopStream } from "../../../nbd/server/stream/loop_stream.ts";
import {
  encodeOption,
  encodeRequest,
  NBD,
  NbdClient,
} from "../../helpers/nbd_client.ts";
import { exportOf, until } from "./serving.ts";
import { isSame, listen } from "./tracked_serving.ts";

const MIB = 1024 * 1024;

// The C library stays open for ever: not from within a test.
const sockets = nativeSockets();
/** What is received goes here. */
const memory = new NativeBuffer(100);
const libc = sockets === null ? null : Deno.dlopen("libc.so.6", {
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
}).symbols;
const ignore = sockets === null || libc === null;

/** So often it is tried to get a number that was just given back. */
const TRIES = 200;

/** A connection of a listener that is tracked, as a stream, and its client. */
interface Pair extends Disposable {
  stream: LoopStream;
  descriptor: number;
  client: Deno.Conn;
}

async function connectPair(
  listener: Deno.Listener,
): Promise<Pair> {
  assert(sockets !== null);
  const { addr } = listener;
  const client = addr.transport === "tcp"
    ? await Deno.connect({ hostname: addr.hostname, port: addr.port })
    : await Deno.connect(addr as Deno.UnixConnectOptions);
  const connection = await listener.accept();
  const descriptor = descriptorOf(connection);
  assert(descriptor !== undefined);
  const stream = new LoopStream(connection);
  return {
    stream,
    descriptor,
    client,
    [Symbol.dispose]() {
      for (const one of [stream, client]) {
        try {
          one.close();
        } catch (error) {
          if (!(error instanceof Deno.errors.BadResource)) throw error;
        }
      }
    },
  };
}

/** The two ends of a connection, one of which has a number that is free. */
function takeNumber(wanted: number): { own: number; other: number } | null {
  const ends = new Int32Array(2);
  assertEquals(libc?.socketpair(1, 1, 0, ends), 0);
  const [one = -1, two = -1] = ends;
  if (one === wanted) return { own: one, other: two };
  if (two === wanted) return { own: two, other: one };
  // Another thread was faster.
  giveBack({ own: one, other: two });
  return null;
}

function giveBack({ own, other }: { own: number; other: number }): void {
  libc?.close(own);
  libc?.close(other);
}

/** What has come at an end that nothing else reads from; -1 if nothing. */
function cameAt(descriptor: number): number | undefined {
  const { address } = memory;
  return sockets?.receiveNow(descriptor, address, memory.bytes.length);
}

for (const tcp of [false, true]) {
  const kind = tcp ? "TCP" : "a Unix socket";

  Deno.test({
    name: `what came is there before the end is, over ${kind}`,
    ignore,
    async fn() {
      await using place = await listen(tcp);
      const listener = trackDescriptors(place.listener);
      using pair = await connectPair(listener);
      const { stream, client } = pair;
      const target = new Uint8Array(100);
      await client.write(new Uint8Array([1, 2, 3]));
      await (client as Deno.TcpConn).closeWrite();
      assertEquals(await stream.read(target), 3);
      assertEquals(target.slice(0, 4), new Uint8Array([1, 2, 3, 0]));
      assertEquals(await stream.read(target), null);
      // It can still be answered.
      assertEquals(stream.writeNow(new Uint8Array([9, 8, 7]), 1, 3), 2);
      assertEquals(await client.read(target), 2);
      assertEquals(target.slice(0, 2), new Uint8Array([8, 7]));
      listener.close();
    },
  });

  Deno.test({
    name: `a reset is the end, whichever call hears of it, over ${kind}`,
    ignore,
    async fn() {
      await using place = await listen(tcp);
      const listener = trackDescriptors(place.listener);
      const target = new Uint8Array(100);
      for (const first of ["writeNow", "read"] as const) {
        using pair = await connectPair(listener);
        const { stream, client } = pair;
        assertEquals(stream.writeNow(new Uint8Array(10), 0, 10), 10);
        await client.read(new Uint8Array(1));
        // With bytes that it has not read.
        client.close();
        if (first === "read") await isEnd(stream, target);
        else stream.writeNow(target, 0, 100);
        assert(await isEnd(stream, target), "it must not wait for ever");
        assertEquals(stream.writeNow(target, 0, 100), 0);
      }
      listener.close();
    },
  });

  Deno.test({
    name: `a closed stream leaves its number alone over ${kind}`,
    ignore,
    async fn() {
      await using place = await listen(tcp);
      const listener = trackDescriptors(place.listener);
      for (let tries = 0;; tries++) {
        assert(tries < TRIES, "the number is never free");
        using pair = await connectPair(listener);
        const { stream, descriptor } = pair;
        stream.close();
        const taken = takeNumber(descriptor);
        if (taken === null) continue;
        try {
          const bytes = new Uint8Array(10).fill(1);
          assertEquals(stream.writeNow(bytes, 0, 10), 0);
          assertEquals(cameAt(taken.other), -1, "another's peer reads it");
          sockets?.sendNow(taken.other, bytes, 0, 10);
          assertEquals(stream.readSoon(bytes, 0, 1), 0, "another's bytes");
        } finally {
          giveBack(taken);
        }
        break;
      }
      listener.close();
    },
  });
}

/** Whether a stream ends, and is not waited for. */
async function isEnd(
  stream: LoopStream,
  target: Uint8Array,
): Promise<boolean> {
  try {
    return await stream.read(target) === null;
  } catch (error) {
    assert(error instanceof Deno.errors.ConnectionReset, String(error));
    return true;
  }
}

Deno.test({
  name: "busy-polling hears of bytes, of the end and of a reset at once",
  ignore,
  async fn() {
    assert(sockets !== null);
    await using place = await listen(true);
    const listener = trackDescriptors(place.listener);
    const far = 100_000;
    const start = performance.now();
    for (const act of ["send", "end", "reset"]) {
      using pair = await connectPair(listener);
      const { stream, descriptor, client } = pair;
      if (act === "reset") {
        stream.writeNow(memory.bytes, 0, 10);
        await client.read(new Uint8Array(1));
      }
      if (act === "send") await client.write(new Uint8Array(4));
      else client.close();
      const count = sockets.receiveSoon(descriptor, memory.address, 10, far);
      assertEquals(count, act === "send" ? 4 : 0);
    }
    assert(performance.now() - start < far, "it has waited to the last");
    listener.close();
  },
});

Deno.test({
  name: "only the part of the memory that is meant is sent and received",
  ignore,
  async fn() {
    await using place = await listen(false);
    const listener = trackDescriptors(place.listener);
    using pair = await connectPair(listener);
    const { stream, descriptor, client } = pair;
    const source = new Uint8Array(300).map((_, i) => i & 255).subarray(100);
    assertEquals(stream.writeNow(source, 50, 60), 10);
    const target = new Uint8Array(200);
    assertEquals(await client.read(target), 10);
    assertEquals(target.slice(0, 10), source.slice(50, 60));
    await client.write(new Uint8Array(150).fill(3));
    const { bytes, address } = memory;
    bytes.fill(255);
    const soon = sockets?.receiveSoon(descriptor, address + 20, 60, 1);
    assertEquals(soon, 60);
    assertEquals(bytes.indexOf(3), 20);
    assertEquals(bytes.lastIndexOf(3), 79);
    bytes.fill(255);
    assertEquals(stream.readSoon(bytes.subarray(0, 60), 20, 1), 40);
    assertEquals(bytes.indexOf(3), 20);
    assertEquals(bytes.lastIndexOf(3), 59);
    assertEquals(stream.readSoon(bytes, 0, 1), 50);
    assertEquals(stream.readSoon(bytes, 0, 1), 0);
    client.close();
    assertEquals(stream.readSoon(bytes, 0, 1), 0, "the end");
    listener.close();
  },
});

Deno.test({
  name: "parts of two buffers leave in their order, as many as are taken",
  ignore,
  async fn() {
    await using place = await listen(false);
    const listener = trackDescriptors(place.listener);
    using pair = await connectPair(listener);
    const { stream, client } = pair;
    const length = 64 * 1024;
    const buffers = [new Uint8Array(length), new Uint8Array(length)] as const;
    for (const bytes of buffers) crypto.getRandomValues(bytes);
    // In turns, so that many more parts are given than one call takes.
    const parts = Array.from({ length: 200 }, (_, i) => {
      const start = i * 300;
      return { bytes: buffers[i % 2 ? 1 : 0], start, end: start + 100 + i };
    });
    const wanted = parts.flatMap(({ bytes, start, end }) => [
      ...bytes.subarray(start, end),
    ]);
    let [sent, first] = [0, 0];
    while (first < parts.length) {
      let count = stream.writePartsNow(parts.slice(first));
      assert(count > 0, "there is room for everything");
      sent += count;
      for (; count > 0; first++) {
        const { start = 0, end = 0 } = parts[first] ?? {};
        count -= end - start;
      }
      assertEquals(count, 0, "parts are taken whole while there is room");
    }
    assertEquals(sent, wanted.length);
    const target = new Uint8Array(sent);
    for (let at = 0; at < sent;) {
      at += await client.read(target.subarray(at)) ?? fail("the end");
    }
    assert(isSame(target, new Uint8Array(wanted)));
    stream.close();
    assertEquals(stream.writePartsNow(parts), 0, "another's number");
    listener.close();
  },
});

Deno.test({
  name: "it learns how many bytes a connection has taken, up to none",
  ignore,
  async fn() {
    await using place = await listen(false);
    const listener = trackDescriptors(place.listener);
    using pair = await connectPair(listener);
    const { stream, client } = pair;
    const source = new Uint8Array(8 * MIB);
    const words = new Uint32Array(source.buffer);
    for (let i = 0; i < words.length; i++) words[i] = i;
    let sent = 0;
    for (;;) {
      const count = stream.writeNow(source, sent, source.length);
      if (count === 0) break;
      sent += count;
    }
    assert(sent > 0 && sent < source.length, `${sent} bytes were taken`);
    // What waits goes on where it stopped.
    const rest = (async () => {
      for (let at = sent; at < source.length;) {
        at += await stream.write(source.subarray(at));
      }
    })();
    const target = new Uint8Array(source.length);
    for (let at = 0; at < target.length;) {
      at += await client.read(target.subarray(at)) ?? fail("the end");
    }
    await rest;
    assert(isSame(target, source));
    listener.close();
  },
});

Deno.test({
  name: "a handshake that is closed as it ends uses its number no more",
  ignore,
  async fn() {
    for (let tries = 0;; tries++) {
      assert(tries < TRIES, "the number is never free");
      if (await cutOffAtTheEnd()) break;
    }
  },
});

/**
 * One client's handshake is over, but the server has not gone on, when another
 * one comes for which it makes room. The first one has sent a READ already.
 *
 * @returns Whether its number was free to be another's.
 */
async function cutOffAtTheEnd(): Promise<boolean> {
  await using place = await listen(false);
  const { path } = place.address as { path: string };
  const inner = place.listener;
  const next = Promise.withResolvers<void>();
  let first: Deno.Conn | undefined;
  let taken: ReturnType<typeof takeNumber> = null;
  let accepts = 0;
  const accept = async () => {
    switch (++accepts) {
      case 1: {
        const connection = await inner.accept();
        const { write } = connection;
        let writes = 0;
        connection.write = async (source) => {
          const count = await write.call(connection, source);
          // The greeting, and the answer to EXPORT_NAME.
          if (++writes === 2) next.resolve();
          return count;
        };
        return first = connection;
      }
      case 2: {
        const connection = await inner.accept();
        await next.promise;
        return connection;
      }
      default:
        // Now the server has made room for the second one.
        taken = takeNumber(descriptorOf(first as Deno.Conn) ?? -1);
        return await inner.accept();
    }
  };
  const close = () => inner.close();
  const listener = { addr: inner.addr, accept, close } as Deno.Listener;
  const log: NbdEvent[] = [];
  const server = new NbdServer({
    exports: [exportOf(new MemoryDevice(MIB))],
    log: (event) => log.push(event),
    limits: { handshakes: 1 },
  });
  server.serve(trackDescriptors(listener));
  using one = await NbdClient.connect({ path });
  await one.greet();
  using _two = await NbdClient.connect({ path });
  const name = encodeOption(
    NBD.OPT_EXPORT_NAME,
    new TextEncoder().encode("disk"),
  );
  const read = encodeRequest({
    command: NBD.CMD_READ,
    offset: 0,
    length: 512,
    cookie: 1n,
  });
  await one.sendRaw(await new Blob([name.slice(), read.slice()]).bytes());
  await one.receiveEnd();
  await until("it is closed", () => server.clients.length === 1);
  const mine = taken as ReturnType<typeof takeNumber>;
  const came = mine === null ? -1 : cameAt(mine.other);
  if (mine !== null) giveBack(mine);
  await server.close({ graceMs: 0 });
  assertEquals(came, -1, "the reply went to another client");
  assert(log.some(({ kind }) => kind === "refused"));
  return mine !== null;
}
