/**
 * Unix sockets of a server: where they are, their rights, their owners,
 * and that they go on after the process has run out of descriptors.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { exists } from "@std/fs";
import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { ControlHandlers } from "../../cli/control/control_protocol.ts";
import { ControlServer } from "../../cli/serve/control_server.ts";
import { PidFile } from "../../cli/serve/pid_file.ts";
import { shortPath } from "../../nbd/listen/socket_path.ts";
import { listenOnPath } from "../../nbd/listen/unix_listener.ts";
import { VirstorError } from "../../errors.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch, MIB } from "../helpers/scratch.ts";
import { Server, type Workspace } from "../helpers/virstor.ts";
import { assertSound, makeSmallPool, serve, statusOf } from "./served.ts";

const MAIN = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

/** Names in a directory. */
function names(path: string): string[] {
  return Array.from(Deno.readDirSync(path)).map(({ name }) => name).sort();
}

/** Starts a server of "demo" by way of a shell. */
function spawn(
  work: Workspace,
  shell: string,
  script: string,
  options: string[],
): Server {
  return new Server(
    new Deno.Command(shell, {
      args: ["-c", script, Deno.execPath(), MAIN, "serve", ...options, "demo"],
      cwd: work.directory,
      env: { NO_COLOR: "1", VIRSTOR_STATE_DIR: work.stateDirectory },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
}

for (const length of [60, 100, 240]) {
  Deno.test(`virstor serve --socket takes a short path in a directory of ${length} bytes`, async () => {
    await using work = await makeSmallPool();
    const directory = `${work.directory}/${"d".repeat(length)}`;
    await Deno.mkdir(directory);
    for (const path of ["s.sock", "./s.sock", `${directory}/s.sock`]) {
      const args = ["serve", "--socket", path, "--socket-mode", "600", "demo"];
      const server = await work.serve(args, { cwd: directory });
      const { mode } = await Deno.lstat(`${directory}/s.sock`);
      assertEquals((mode ?? 0) & 0o777, 0o600);
      using short = shortPath(`${directory}/s.sock`);
      using client = await BusyClient.open(short);
      assertEquals(client.size, 64 * MIB);
      assertEquals((await server.stop()).code, 0);
      assertEquals(names(directory), []);
    }
  });
}

Deno.test("virstor serve --socket refuses a name that no client could use", async () => {
  await using work = await makeSmallPool();
  const name = "n".repeat(120);
  const { code, stderr } = await work.run(["serve", "--socket", name, "demo"]);
  assertEquals(code, 9);
  assertMatch(
    stderr,
    /^virstor: Cannot use socket "n+": its name is 120 bytes/,
  );
  assertEquals(names(work.directory), ["a", "state"]);
});

Deno.test("virstor finds a server by a state directory with a long path", async () => {
  await using work = await makeSmallPool();
  const long = work.path(`${"d".repeat(200)}/${"e".repeat(200)}`);
  await Deno.mkdir(long, { recursive: true });
  const env = { VIRSTOR_STATE_DIR: long };
  await work.succeed(["taste", "a"], { env });
  for (const cwd of ["/", long]) {
    const listen = ["serve", "--listen", "127.0.0.1:0", "demo"];
    const server = await work.serve(listen, { env, cwd });
    assertEquals(names(`${long}/control`), ["demo.sock"]);
    const status = await work.succeed(["status", "--json", "demo"], { env });
    assertEquals(JSON.parse(status).server.pid, server.pid);
    await work.succeed(["stop", "demo"], { env });
    assertEquals((await server.ended()).code, 0);
    assertEquals(names(`${long}/control`), []);
  }
});

Deno.test("a server that ends leaves the socket of its successor alone", async () => {
  await using work = await makeSmallPool();
  const sizes = ["-s", "64M", "-m", "128K", "--create", "1M"];
  await work.succeed(["label", ...sizes, "other", "b"]);
  const options = ["--socket", "s", "--pid-file", "pid"];
  const old = await work.serve(["serve", ...options, "demo"]);
  // The socket is removed before the old server has ended.
  await Deno.remove(work.path("s"));
  const successor = await work.serve(["serve", ...options, "other"]);
  assertEquals((await old.stop()).code, 0);
  using client = await BusyClient.open({ path: work.path("s") }, "other");
  assertEquals((await client.flush()).errno, 0);
  const pid = await Deno.readTextFile(work.path("pid"));
  assertEquals(pid, `${successor.pid}\n`);
  assertEquals((await successor.stop()).code, 0);
  assertEquals(names(work.directory), ["a", "b", "state"]);
});

Deno.test("ControlServer leaves the socket of its successor alone", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("control/demo.sock");
  const make = () => new ControlServer({} as ControlHandlers, () => {});
  const [old, successor] = [make(), make()];
  await old.listen(path);
  const refused = await assertRejects(() => make().listen(path), VirstorError);
  assertEquals(refused.code, "busy");
  await Deno.remove(path);
  await successor.listen(path);
  old.retire();
  await old.answered();
  (await Deno.connect({ transport: "unix", path })).close();
  successor.retire();
  await successor.answered();
  assertEquals(names(dirname(path)), []);
});

Deno.test("PidFile leaves a file alone that another process has written", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("pid");
  const own = new PidFile(path);
  await pause(20);
  // In another container a process may have the same number.
  const successor = new PidFile(path);
  own.remove();
  assertEquals(await Deno.readTextFile(path), `${Deno.pid}\n`);
  successor.remove();
  assertEquals(await exists(path), false);
  successor.remove();
});

Deno.test("PidFile overwrites nothing but pid files", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("pid");
  const diary = scratch.file("diary");
  const fifo = scratch.file("fifo");
  await Deno.writeTextFile(diary, "Dear diary\n");
  await new Deno.Command("mkfifo", { args: [fifo] }).output();
  await Deno.symlink(diary, scratch.file("link"));
  for (const other of [diary, fifo, scratch.file("link"), scratch.path]) {
    const refused = assertThrows(() => new PidFile(other), VirstorError);
    assertEquals(refused.code, "exists");
  }
  assertEquals(await Deno.readTextFile(diary), "Dear diary\n");
  // What servers leave behind that crash, or that find no space.
  for (const left of ["4194304\n", ""]) {
    await Deno.writeTextFile(path, left);
    new PidFile(path).remove();
    assertEquals(await exists(path), false);
  }
});

