/**
 * Goal: libnbd can negotiate in every way it knows, from the oldest to the
 * newest. Method: `nbdsh` in option mode, step by step, with a process that
 * serves two pools.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { MemoryDevice } from "../../device/mod.ts";
import { type NbdContext, NbdServer } from "../../nbd/mod.ts";
import { nbdShell } from "../helpers/nbd_shell.ts";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch } from "../helpers/scratch.ts";
import { Workspace } from "../helpers/virstor.ts";
import { MIB, peerSucceeds, runPeer, ServedPool } from "./served_pool.ts";

/** Serves "large", the default, of 64 MiB, and "small" of 32 MiB. */
async function serveTwo(
  use: (uri: string, work: Workspace) => Promise<void>,
): Promise<void> {
  await using work = await Workspace.create();
  for (const [name, size] of [["large", "64M"], ["small", "32M"]] as const) {
    const sizes = ["-s", size, "-m", "128K", "--create", "2M"];
    await work.succeed(["label", ...sizes, name, `${name}.img`]);
  }
  const server = await work.serve(
    ["serve", "--socket", work.path("socket"), "large", "small"],
  );
  await use(server.uri, work);
  assertEquals((await server.stop()).code, 0);
}

peerTest("nbdsh lists, asks, is refused and goes on", ["nbdsh"], async () => {
  await serveTwo(async (uri) => {
    const told = await nbdShell(
      uri,
      `
h.set_opt_mode(True)
h.set_full_info(True)
h.connect_unix(path)
found = []
h.opt_list(lambda name, description: found.append([name, description]) or 0)
tell(*found)
def asked(name):
    h.set_export_name(name)
    result = attempt(h.opt_info)
    return [result] if result != "ok" else [h.get_size(),
      h.get_canonical_export_name(), h.get_export_description()]
tell(asked("small"), asked(""), asked("absent"), asked("large"))
tell(asked("x" * 4096), asked("small"))
contexts = []
for wanted in ([], ["base:"], ["base:allocation", "no:such"], ["virstor:"]):
    h.clear_meta_contexts()
    for context in wanted:
        h.add_meta_context(context)
    found = []
    h.opt_list_meta_context(lambda name: found.append(name) or 0)
    contexts.append([name for name in found if name.startswith("base:")])
tell(*contexts)
h.clear_meta_contexts()
h.add_meta_context("base:allocation")
h.add_meta_context("no:such")
tell(attempt(h.opt_info), h.can_meta_context("base:allocation"))
h.set_export_name("absent")
tell(attempt(h.opt_go))
h.set_export_name("small")
tell(attempt(h.opt_go), h.get_size(), h.can_meta_context("base:allocation"),
  h.can_meta_context("no:such"))
tell(h.pread(4, 0))
`,
    );
    assertEquals(told, [
      [["large", "virstor pool large"], ["small", "virstor pool small"]],
      [
        [32 * MIB, "small", "virstor pool small"],
        [64 * MIB, "large", "virstor pool large"],
        ["ENOENT"],
        [64 * MIB, "large", "virstor pool large"],
      ],
      [["ENOENT"], [32 * MIB, "small", "virstor pool small"]],
      [["base:allocation"], ["base:allocation"], ["base:allocation"], []],
      ["ok", true],
      ["ENOENT"],
      ["ok", 32 * MIB, true, false],
      ["00000000"],
    ]);
  });
});

peerTest("nbdsh aborts, and the server serves others", ["nbdsh"], async () => {
  await serveTwo(async (uri) => {
    const told = await nbdShell(
      uri,
      `
h.set_opt_mode(True)
h.connect_unix(path)
tell(attempt(h.opt_abort), h.aio_is_closed())
for name in ("small", "absent", ""):
    other = handle()
    other.set_export_name(name)
    tell(attempt(other.connect_unix, path), attempt(other.get_size))
`,
    );
    assertEquals(told, [
      ["ok", true],
      ["ok", 32 * MIB],
      ["ENOENT", "EINVAL"],
      ["ok", 64 * MIB],
    ]);
  });
});

