/**
 * Goal: a disk whose time is over does not wait for a far side that is silent.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { VirstorError } from "../../errors.ts";
import { exportOf, NbdDisk, NbdServer } from "../../nbd/mod.ts";
import { openRemoteComponent } from "../../pool/remote/mod.ts";
import { eventually } from "../helpers/patience.ts";
import { makeScratch, MIB, pattern } from "../helpers/scratch.ts";
import { HeldDevice } from "../unit/nbd/held_device.ts";

Deno.test("a component that is given up closes its disk at once", async () => {
  await using scratch = await makeScratch();
  const device = new HeldDevice(MIB);
  await using server = new NbdServer({
    exports: [exportOf(device, { name: "d" })],
  });
  const path = scratch.file("socket");
  server.serve(Deno.listen({ transport: "unix", path }));
  const connect = () =>
    NbdDisk.connect(`nbd+unix:///d?socket=${path}`, { connections: 1 });
  const waiting = await connect();
  const far = await connect();
  const component = await openRemoteComponent({
    path: "nbd://far/",
    far,
    host: "here",
    journalOf: () => scratch.file("journal"),
    journalSize: MIB,
    intervalMs: 100,
  });
  device.holds = () => true;
  component.write(pattern(5000, 1), 0);
  const reading = assertRejects(
    async () => await component.read(new Uint8Array(10), 9000),
    VirstorError,
  );
  const other = Promise.resolve(waiting.read(new Uint8Array(10), 0))
    .catch(() => {});
  await eventually("it is in flight", () => far.status().inFlight > 0);
  // A disk that is closed in order waits for what is in flight.
  const closed = Promise.resolve(waiting.close()).then(() => "in order");
  component.giveUp("the test says so");
  const first = component.close()?.then(() => "given up");
  assertEquals(await Promise.race([closed, first]), "given up");
  await reading;
  device.holds = () => false;
  for (const held of device.held.splice(0)) held.finish();
  await closed;
  await other;
});