Deno.test("listenOnPath() replaces sockets without a listener, and nothing else", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("s");
  const codeOf = async () =>
    (await assertRejects(() => listenOnPath(path), VirstorError)).code;
  await Deno.writeTextFile(path, "");
  assertEquals(await codeOf(), "exists");
  await Deno.remove(path);
  await Deno.symlink("nowhere", path);
  assertEquals(await codeOf(), "exists");
  await Deno.remove(path);
  const stale = Deno.listen({ transport: "unix", path: scratch.file("old") });
  await Deno.rename(scratch.file("old"), path);
  assertEquals(await codeOf(), "busy");
  stale.close();
  const listener = await listenOnPath(path);
  assertEquals(await codeOf(), "busy");
  assertEquals(names(dirname(path)), [basename(path)]);
  listener.close();
  listener.close();
  assertEquals(names(dirname(path)), []);
});

Deno.test("listenOnPath() names the path in what the system refuses", async () => {
  await using scratch = await makeScratch();
  await Deno.writeTextFile(scratch.file("file"), "");
  for (const path of ["none/s", "file/s"]) {
    const error = await assertRejects(
      () => listenOnPath(scratch.file(path)),
      VirstorError,
    );
    assertEquals(error.code, "io");
    assert(
      error.message.startsWith(
        `Cannot listen on "${scratch.file(path)}": `,
      ),
      error.message,
    );
  }
});

/** Tells the rights of a path and whether it listens, when it is first seen. */
const WATCH = `
import os, socket, sys
path = sys.argv[1]
print("ready", flush=True)
while True:
    try:
        mode = os.lstat(path).st_mode & 0o777
    except FileNotFoundError:
        continue
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        print(oct(mode), "listens")
    except OSError as error:
        print(oct(mode), error)
    break
`;

