/**
 * READs with one header for more than a reply buffer holds: nothing comes
 * between their parts, and a part that fails ends the connection.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import { NBD, type NbdClient } from "../../helpers/nbd_client.ts";
import { HeldDevice } from "./held_device.ts";
import { pattern, serve, until } from "./serving.ts";
import { firstDifference } from "../../helpers/bytes.ts";

const MIB = 1024 * 1024;
const { CMD_READ, CMD_WRITE, CMD_FLAG_DF } = NBD;

/** A read that is long in a dialect. */
function longRead(dialect: string, offset: number, length: number) {
  const flags = dialect === "simple" ? 0 : CMD_FLAG_DF;
  return { command: CMD_READ, flags, offset, length };
}

for (const dialect of ["simple", "structured", "extended"] as const) {
  const named = (name: string) => `${dialect} long reads: ${name}`;

  Deno.test(named("late answers do not come between the parts"), async () => {
    const device = new HeldDevice(8 * MIB);
    await using serving = await serve({ device });
    using client = await serving.open(dialect);
    await client.write(0, pattern(8 * MIB));
    // A write that was delayed, and every second part.
    device.holds = (kind, offset) =>
      kind === "write" || (kind === "read" && offset / MIB % 2 === 1);
    const write = await client.send({
      ...{ command: CMD_WRITE, offset: 7 * MIB, payload: pattern(512, 9) },
    });
    const read = await client.send(longRead(dialect, 512, 6 * MIB));
    const receiving = client.receiveAll(2);
    await until("a part is late", () => device.held.length === 2);
    device.held[0]?.finish();
    for (let part = 0; part < 3; part++) {
      await until("a part is late", () => device.held.length === 1);
      device.held[0]?.finish();
    }
    const replies = await receiving;
    assertEquals([...replies.keys()], [read, write]);
    const wanted = pattern(8 * MIB).subarray(512, 512 + 6 * MIB);
    const got = replies.get(read)?.payload ?? new Uint8Array();
    assertEquals(got.length, wanted.length);
    assertEquals(firstDifference(got, wanted), -1);
    assertEquals(replies.get(write)?.errno, 0);
  });

  for (const isLate of [false, true]) {
    const when = isLate ? "late" : "at once";
    Deno.test(
      named(`a first part that fails ${when} is an error`),
      async () => {
        const { device, fails } = failing(isLate);
        await using serving = await serve({ device });
        using client = await serving.open(dialect);
        fails(0);
        const reply = await client.call(longRead(dialect, 0, 6 * MIB));
        assertEquals(reply.errno, NBD.EIO);
        fails(undefined);
        await assertReads(client, device.size);
      },
    );

    Deno.test(named(`a later one that fails ${when} is the end`), async () => {
      const { device, fails } = failing(isLate);
      await using serving = await serve({ device });
      using client = await serving.open(dialect);
      using other = await serving.open(dialect);
      // The second part: a client that takes nothing gets no further than that.
      fails(MIB);
      await client.send(longRead(dialect, 0, 6 * MIB));
      await until("it is over", () => serving.server.clients.length === 1);
      const messages = serving.events.map(({ message }) => message);
      assert(
        messages.includes("the device failed in the middle of a reply"),
        messages.join(),
      );
      fails(undefined);
      await assertReads(other, device.size);
    });
  }

  Deno.test(named("they wait for data that is late already"), async () => {
    const device = new HeldDevice(8 * MIB);
    await using serving = await serve({ device });
    using client = await serving.open(dialect);
    device.holds = (kind, offset) => kind === "read" && offset >= 7 * MIB;
    // Together these fill the reply buffers of a connection.
    const early = { command: CMD_READ, offset: 7 * MIB, length: MIB };
    const sent = await client.sendAll([early, early, early, early]);
    const long = await client.send(longRead(dialect, 0, 6 * MIB));
    await until("they wait", () => device.held.length > 0);
    const receiving = client.receiveAll(5);
    while (device.held.length > 0 || device.calls.length < 10) {
      device.held[0]?.finish();
      await new Promise((done) => setTimeout(done, 1));
    }
    assertEquals([...(await receiving).keys()], [...sent, long]);
  });
}

/** A device on which the part at an offset fails. */
function failing(isLate: boolean) {
  const device = new HeldDevice(8 * MIB);
  const read = device.read.bind(device);
  let bad: number | undefined;
  device.read = (target, offset) => {
    if (offset !== bad) return read(target, offset);
    const error = new VirstorError("io", "Cannot read: bad sector");
    if (!isLate) throw error;
    return new Promise((_, reject) => setTimeout(() => reject(error), 1));
  };
  return { device, fails: (offset: number | undefined) => bad = offset };
}

async function assertReads(client: NbdClient, size: number): Promise<void> {
  assertEquals((await client.read(0, size)).length, size);
}
