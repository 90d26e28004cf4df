/**
 * When `virstor serve` ends, and what it leaves behind.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { exists } from "@std/fs";
import { BusyClient } from "../helpers/busy_client.ts";
import { NBD, NbdClient } from "../helpers/nbd_client.ts";
import { MIB } from "../helpers/scratch.ts";
import { eventually, PATIENCE_MS } from "../helpers/patience.ts";
import type { Server, Workspace } from "../helpers/virstor.ts";
import {
  makeSmallPool,
  serve,
  start,
  statusOf,
  untilStatus,
} from "./served.ts";

Deno.test("virstor serve --exit-on-last-client ends with the last one", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--exit-on-last-client");
  // No client was there yet: a mere connection does not end the server.
  (await NbdClient.connect(server)).close();
  await server.said(/ refused: 1 /);
  const first = await BusyClient.open(server);
  const second = await BusyClient.open(server);
  await first.disconnect();
  await server.said(/ disconnected: 2 /);
  assertEquals((await second.flush()).errno, 0);
  await second.disconnect();
  const { code, stderr } = await server.ended();
  assertEquals(code, 0);
  assertMatch(stderr, / disconnected: 3 .*\n.* stopping: The last client /);
  assertEquals(
    await work.succeed(["check", "demo"]),
    'Pool "demo" is sound\n',
  );
});

Deno.test("virstor serve --pid-file is there while clients can connect", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--pid-file", "pid");
  assertEquals(await Deno.readTextFile(work.path("pid")), `${server.pid}\n`);
  assertEquals((await server.stop()).code, 0);
  assertEquals(await exists(work.path("pid")), false);
});

Deno.test("virstor serve leaves the pid file of another process alone", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work, "--pid-file", "pid");
  await Deno.writeTextFile(work.path("pid"), "1\n");
  await server.stop();
  assertEquals(await Deno.readTextFile(work.path("pid")), "1\n");
});

Deno.test("virstor serve does not begin if the pid file cannot be written", async () => {
  await using work = await makeSmallPool();
  const { code, stdout, stderr } = await work.run(
    ["serve", "--socket", "s", "--pid-file", "none/pid", "demo"],
  );
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /^virstor: Cannot write the pid file "none\/pid": .*\n$/);
  assertEquals(await exists(work.path("s")), false);
  // A slip of the hand: the file of a component.
  const before = await Deno.readFile(work.path("a"));
  const slip = await work.run(
    ["serve", "--socket", "s", "--pid-file", "a", "demo"],
  );
  assertEquals([slip.code, slip.stdout], [4, ""]);
  assertEquals(
    slip.stderr,
    'virstor: Cannot write the pid file "a": something else than a process id ' +
      "is there, use another path\n",
  );
  assertEquals(await Deno.readFile(work.path("a")), before);
});

/** A server that has to stop, and a client whose unread replies hold it up. */
async function heldUp(
  work: Workspace,
  grace: number,
): Promise<{ server: Server; client: NbdClient }> {
  const server = await serve(work, "--grace", `${grace}`);
  const client = await NbdClient.open(server);
  for (let i = 0; i < 32; i++) {
    await client.send({ command: NBD.CMD_READ, length: 16 * MIB });
  }
  await untilStatus(work, ({ server }) => server?.counters.reads !== 0);
  server.signal("SIGTERM");
  await server.said(/ stopping: /);
  return { server, client };
}

Deno.test("virstor serve --grace waits no longer for slow clients", async () => {
  await using patientWork = await makeSmallPool();
  await using work = await makeSmallPool();
  // A server with a longer grace stops first, and tells that the client is
  // slow.
  const patient = await heldUp(patientWork, 10 * PATIENCE_MS / 1000);
  const begin = performance.now();
  const { server, client } = await heldUp(work, 0.2);
  assertEquals((await server.ended()).code, 0);
  assert(performance.now() - begin > 150, "it ends before its time is up");
  const { server: shown } = await statusOf(patientWork);
  assertEquals(shown?.clients.length, 1);
  client.close();
  patient.client.close();
  assertEquals((await patient.server.ended()).code, 0);
});

Deno.test("virstor serve --run ends with the command, and as it does", async () => {
  await using work = await makeSmallPool();
  const script = 'echo "$uri|$socket|$exportname"; test -S "$socket"; exit 7';
  const { code, stdout, stderr } = await start(
    work,
    ["serve", "--run", script, "demo"],
  ).ended();
  assertEquals(code, 7, stderr);
  const [uri = "", socket = "", name] = stdout.trimEnd().split("|");
  // Standard output is the command's alone.
  assertEquals(uri, `nbd+unix:///demo?socket=${socket}`);
  assertEquals(name, "demo");
  assertEquals(await exists(socket), false);
  assertMatch(stderr, / stopping: The command ended with exit code 7\n/);
});

Deno.test("virstor serve --run gives the addresses that were asked for", async () => {
  await using work = await makeSmallPool();
  const listen = ["--socket", "s", "--listen", "127.0.0.1:0"];
  const { code, stdout } = await start(
    work,
    ["serve", ...listen, "--run", 'echo "$uri $socket"', "demo"],
  ).ended();
  assertEquals(code, 0);
  assertMatch(stdout, /^nbd:\/\/localhost:\d+\/demo \/.*\/s\n$/);
});

Deno.test("virstor serve --run ends the command when it is stopped", async () => {
  await using work = await makeSmallPool();
  const script = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done";
  const server = start(work, ["serve", "--run", script, "demo"]);
  await eventually("it runs", () => server.stdout !== "", 20);
  await work.succeed(["stop", "demo"]);
  assertEquals((await server.ended()).code, 3);
});

Deno.test("RunningCommand says what it lacks without the right to run", async () => {
  const module = new URL("../../cli/serve/run_command.ts", import.meta.url);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `
      import { RunningCommand } from "${module}";
      await Deno.permissions.revoke({ name: "run" });
      try {
        new RunningCommand("true", {});
      } catch ({ code, message }) {
        console.log(code + ": " + message);
      }
    `,
    ],
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(
    new TextDecoder().decode(stdout),
    "unsupported: Cannot run a command: Deno allows it only to a program " +
      "with all permissions; set VIRSTOR_ALLOW_ALL=1\n",
  );
});
