/**
 * The demo: one command, and there is a disk. README's way to it is tested in
 * `tests/interop/`.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BusyClient } from "../helpers/busy_client.ts";
import { MIB, pattern } from "../helpers/scratch.ts";
import { Workspace } from "../helpers/virstor.ts";

const LISTEN = ["--listen", "127.0.0.1:0"];
/** The demo keeps its state with its pool by default. */
const ENV = { VIRSTOR_STATE_DIR: "" };

Deno.test("virstor demo makes a pool, and serves it at once", async () => {
  await using work = await Workspace.create();
  const server = await work.serve(["demo", ...LISTEN], { env: ENV });
  using client = await BusyClient.open(server);
  assertEquals(client.size, 1024 * MIB);
  assertEquals((await client.write(0, pattern(MIB, 1))).errno, 0);
  for (
    const text of [
      `nbdinfo ${server.uri}\n`,
      `qemu-img info -f raw ${server.uri}\n`,
      "./virstor --state-dir demo-pool/state status demo\n",
      "add --create 64M demo demo-pool/component-2.img\n",
      "Virtual size:   1 GiB",
      "Format:         native\n",
      "The pool holds 126.5 MiB: what is written beyond that waits until\n",
    ]
  ) {
    assertStringIncludes(server.stdout, text);
  }
  const state = ["--state-dir", "demo-pool/state"];
  assertMatch(
    await work.succeed([...state, "status"]),
    /\ndemo +healthy +served +1 GiB +126\.5 MiB /,
  );
  await work.succeed(
    [...state, "add", "--create", "64M", "demo", "demo-pool/component-2.img"],
  );
  assertEquals((await server.stop()).code, 0);
});

Deno.test("virstor demo takes the pool that is there", async () => {
  await using work = await Workspace.create();
  const first = await work.serve(["demo", ...LISTEN], { env: ENV });
  {
    using client = await BusyClient.open(first);
    await client.write(MIB, pattern(MIB, 7));
  }
  const second = await work.run(["demo", ...LISTEN], { env: ENV });
  assertEquals({ code: second.code, stderr: second.stderr }, {
    code: 8,
    stderr: `virstor: Cannot serve pool "demo": process ${first.pid} serves ` +
      `it already, on ${first.uri}\n`,
  });
  await first.stop();
  for (const lost of ["nothing", "the registry"]) {
    if (lost === "the registry") {
      await Deno.remove(work.path("demo-pool/state"), { recursive: true });
    }
    const server = await work.serve(["demo", ...LISTEN], { env: ENV });
    using client = await BusyClient.open(server);
    assertEquals((await client.read(MIB, MIB)).payload, pattern(MIB, 7), lost);
    await server.stop();
  }
});

Deno.test("virstor demo keeps its state in the given directory", async () => {
  await using work = await Workspace.create();
  await work.serve(["demo", ...LISTEN, "--state-dir", "elsewhere"]);
  await Deno.stat(work.path("elsewhere/pools/demo.json"));
  assertMatch(
    await work.succeed(["--state-dir", "elsewhere", "status", "demo"]),
    /\nState: +served\n/,
  );
});
