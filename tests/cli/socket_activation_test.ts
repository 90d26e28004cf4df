/**
 * Sockets that a service manager opened, and the real one that passes them.
 *
 * @module
 */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { exists } from "@std/fs";
import { fileURLToPath } from "node:url";
import { inheritListener } from "../../cli/listen/inherited_listener.ts";
import { VirstorError } from "../../errors.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import { NBD, type NbdAddress, NbdClient } from "../helpers/nbd_client.ts";
import { peerTest } from "../helpers/peers.ts";
import { MIB, pattern } from "../helpers/scratch.ts";
import { CERTIFICATES, TlsClient } from "../helpers/tls_client.ts";
import { Server, type Workspace } from "../helpers/virstor.ts";
import { CHUNK, makeSmallPool, statusOf, untilStatus } from "./served.ts";

const MAIN = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

/** Opens sockets, and starts the server when a client connects. */
function activate(
  work: Workspace,
  sockets: readonly string[],
  ...options: string[]
): Server {
  const env = {
    NO_COLOR: "1",
    VIRSTOR_STATE_DIR: work.stateDirectory,
    // Where the runtime keeps what it has compiled.
    HOME: Deno.env.get("HOME") ?? "",
  };
  return new Server(
    new Deno.Command("systemd-socket-activate", {
      args: [
        ...sockets.flatMap((socket) => ["-l", socket]),
        ...Object.entries(env).flatMap(([name, value]) => [
          "-E",
          `${name}=${value}`,
        ]),
        ...[Deno.execPath(), "run", "-A", MAIN, "serve", ...options, "demo"],
      ],
      cwd: work.directory,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
}

/** A port that was free a moment ago. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Writes and reads more than a socket holds at once. */
async function exercise(address: NbdAddress): Promise<void> {
  using client = await BusyClient.open(address, "demo");
  const data = pattern(5 * CHUNK, 3);
  assertEquals((await client.write(0, data)).errno, 0);
  assertEquals((await client.flush()).errno, 0);
  const replies = await Promise.all(
    Array.from({ length: 20 }, () => client.read(0, data.length)),
  );
  for (const { payload } of replies) assertEquals(payload, data);
  await client.disconnect();
}

peerTest(
  "virstor serve takes a Unix socket over from systemd",
  ["systemd-socket-activate"],
  async () => {
    await using work = await makeSmallPool();
    const path = work.path("nbd.sock");
    const server = activate(work, [path]);
    await server.said(/Listening on /);
    await exercise({ path });
    assertEquals(server.uri, `nbd+unix:///demo?socket=${path}`);
    await exercise({ path });
    assertEquals((await statusOf(work)).server?.counters.connections, 2);
    assertEquals((await server.stop()).code, 0);
    // It is systemd's.
    assertEquals(await exists(path), true);
  },
);

peerTest(
  "virstor serve takes TCP sockets over, and listens elsewhere too",
  ["systemd-socket-activate"],
  async () => {
    await using work = await makeSmallPool();
    const port = freePort();
    const path = work.path("own.sock");
    const server = activate(
      work,
      [`127.0.0.1:${port}`, work.path("theirs.sock")],
      ...["--socket", path, "--allow", "127.0.0.0/8"],
    );
    await server.said(/Listening on .*\n(.*\n)*Listening on /);
    await exercise({ port });
    await exercise({ path: work.path("theirs.sock") });
    await exercise({ path });
    assertMatch(server.stderr, /connected: 1 \(127\.0\.0\.1:\d+\): /);
    assertEquals(server.stdout.trimEnd().split("\n"), [
      `nbd://localhost:${port}/demo`,
      `nbd+unix:///demo?socket=${work.path("theirs.sock")}`,
      `nbd+unix:///demo?socket=${path}`,
    ]);
    assertEquals((await server.stop()).code, 0);
  },
);

peerTest(
  "virstor serve on a socket of systemd holds back what its client does not read",
  ["systemd-socket-activate"],
  async () => {
    await using work = await makeSmallPool();
    const path = work.path("nbd.sock");
    const server = activate(work, [path], "--grace", "0.2");
    await server.said(/Listening on /);
    const client = await NbdClient.open({ path });
    for (let i = 0; i < 32; i++) {
      await client.send({ command: NBD.CMD_READ, length: 16 * MIB });
    }
    await untilStatus(work, ({ server }) => server?.counters.reads !== 0);
    // Enough for all of them, if nothing held them back.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { server: shown } = await statusOf(work);
    assertEquals((shown?.counters.reads ?? 32) < 8, true);
    // A client that vanishes ends nothing but itself.
    client.close();
    await server.said(/ disconnected: 1 /);
    await exercise({ path });
    assertEquals((await server.stop()).code, 0);
  },
);

peerTest(
  "virstor serve encrypts on sockets of systemd",
  ["systemd-socket-activate"],
  async () => {
    await using work = await makeSmallPool();
    const path = work.path("nbd.sock");
    const certificates = ["--tls-certs", `${CERTIFICATES}good`];
    const server = activate(work, [path], ...certificates);
    await server.said(/Listening on /);
    using client = await TlsClient.encrypted({ path });
    await client.go("demo");
    const data = pattern(5 * CHUNK, 3);
    await client.write(0, data);
    assertEquals(await client.read(0, data.length), data);
    await client.disconnect();
    assertEquals(server.uri, `nbds+unix:///demo?socket=${path}`);
    assertEquals((await server.stop()).code, 0);
  },
);

Deno.test("virstor serve leaves sockets alone that are for another process", async () => {
  await using work = await makeSmallPool();
  const env = { LISTEN_PID: "1", LISTEN_FDS: "1" };
  const server = await work.serve(["serve", "--socket", "s", "demo"], { env });
  assertEquals(server.stdout.trimEnd().split("\n").length, 1);
});

Deno.test("inheritListener() refuses what is no socket", async () => {
  const error = await assertRejects(
    () => inheritListener(999),
    VirstorError,
    "Cannot listen on descriptor 999: ",
  );
  assertEquals(error.code, "invalid");
});
