/**
 * Goal: a rename of a served pool that a far side holds up in the middle ends
 * later: with the control socket and the registry entry of the new name alone.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Completion } from "../../device/block/mod.ts";
import { exportOf, NbdServer } from "../../nbd/mod.ts";
import { eventually } from "../helpers/patience.ts";
import { MIB } from "../helpers/scratch.ts";
import { Workspace } from "../helpers/virstor.ts";
import { HeldDevice } from "../unit/nbd/held_device.ts";

/** A disk that falls silent when a name is written to it. */
class NameHolder extends HeldDevice {
  #name: string | undefined;

  constructor(name: string) {
    super(16 * MIB);
    this.#name = name;
  }

  override write(
    source: Uint8Array,
    ...rest: [offset: number, options?: { fua?: boolean }]
  ): Completion {
    const text = new TextDecoder("latin1").decode(source);
    if (this.#name !== undefined && text.includes(this.#name)) {
      this.holds = () => true;
    }
    return super.write(source, ...rest);
  }

  /** Answers everything, and is silent no more. */
  answer(): void {
    this.#name = undefined;
    this.holds = () => false;
    for (const held of this.held.splice(0)) held.finish();
  }
}

function filesIn(work: Workspace, directory: string): string[] {
  return [...Deno.readDirSync(work.path(`state/${directory}`))]
    .map(({ name }) => name).toSorted();
}

Deno.test("a rename that a far side holds up moves the control socket when it ends", async () => {
  await using work = await Workspace.create();
  const device = new NameHolder("late-name");
  await using far = new NbdServer({
    exports: [exportOf(device, { name: "d" })],
  });
  const path = work.path("far");
  far.serve(Deno.listen({ transport: "unix", path }));
  const uri = `nbd+unix:///d?socket=${path}`;
  const env = { VIRSTOR_OWNER_INTERVAL: "0.5", VIRSTOR_JOURNAL: ",1M" };
  const label = ["label", "--create", "8M", "-s", "64M", "vm", "a", uri];
  await work.succeed(label, { env });
  const args = ["serve", "--socket", "s", "--drain-timeout", "1", "vm"];
  const server = await work.serve(args, { env });
  const renamed = await work.run(["rename", "vm", "late-name"]);
  assertEquals(renamed.code, 1);
  assertStringIncludes(renamed.stderr, "the change goes on when it answers");
  // Both names lead to the components, whatever happens next.
  assertEquals(filesIn(work, "pools"), ["late-name.json", "vm.json"]);
  assertEquals(filesIn(work, "control"), ["vm.sock"]);
  await work.succeed(["status", "vm"]);
  device.answer();
  await eventually(
    "the socket has moved",
    () => filesIn(work, "control").join() === "late-name.sock",
  );
  await eventually(
    "the former name is forgotten",
    () => filesIn(work, "pools").join() === "late-name.json",
  );
  assertStringIncludes(
    await work.succeed(["status", "late-name"]),
    "late-name",
  );
  await work.succeed(["stop", "late-name"]);
  await server.ended();
});