peerTest("nbdsh works with every set of handshake flags", [
  "nbdsh",
], async () => {
  await using pool = await ServedPool.start();
  const told = await nbdShell(
    pool.uri,
    `
for flags in range(4):
    for structured in (False, True):
        other = handle()
        other.set_handshake_flags(flags)
        other.set_request_structured_replies(structured)
        other.add_meta_context("base:allocation")
        other.connect_uri(uri)
        text = b"flags %d %r" % (flags, structured)
        other.pwrite(text, flags * 512, nbd.CMD_FLAG_FUA)
        tell(other.get_protocol(), other.get_structured_replies_negotiated(),
          other.can_meta_context("base:allocation"), other.get_size(),
          other.pread(len(text), flags * 512) == text)
        other.shutdown()
`,
  );
  const size = 64 * MIB;
  const wanted = [0, 1, 2, 3].flatMap((flags) =>
    [false, true].map((structured) => {
      // Without the first flag there are no options but EXPORT_NAME.
      const fixed = (flags & 1) !== 0;
      const chunked = fixed && structured;
      const protocol = fixed ? "newstyle-fixed" : "newstyle";
      return [protocol, chunked, chunked, size, true];
    })
  );
  assertEquals(told, wanted);
  await pool.stopAndCheck();
});

peerTest("nbdinfo and nbd-client list all pools of a server", [
  "nbdinfo",
  "nbd-client",
], async () => {
  await serveTwo(async (uri, work) => {
    const unnamed = uri.replace("/large?", "/?");
    const { exports } = JSON.parse(
      await peerSucceeds("nbdinfo", ["--list", "--json", unnamed]),
    );
    assertEquals(
      exports.map((one: Record<string, unknown>) => [
        one["export-name"],
        one["description"],
        one["export-size"],
      ]),
      [
        ["large", "virstor pool large", 64 * MIB],
        ["small", "virstor pool small", 32 * MIB],
      ],
    );
    const sizes = ["", "large", "small"].map((name) =>
      peerSucceeds("nbdinfo", ["--size", uri.replace("/large?", `/${name}?`)])
    );
    assertEquals(
      await Promise.all(sizes),
      [64, 64, 32].map((size) => `${size * MIB}\n`),
    );
    const unknown = await runPeer(
      "nbdinfo",
      [uri.replace("/large?", "/absent?")],
    );
    assertEquals(unknown.code, 1);
    assertMatch(unknown.stderr, /No such file or directory for export: absent/);
    const socket = ["-l", "-unix", work.path("socket")];
    const listed = await peerSucceeds("nbd-client", socket);
    assertMatch(listed, /^large\b.*\nsmall\b/m);
  });
});

/** Tells of each sixteenth of a disk whether its number is odd. */
const ODD: NbdContext = {
  name: "x-test:odd",
  status: (offset, length) => {
    const part = MIB / 16;
    const runs = [];
    for (let at = offset; at < offset + length;) {
      const next = Math.min(at - at % part + part, offset + length);
      runs.push({ length: next - at, flags: Math.floor(at / part) % 2 });
      at = next;
    }
    return runs;
  },
};

peerTest("nbdsh gets the status of several contexts at once", [
  "nbdsh",
], async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("nbd.sock");
  const device = new MemoryDevice(MIB);
  const contexts = [ODD];
  const server = new NbdServer({
    exports: [{
      name: "disk",
      description: "",
      device,
      readOnly: false,
      contexts,
    }],
  });
  server.serve(Deno.listen({ transport: "unix", path }));
  try {
    const told = await nbdShell(
      `nbd+unix:///disk?socket=${path}`,
      `
h.add_meta_context("x-test:odd")
h.add_meta_context("base:allocation")
h.connect_uri(uri)
P = 65536
def status(length, offset, flags=0):
    found = {}
    def extents(name, at, entries, error):
        found[name] = entries
        return 0
    h.block_status(length, offset, extents, flags)
    tell(found)
status(3 * P, P)
status(100, 2 * P - 50)
status(16 * P, 0, nbd.CMD_FLAG_REQ_ONE)
`,
    );
    const P = 65536;
    const allocation = (length: number) => ({
      "base:allocation": [length, 0],
    });
    assertEquals(told, [
      [{ "x-test:odd": [P, 1, P, 0, P, 1], ...allocation(3 * P) }],
      [{ "x-test:odd": [50, 1, 50, 0], ...allocation(100) }],
      [{ "x-test:odd": [P, 0], ...allocation(16 * P) }],
    ]);
  } finally {
    await server.close();
  }
});