peerTest(
  "a Unix socket has its rights, and listens, when it is first seen",
  ["python3"],
  async () => {
    await using scratch = await makeScratch();
    for (let round = 0; round < 20; round++) {
      const path = scratch.file(`s${round}`);
      const watcher = new Deno.Command("python3", {
        args: ["-c", WATCH, path],
        stdout: "piped",
      }).spawn();
      const output = watcher.stdout.pipeThrough(new TextDecoderStream());
      let text = "";
      let listener: Deno.Listener | undefined;
      for await (const piece of output) {
        text += piece;
        if (!text.includes("ready")) continue;
        listener ??= await listenOnPath(path, { socketMode: 0o640 });
      }
      await watcher.status;
      assertEquals(text, "ready\n0o640 listens\n");
      assert(listener !== undefined);
      const accepted = await listener.accept();
      accepted.close();
      listener.close();
    }
  },
);

peerTest(
  "a server that ran out of descriptors goes on when there are some again",
  ["bash"],
  async () => {
    await using work = await makeSmallPool();
    const server = spawn(work, "bash", `ulimit -n 60; exec "$0" run -A "$@"`, [
      ...["--socket", "s", "--max-clients", "1000"],
    ]);
    try {
      await server.ready();
      const begin = performance.now();
      const path = work.path("s");
      const clients = await Promise.all(
        Array.from(
          { length: 80 },
          () => Deno.connect({ transport: "unix", path }),
        ),
      );
      await server.said(/accept-failed: .*Too many open files/);
      // Commands come meanwhile, too. They may be answered in the end.
      const asked = work.run(["status", "demo"]);
      await server.said(/Too many open files.* \(and \d+ more\)/);
      const told = server.stderr.match(/accept-failed: Cannot accept a conn/g);
      const seconds = (performance.now() - begin) / 1000;
      // One a second, of the NBD socket and of the control socket.
      assert((told?.length ?? 0) <= 2 * seconds + 2, `${told?.length} lines`);
      for (const client of clients) client.close();
      await asked;
      assertEquals((await statusOf(work)).server?.pid, server.pid);
      using client = await BusyClient.open({ path });
      assertEquals((await client.flush()).errno, 0);
      await client.disconnect();
      await work.succeed(["stop", "demo"]);
      assertEquals((await server.ended()).code, 0);
    } finally {
      await server.kill();
    }
    await assertSound(work);
  },
);

/**
 * How the launcher is started, which finds out that SIGHUP is ignored: where the
 * runtime has to compile the program, it installs handlers before the program
 * can look. On a busy machine it may have to at any time.
 */
const LAUNCH = `trap '' HUP; main=$1; shift 2; ` +
  `exec "\${main%/cli/main.ts}/virstor" serve "$@"`;
const UNDER_NOHUP = {
  "": LAUNCH,
  ", when nothing is compiled yet":
    `export DENO_DIR="$PWD/compiled"; ${LAUNCH}`,
};
for (const [when, script] of Object.entries(UNDER_NOHUP)) {
  peerTest(
    `SIGHUP that is ignored at the start does not end virstor serve${when}`,
    [
      "sh",
    ],
    async () => {
      await using work = await makeSmallPool();
      const server = spawn(work, "sh", script, ["--socket", "s"]);
      try {
        await server.ready();
        for (let i = 0; i < 5; i++) {
          server.signal("SIGHUP");
          await pause(50);
          assertEquals((await statusOf(work)).server?.pid, server.pid);
        }
        assertEquals((await server.stop()).code, 0);
      } finally {
        await server.kill();
      }
    },
  );
}

Deno.test("SIGHUP ends virstor serve", async () => {
  await using work = await makeSmallPool();
  const server = await serve(work);
  server.signal("SIGHUP");
  const { code, stderr } = await server.ended();
  assertEquals(code, 0);
  assertMatch(stderr, / stopping: Got SIGHUP/);
});
