/**
 * Goal: a device that is not served any more is out of reach for every client,
 * also for one whose handshake began before; its name is free for another.
 * Method: real sockets, a server whose exports change.
 *
 * @module
 */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import { exportOf, type NbdExport } from "../../../nbd/mod.ts";
import { BusyClient, LOST } from "../../helpers/busy_client.ts";
import { NbdClient } from "../../helpers/nbd_client.ts";
import { eventually } from "../../helpers/patience.ts";
import { serve } from "./serving.ts";

/** A device full of one byte. */
function filled(byte: number): MemoryDevice {
  const device = new MemoryDevice(4096);
  device.write(new Uint8Array(4096).fill(byte), 0);
  return device;
}

Deno.test("retire() ends the clients of a device, whose name is free", async () => {
  const [old, other, later] = [filled(1), filled(2), filled(3)];
  let exports: NbdExport[] = [
    exportOf(old, { name: "a" }),
    exportOf(other, { name: "b" }),
  ];
  await using serving = await serve({ exports: () => exports });
  const { server, address } = serving;
  using first = await BusyClient.open(address, "a");
  using second = await BusyClient.open(address, "b");
  // This one has the list of exports, and has not chosen yet.
  const early = await NbdClient.connect(address);
  await early.greet();
  await eventually("three clients", () => server.clients.length === 3);
  assertEquals([old, other].map((one) => server.countClients(one)), [1, 1]);
  exports = [exportOf(later, { name: "a" }), ...exports.slice(1)];
  await server.retire(old, { reason: "a is gone" });
  assertEquals((await first.read(0, 1)).errno, LOST);
  assertEquals([old, other].map((one) => server.countClients(one)), [0, 1]);
  assertEquals([...(await second.read(0, 1)).payload], [2]);
  assertEquals(serving.events.at(-1)?.message, "a is gone");
  await assertRejects(async () => {
    await early.go("a");
    await early.read(0, 1);
  });
  early.close();
  await eventually(
    "a refusal",
    () => serving.events.at(-1)?.kind === "refused",
  );
  assertMatch(
    serving.events.at(-1)?.message ?? "",
    /"a" is not served any more/,
  );
  using again = await BusyClient.open(address, "a");
  assertEquals([...(await again.read(0, 1)).payload], [3]);
});

Deno.test("the contexts of an export are asked for anew by each client", async () => {
  const device = Object.assign(new MemoryDevice(4096), {
    contexts: [] as { name: string; status(): never[] }[],
  });
  const served = exportOf(device, { name: "disk" });
  await using serving = await serve({ exports: [served] });
  const names = async () => {
    const queries = ["x-test:a", "x-test:b"];
    const { client, ids } = await serving.select("structured", queries);
    client.close();
    return [...ids.keys()];
  };
  assertEquals(await names(), []);
  device.contexts.push({ name: "x-test:b", status: () => [] });
  assertEquals(await names(), ["x-test:b"]);
});
