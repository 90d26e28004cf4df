/**
 * `serve --on-event`: real programs for the events of a real server.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { EventRecord } from "../../cli/control/mod.ts";
import { EventHooks } from "../../cli/serve/event_hooks.ts";
import { parseHook } from "../../cli/serve/hook_option.ts";
import { HookProcess } from "../../cli/serve/hook_process.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import { testNatively } from "../helpers/native.ts";
import { PATIENCE_MS, pause } from "../helpers/patience.ts";
import { makeScratch, pattern, type Scratch } from "../helpers/scratch.ts";
import { Server, type Workspace } from "../helpers/virstor.ts";
import { BLOCK, CHUNK, fill, makeSmallPool } from "./served.ts";

const LAUNCHER = fileURLToPath(new URL("../../virstor", import.meta.url));

const EVENT: EventRecord = {
  time: "2026-01-01T00:00:00.000Z",
  number: 1,
  level: "info",
  kind: "resized",
  pool: "demo",
  components: [],
  message: "Resized",
};

/** Writes a program. */
async function script(path: string, text: string): Promise<string> {
  await Deno.writeTextFile(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return path;
}

async function until(isDone: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; !await isDone();) {
    if (performance.now() > end) throw new Error("Not done in time");
    await pause(20);
  }
}

/** The text of a file, "" if there is none. */
async function textOf(path: string): Promise<string> {
  return await Deno.readTextFile(path).catch(() => "");
}

function hookOf(path: string, ...args: string[]) {
  return { kinds: [], program: path, args };
}

/** Serves the pool with hooks. */
function serveWith(work: Workspace, ...hooks: string[]): Promise<Server> {
  const options = hooks.flatMap((hook) => ["--on-event", hook]);
  const args = ["serve", "--listen", "127.0.0.1:0", ...options, "demo"];
  return work.serve(args, { allPermissions: true });
}

Deno.test("parseHook() reads kinds, a program and its arguments, without a shell", () => {
  const parsed = (text: string) => {
    const { kinds, program, args } = parseHook(text);
    return [kinds.join(), program, ...args];
  };
  assertEquals(parsed("/bin/a"), ["", "/bin/a"]);
  assertEquals(parsed("logger -t virstor"), ["", "logger", "-t", "virstor"]);
  assertEquals(parsed("watermark,host-full=/bin/a $x `y`"), [
    ...["watermark,host-full", "/bin/a", "$x", "`y`"],
  ]);
  assertEquals(parsed(`'/my dir/a' "b c"d ''`), ["", "/my dir/a", "b cd", ""]);
  assertEquals(parsed("/bin/a k=v"), ["", "/bin/a", "k=v"]);
  assertEquals(parsed("./a"), ["", `${Deno.cwd()}/a`]);
});

Deno.test("virstor serve refuses hooks that cannot run", async () => {
  await using work = await makeSmallPool();
  const plain = await work.makeFile("plain", 0);
  const cases: [string, number, RegExp][] = [
    ["watermrk=/bin/true", 64, /knows no event "watermrk"/],
    ["watermark=", 64, /names no program/],
    ["/absent/program", 3, /Cannot run "\/absent\/program" for events: /],
    [plain, 3, /name a program that may be executed/],
  ];
  for (const [hook, code, message] of cases) {
    const args = ["serve", "--on-event", hook, "demo"];
    const refused = await work.run(args, { allPermissions: true });
    assertMatch(refused.stderr, message);
    assertEquals(refused.code, code);
  }
  const refused = await work.run(["serve", "--on-event", "/bin/true", "demo"]);
  assertEquals(refused.code, 7);
  assertMatch(refused.stderr, /Deno does not allow it/);
});

Deno.test("virstor serve --on-event gives each event to its programs", async () => {
  await using work = await makeSmallPool();
  const out = work.path("out");
  const all = await script(work.path("all"), `cat >> "${out}"`);
  const only = await script(
    work.path("only"),
    `cat > /dev/null; echo "$1" >> "${work.path("args")}"; exit 3`,
  );
  const server = await serveWith(work, all, `delayed,resumed=${only} 'a b'`);
  const client = await BusyClient.open(server);
  await fill(client);
  const waiting = client.write(40 * CHUNK, pattern(BLOCK, 1));
  await server.said(
    /hook-failed: The program ".*only" for "delayed" failed: exit code 3/,
  );
  await work.succeed(["add", "--create", "1M", "demo", "b"]);
  assertEquals((await waiting).errno, 0);
  await server.said(/for "resumed" failed/);
  await client.disconnect();
  const { code } = await server.stop();
  assertEquals(code, 0);
  assertEquals(await textOf(work.path("args")), "a b\na b\n");
  // The last event came while the server ended.
  const lines = (await textOf(out)).trimEnd().split("\n");
  const events: EventRecord[] = lines.map((line) => JSON.parse(line));
  for (const kind of ["watermark", "delayed", "added", "resumed", "stopping"]) {
    assert(events.some((one) => one.kind === kind), kind);
  }
  const added = events.find(({ kind }) => kind === "added");
  assertEquals(added?.components, [work.path("b")]);
});

