/**
 * One connection of the remote disk: how it waits for replies.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { ByteReader } from "../../../nbd/client/connection/byte_reader.ts";
import { Command, Link } from "../../../nbd/client/requests/mod.ts";
import type { NbdExportInfo } from "../../../nbd/client/mod.ts";

/** Bytes of the header of a request, and of a simple reply. */
const [REQUEST, REPLY] = [28, 16];

/** A server that answers everything at once, with simple replies. */
class QuickServer {
  /** How each reply was received. */
  readonly received: ("poll" | "read")[] = [];
  /** What is done instead of an answer. */
  isEnding = false;
  #replies: Uint8Array[] = [];
  #arrived = Promise.withResolvers<void>();

  writeNow(memory: Uint8Array, start: number, end: number): number {
    for (let at = start; at < end; at += REQUEST) {
      const reply = new Uint8Array(REPLY);
      new DataView(reply.buffer).setUint32(0, 0x67446698);
      reply.set(memory.subarray(at + 8, at + 16), 8);
      this.#replies.push(reply);
    }
    this.#arrived.resolve();
    return end - start;
  }

  readSoon(target: Uint8Array): number {
    return this.#receive(target, "poll");
  }

  async read(target: Uint8Array): Promise<number | null> {
    if (this.#replies.length === 0) await this.#arrived.promise;
    return this.isEnding ? null : this.#receive(target, "read");
  }

  end(): void {
    this.isEnding = true;
    this.#arrived.resolve();
  }

  write = () => Promise.reject(new Error("it takes everything at once"));
  closeWrite = () => Promise.resolve(this.end());
  close = () => {};
  abort = () => {};

  #receive(target: Uint8Array, how: "poll" | "read"): number {
    const reply = this.#replies.shift();
    if (reply === undefined) return 0;
    if (this.#replies.length === 0) this.#arrived = Promise.withResolvers();
    target.set(reply);
    this.received.push(how);
    return reply.length;
  }
}

function connect(server: QuickServer, silenceMs: number) {
  const ended = Promise.withResolvers<string>();
  const info = {
    ...{ uri: "nbd://far/", dialect: "simple", size: 2 ** 20, flags: 0 },
    minimumBlock: 1,
  } as NbdExportInfo;
  const reader = new ByteReader(server);
  const link = new Link(
    { stream: server, reader, info, contextId: undefined },
    {
      ...{ depth: 8, silenceMs, fenceMs: 1000, onReply: () => {} },
      onEnd: ({ message }) => ended.resolve(message),
    },
  );
  const flush = async (count: number) => {
    const commands = Array.from(
      { length: count },
      () => new Command({ command: 3 }),
    );
    for (const command of commands) link.send(command);
    for (const command of commands) await command.done;
  };
  return { link, flush, ended: ended.promise };
}

Deno.test("Link polls for the reply to a request that is alone, after a quick one", async () => {
  const server = new QuickServer();
  const { link, flush } = connect(server, 10_000);
  for (let i = 0; i < 20; i++) await flush(1);
  // The first reply tells; on a busy machine a later one may come late.
  assertEquals(server.received[0], "read");
  assertEquals(server.received.includes("poll"), true);
  server.received.length = 0;
  for (let i = 0; i < 20; i++) await flush(2);
  assertEquals(server.received.length, 40);
  assertEquals(server.received.includes("poll"), false);
  await link.close();
});

Deno.test("Link notices the end of a connection that nothing reads", async () => {
  const server = new QuickServer();
  const { link, flush, ended } = connect(server, 40);
  for (let i = 0; i < 20; i++) await flush(1);
  server.end();
  assertEquals(await ended, "The server closed the connection");
  await link.close();
});
