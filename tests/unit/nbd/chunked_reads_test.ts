/**
 * Goal: in both dialects with chunks, READ is answered completely and in few
 * chunks; holes are described and not sent; what is late comes late, and the
 * last chunk last. Method: real sockets; the client checks the rules of the
 * protocol with every reply; devices with holes, or that finish by hand.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import { VirstorError } from "../../../errors.ts";
import { NBD, type RawReply } from "../../helpers/nbd_client.ts";
import { HeldDevice } from "./held_device.ts";
import { pattern, serve, until } from "./serving.ts";
import { SparseDevice } from "./sparse_device.ts";
import { firstDifference, isZero } from "../../helpers/bytes.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const DIALECTS = ["structured", "extended"] as const;
const { CMD_READ, CMD_WRITE, CMD_FLUSH, CMD_FLAG_DF } = NBD;

/** `data 0+4096`, `hole 4096+4096`, `none`, `error`, `error 512`. */
function shapeOf(reply: RawReply): string[] {
  return reply.chunks.map(({ type, offset, length }) => {
    if (type === NBD.REPLY_TYPE_OFFSET_DATA) return `data ${offset}+${length}`;
    if (type === NBD.REPLY_TYPE_OFFSET_HOLE) return `hole ${offset}+${length}`;
    if (type === NBD.REPLY_TYPE_NONE) return "none";
    return type === NBD.REPLY_TYPE_ERROR ? "error" : `error ${offset}`;
  });
}

function assertSame(got: Uint8Array, wanted: Uint8Array): void {
  assertEquals(got.length, wanted.length);
  const wrong = firstDifference(wanted, got);
  assertEquals(wrong, -1, `byte ${wrong} is wrong`);
}