Deno.test("the launcher lets virstor run the programs of --on-event, and no others", async () => {
  await using work = await makeSmallPool();
  const out = work.path("out");
  const hook = await script(work.path("hook"), `cat >> "${out}"`);
  const launch = (...options: string[]) =>
    new Deno.Command(LAUNCHER, {
      args: ["serve", "--listen", "127.0.0.1:0", ...options, "demo"],
      cwd: work.directory,
      env: {
        PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`,
        VIRSTOR_STATE_DIR: work.stateDirectory,
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
  await Deno.mkdir(work.path("my dir"));
  await Deno.copyFile(hook, work.path("my dir/it's"));
  const quoted = `stopping='my dir'"/it's" x`;
  const options = [
    ...["--on-event", `stopping=${hook} x`, "--on-event=./hook"],
    ...["--on-event", quoted],
  ];
  const server = new Server(launch(...options).spawn());
  await server.ready();
  await work.succeed(["stop", "demo"]);
  assertEquals((await server.ended()).code, 0);
  assertEquals((await textOf(out)).match(/"kind":"stopping"/g)?.length, 3);
});

Deno.test("a program of --on-event that changes while the server runs is run as it is", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("hook");
  const run = () => new HookProcess(hookOf(path), EVENT, PATIENCE_MS).ended;
  await script(path, "exit 0");
  assertEquals(await run(), "");
  await script(path, "exit 3");
  assertEquals(await run(), "exit code 3");
  await Deno.chmod(path, 0o644);
  assertMatch(await run(), /denied/);
  await Deno.remove(path);
  assertMatch(await run(), /No such file|not found|entity/);
  await Deno.writeTextFile(path, "no program\n", { mode: 0o755 });
  assertMatch(await run(), /Exec format error|exit code 1/);
  await script(path, "kill -SEGV $$");
  assertEquals(await run(), "it was ended by SIGSEGV");
  // It may write as much as it likes, and close what it was given.
  await script(path, "exec 0<&-; head -c 4000000 /dev/zero; exec 1>&-");
  assertEquals(await run(), "");
});

testNatively("HookProcess ends what its program has started, too", async () => {
  await using scratch = await makeScratch();
  const pids = scratch.file("pids");
  // One of them is deaf to SIGTERM, and so is what that one starts.
  const path = await script(
    scratch.file("hook"),
    `sleep 600 & echo $! >> "${pids}"
sh -c 'trap "" TERM; echo $$ >> "${pids}"; sleep 600; :' &
wait`,
  );
  const hook = new HookProcess(hookOf(path), EVENT, PATIENCE_MS);
  const started = async () =>
    (await textOf(pids)).split("\n").filter((one) => one !== "");
  await until(async () => (await started()).length === 2);
  hook.end("it has to");
  assertEquals(await hook.ended, "it has to");
  for (const pid of await started()) {
    await until(async () => {
      // One that has ended may be there until its parent has looked at it.
      const status = await textOf(`/proc/${pid}/status`);
      return status === "" || status.includes("State:\tZ");
    });
  }
});

/** A program that says that it runs, and waits for a file "go". */
function patient(scratch: Scratch): Promise<string> {
  const [go, runs] = [scratch.file("go"), scratch.file("runs")];
  return script(
    scratch.file("patient"),
    `cat >> "${runs}"; until [ -e "${go}" ]; do sleep 0.1; done`,
  );
}

Deno.test("EventHooks runs one program of a kind at a time, and bounds the queue", async () => {
  await using scratch = await makeScratch();
  const hooks = new EventHooks([hookOf(await patient(scratch))]);
  for (let number = 1; number <= 40; number++) hooks.add({ ...EVENT, number });
  hooks.add({ ...EVENT, kind: "added", number: 100 });
  const runs = () => textOf(scratch.file("runs"));
  await until(async () => (await runs()).split("\n").length === 3);
  await Deno.writeTextFile(scratch.file("go"), "");
  await hooks.end(PATIENCE_MS);
  const numbers = (await runs()).trimEnd().split("\n")
    .map((line) => JSON.parse(line).number);
  assertEquals(numbers.filter((number) => number !== 100), [
    ...Array.from({ length: 16 }, (_, i) => 25 + i),
  ]);
  assert(numbers.includes(100));
});

Deno.test("EventHooks.end() ends programs after the grace, and drops what waits", async () => {
  await using scratch = await makeScratch();
  const hooks = new EventHooks([hookOf(await patient(scratch))]);
  hooks.add(EVENT);
  const runs = () => textOf(scratch.file("runs"));
  await until(async () => await runs() !== "");
  hooks.add({ ...EVENT, number: 2 });
  await hooks.end(0);
  assertEquals((await runs()).trimEnd().split("\n").length, 1);
});

Deno.test("HookProcess ends a program that takes too long, also one that ignores SIGTERM", async () => {
  await using scratch = await makeScratch();
  const deaf = await script(
    scratch.file("deaf"),
    "trap '' TERM; while :; do sleep 0.1; done",
  );
  const hook = new HookProcess(hookOf(deaf), EVENT, 50);
  assertEquals(await hook.ended, "it ran for more than 0.05 s");
  const killed = await script(scratch.file("killed"), "kill -9 $$");
  assertEquals(
    await new HookProcess(hookOf(killed), EVENT, PATIENCE_MS).ended,
    "it was ended by SIGKILL",
  );
  // A program need not read the event.
  const big = { ...EVENT, message: "x".repeat(2 ** 20) };
  assertEquals(
    await new HookProcess(hookOf("/bin/true"), big, PATIENCE_MS).ended,
    "",
  );
  const absent = new HookProcess(hookOf(scratch.file("no")), EVENT, 50);
  assertMatch(await absent.ended, /no/);
});