for (const dialect of DIALECTS) {
  const named = (name: string) => `${dialect}: ${name}`;

  Deno.test(named("an ordinary read is one chunk"), async () => {
    await using serving = await serve({ device: new MemoryDevice(4 * MIB) });
    using client = await serving.open(dialect);
    const bytes = pattern(4 * MIB);
    for (let at = 0; at < 4 * MIB; at += MIB) {
      await client.write(at, bytes.subarray(at, at + MIB));
    }
    for (const [offset, length] of [[0, 1], [511, 4096], [7, 2 * MIB]]) {
      const [from, count] = [offset ?? 0, length ?? 0];
      const reply = await client.call({
        ...{ command: CMD_READ, offset: from, length: count },
      });
      assertEquals(shapeOf(reply), [`data ${from}+${count}`]);
      assertSame(reply.payload, bytes.subarray(from, from + count));
    }
    await client.disconnect();
  });

  Deno.test(named("a read of nothing is a NONE chunk"), async () => {
    await using serving = await serve();
    using client = await serving.open(dialect);
    for (const offset of [0, MIB]) {
      const reply = await client.call({ command: CMD_READ, offset, length: 0 });
      assertEquals(shapeOf(reply), ["none"]);
    }
  });

  Deno.test(named("a long read comes in pieces of 1 MiB"), async () => {
    const size = 34 * MIB;
    await using serving = await serve({ device: new MemoryDevice(size) });
    using client = await serving.open(dialect);
    const bytes = pattern(32 * MIB, 9);
    await client.write(MIB, bytes);
    const command = CMD_READ;
    const reply = await client.call({ command, offset: MIB, length: 32 * MIB });
    assertEquals(reply.chunks.length, 32);
    assertSame(reply.payload, bytes);
    // At an odd place: the pieces end at whole mebibytes all the same.
    const odd = await client.call({
      ...{ command, offset: MIB + 5, length: 3 * MIB },
    });
    assertEquals(shapeOf(odd), [
      `data ${MIB + 5}+${MIB - 5}`,
      `data ${2 * MIB}+${MIB}`,
      `data ${3 * MIB}+${MIB}`,
      `data ${4 * MIB}+5`,
    ]);
    assertSame(odd.payload, bytes.subarray(5, 3 * MIB + 5));
  });

  Deno.test(named("an empty disk is read without reading"), async () => {
    const device = new SparseDevice(64 * MIB);
    await using serving = await serve({ device });
    using client = await serving.open(dialect);
    const lengths = [1, 4096, 2 * MIB, 2 * MIB + 1, 32 * MIB];
    for (const length of lengths) {
      const reply = await client.call({ command: CMD_READ, offset: 3, length });
      assertEquals(shapeOf(reply), [`hole 3+${length}`]);
      assertEquals(isZero(reply.payload), true);
    }
    // No such read waits for room.
    const requests = Array(300).fill({ command: CMD_READ, length: 2 * MIB });
    await client.sendAll(requests);
    await until("all done", () => serving.server.counters.reads === 305);
    assertEquals((await client.receiveAll(300)).size, 300);
    assertEquals(device.reads, []);
  });

  Deno.test(
    named("holes are described, data around them is sent"),
    async () => {
      const device = new SparseDevice(8 * MIB);
      await using serving = await serve({ device });
      using client = await serving.open(dialect);
      const model = new Uint8Array(8 * MIB);
      for (const [at, length] of [[0, 1], [100_000, 4096], [MIB, 3 * MIB]]) {
        const bytes = pattern(length ?? 0, at);
        await client.write(at ?? 0, bytes);
        model.set(bytes, at);
      }
      const command = CMD_READ;
      const whole = await client.call({ command, length: 8 * MIB });
      assertSame(whole.payload, model);
      assertEquals(shapeOf(whole), [
        `data 0+${2 * 64 * KIB}`,
        `hole ${128 * KIB}+${MIB - 128 * KIB}`,
        `data ${MIB}+${MIB}`,
        `data ${2 * MIB}+${MIB}`,
        `data ${3 * MIB}+${MIB}`,
        `hole ${4 * MIB}+${4 * MIB}`,
      ]);
      // From a hole into data, in a small read.
      const into = await client.call({
        ...{ command, offset: MIB - 512, length: 4096 },
      });
      assertEquals(shapeOf(into), [
        `hole ${MIB - 512}+512`,
        `data ${MIB}+${4096 - 512}`,
      ]);
      assertSame(into.payload, model.subarray(MIB - 512, MIB - 512 + 4096));
    },
  );

  Deno.test(named("DF is one chunk, a hole only if all of it is"), async () => {
    const device = new SparseDevice(40 * MIB);
    await using serving = await serve({ device });
    using client = await serving.open(dialect);
    await client.write(MIB, pattern(MIB));
    const command = CMD_READ;
    const flags = CMD_FLAG_DF;
    for (const [offset, length] of [[0, 65536], [3 * MIB, 32 * MIB]]) {
      const reply = await client.call({
        ...{ command, flags, offset: offset ?? 0, length: length ?? 0 },
      });
      assertEquals(shapeOf(reply), [`hole ${offset}+${length}`]);
    }
    for (const length of [MIB + 1, 3 * MIB, 32 * MIB]) {
      const reply = await client.call({ command, flags, length });
      assertEquals(shapeOf(reply), [`data 0+${length}`]);
      const middle = reply.payload.subarray(MIB, 2 * MIB);
      assertSame(middle, pattern(MIB).subarray(0, middle.length));
    }
    const length = 32 * MIB + 1;
    const reply = await client.call({ command, flags, length });
    assertEquals([reply.errno, shapeOf(reply)], [NBD.EOVERFLOW, ["error"]]);
  });

  Deno.test(named("errors come in chunks, with a text"), async () => {
    const device = new HeldDevice();
    await using serving = await serve({ device });
    using client = await serving.open(dialect);
    const command = CMD_READ;
    const gate = await client.call({ command, offset: MIB, length: 512 });
    assertEquals([gate.errno, shapeOf(gate)], [NBD.EINVAL, ["error"]]);
    assertEquals(
      gate.text,
      "The range reaches past the end of the export",
    );
    const message = "Cannot read: disk /dev/secret is on fire";
    device.read = () => {
      throw new VirstorError("io", message);
    };
    const failed = await client.call({ command, offset: 1024, length: 512 });
    assertEquals([failed.errno, shapeOf(failed)], [NBD.EIO, ["error 1024"]]);
    assertEquals(failed.text, "The device failed");
    assertEquals(
      serving.events.at(-1)?.message,
      `READ of 512 bytes at 1024: ${message}`,
    );
    device.write = () => {
      throw new VirstorError("no-space", "Cannot write: no free chunk is left");
    };
    const payload = pattern(512);
    const full = await client.call({ command: CMD_WRITE, payload });
    assertEquals([full.errno, shapeOf(full)], [NBD.ENOSPC, ["error"]]);
    assertEquals(full.text, "Cannot write: no free chunk is left");
    const unknown = await client.call({ command: 99 });
    assertEquals([unknown.errno, shapeOf(unknown)], [NBD.EINVAL, ["error"]]);
    assertEquals(unknown.text, "The server does not support this command");
    assertEquals(serving.server.counters.errors, 4);
    assertEquals((await client.call({ command: CMD_FLUSH })).errno, 0);
  });

  Deno.test(named("long texts are truncated between characters"), async () => {
    const device = new HeldDevice();
    device.write = () => {
      throw new VirstorError("no-space", `Cannot: ${"\u{1f4be}".repeat(9999)}`);
    };
    await using serving = await serve({ device });
    using client = await serving.open(dialect);
    const { text } = await client.call({
      ...{ command: CMD_WRITE, payload: pattern(512) },
    });
    assertEquals(text, `Cannot: ${"\u{1f4be}".repeat(62)}`);
  });

  Deno.test(
    named("late pieces come in any order, the last one last"),
    async () => {
      const device = new HeldDevice(8 * MIB);
      await using serving = await serve({ device });
      using client = await serving.open(dialect);
      const bytes = pattern(8 * MIB);
      await client.write(0, bytes);
      // All pieces late; only the first; only the last; every other one.
      const choices: ((piece: number) => boolean)[] = [
        () => true,
        (piece) => piece === 0,
        (piece) => piece === 3,
        (piece) => piece % 2 === 1,
      ];
      for (const isLate of choices) {
        device.holds = (kind, offset) =>
          kind === "read" && isLate(offset / MIB);
        const reading = client.call({ command: CMD_READ, length: 4 * MIB });
        const late = [0, 1, 2, 3].filter(isLate).length;
        await until("they wait", () => device.held.length === late);
        while (device.held.length > 0) {
          device.held.at(-1)?.finish();
          await new Promise((done) => setTimeout(done, 2));
        }
        const { payload, chunks } = await reading;
        assertSame(payload, bytes.subarray(0, 4 * MIB));
        assert(chunks.length <= 5);
      }
      // One piece that is late needs no more than its chunk.
      device.holds = (kind) => kind === "read";
      const reading = client.call({ command: CMD_READ, length: 512 });
      await until("it waits", () => device.held.length === 1);
      device.held[0]?.finish();
      assertEquals(shapeOf(await reading), ["data 0+512"]);
    },
  );

  Deno.test(
    named("a piece that fails late fails the read, not others"),
    async () => {
      const device = new HeldDevice(40 * MIB);
      await using serving = await serve({ device });
      using client = await serving.open(dialect);
      device.holds = (kind, offset) => kind === "read" && offset >= 30 * MIB;
      const command = CMD_READ;
      const failing = await client.send({
        ...{ command, offset: 30 * MIB, length: 4 * MIB },
      });
      await until("pieces wait", () => device.held.length === 4);
      // Others go on meanwhile.
      assertEquals((await client.read(0, 512)).length, 512);
      device.held[1]?.fail(new VirstorError("io", "Cannot read: no"));
      device.held[2]?.fail(new VirstorError("io", "Cannot read: no, too"));
      device.held[0]?.finish();
      device.held[0]?.finish();
      const reply = await client.receive();
      assertEquals([reply.cookie, reply.errno], [failing, NBD.EIO]);
      assertEquals(shapeOf(reply).at(-1), `error ${31 * MIB}`);
      assertEquals(serving.server.counters.errors, 1);
      assertEquals(serving.events.length, 2);
      for (let i = 0; i < 20; i++) await client.read(0, 2 * MIB);
    },
  );

  Deno.test(named("a failed piece ends a long read early"), async () => {
    const device = new HeldDevice(40 * MIB);
    const read = device.read.bind(device);
    for (const late of [false, true]) {
      device.read = (target, offset) => {
        if (offset !== 5 * MIB) return read(target, offset);
        const error = new VirstorError("io", "Cannot read: no");
        if (late) return Promise.reject(error);
        throw error;
      };
      await using serving = await serve({ device });
      using client = await serving.open(dialect);
      device.calls.length = 0;
      const reply = await client.call({ command: CMD_READ, length: 32 * MIB });
      assertEquals(reply.errno, NBD.EIO);
      assertEquals(shapeOf(reply).at(-1), `error ${5 * MIB}`);
      assert(device.calls.length < 12, `${device.calls.length} pieces read`);
      assertEquals((await client.read(0, MIB)).length, MIB);
    }
  });

  Deno.test(
    named("a client that takes no replies stalls a long read"),
    async () => {
      const device = new HeldDevice(64 * MIB);
      await using serving = await serve({ device });
      using client = await serving.open(dialect);
      using other = await serving.open();
      const length = 32 * MIB;
      await client.sendAll(Array(3).fill({ command: CMD_READ, length }));
      await until("it has begun", () => device.calls.length >= 2);
      await new Promise((done) => setTimeout(done, 50));
      assert(device.calls.length <= 6, `${device.calls.length} pieces read`);
      assertEquals((await other.read(0, 512)).length, 512);
      assertEquals((await client.receiveAll(3)).size, 3);
      // And one that leaves in the middle of it is gone.
      await client.sendAll(Array(3).fill({ command: CMD_READ, length }));
      client.close();
      await until("it is gone", () => serving.server.clients.length === 1);
    },
  );

  Deno.test(named("the end of an answer overtakes nothing of it"), async () => {
    const held = new HeldDevice(4 * MIB);
    held.holds = (kind, offset) => kind === "read" && offset === 2 * MIB;
    // Behind the piece that is late, there is a hole.
    const hole = 2 * MIB + 65536;
    const leadingHole = (offset: number) => offset < hole ? 0 : MIB;
    const device = Object.assign(held, { leadingHole });
    await using serving = await serve({ device });
    using client = await serving.open(dialect);
    // The first is more than a socket takes, so the second waits behind it.
    const command = CMD_READ;
    const first = await client.send({ command, length: MIB });
    await until("it is being sent", () => serving.server.counters.reads === 1);
    const second = await client.send({
      ...{ command, offset: 2 * MIB, length: 2 * 65536 },
    });
    await until("it waits", () => held.held.length === 1);
    await new Promise((done) => setTimeout(done, 20));
    held.held[0]?.finish();
    const replies = await client.receiveAll(2);
    assertEquals([...replies.keys()], [first, second]);
    assertEquals(replies.get(second)?.chunks.map(({ offset }) => offset), [
      ...[hole, 2 * MIB],
    ]);
  });

  Deno.test(
    named("replies overtake each other, DISC waits for all"),
    async () => {
      const device = new HeldDevice(4 * MIB);
      device.holds = (kind, offset) => kind === "read" && offset >= MIB;
      await using serving = await serve({ device });
      using client = await serving.open(dialect);
      const [late, early, write] = await client.sendAll([
        { command: CMD_READ, offset: MIB, length: 3 * MIB },
        { command: CMD_READ, length: 512 },
        { command: CMD_WRITE, offset: 512, payload: pattern(100) },
        { command: NBD.CMD_DISC },
      ]);
      assertEquals((await client.receive()).cookie, early);
      assertEquals((await client.receive()).cookie, write);
      while (device.held.length > 0) device.held[0]?.finish();
      const reply = await client.receive();
      assertEquals([reply.cookie, reply.payload.length], [late, 3 * MIB]);
      assertEquals(await client.receiveEnd(), 0);
    },
  );

  Deno.test(
    named("a client that closes half still gets its chunks"),
    async () => {
      await using serving = await serve({ device: new MemoryDevice(40 * MIB) });
      using client = await serving.open(dialect);
      const length = 32 * MIB;
      await client.sendAll(Array(3).fill({ command: CMD_READ, length }));
      await client.conn.closeWrite();
      assertEquals((await client.receiveAll(3)).size, 3);
      assertEquals(await client.receiveEnd(), 0);
    },
  );
}

Deno.test("simple replies never use what is known of holes", async () => {
  const device = new SparseDevice(4 * MIB);
  await using serving = await serve({ device });
  using client = await serving.open();
  assertEquals((await client.read(0, MIB)).length, MIB);
  assertEquals(device.reads, [`0+${MIB}`]);
  const flags = CMD_FLAG_DF;
  const reply = await client.call({ command: CMD_READ, length: 512, flags });
  assertEquals(reply.errno, NBD.EINVAL);
});
