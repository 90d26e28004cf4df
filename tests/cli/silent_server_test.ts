/**
 * Commands to a server that answers nothing: its process is suspended, or waits
 * for a disk.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { dirname } from "node:path";
import { callServer, followServer } from "../../cli/control/mod.ts";
import type { CallLimits } from "../../cli/control/control_client.ts";
import { receiveMessage, sendAnswer } from "../../cli/control/mod.ts";
import { controlSocketPath } from "../../cli/state/mod.ts";
import { VirstorError } from "../../errors.ts";

const NAME = "demo";

/** A control socket, and what was called over it. */
class FakeServer implements AsyncDisposable {
  readonly stateDirectory: string;
  readonly warnings: string[] = [];
  readonly calls: string[] = [];
  /** So short that a test does not wait for them. */
  readonly limits: CallLimits = {
    statusMs: 20,
    silenceMs: 10,
    warn: (text) => {
      this.warnings.push(text);
      this.onWarned();
    },
  };
  /** Called after a warning. */
  onWarned: () => void = () => {};
  /** Called with each call; answers it, or does not. */
  onCall: (call: string, answer: (value: unknown) => void) => void = () => {};
  readonly #listener: Deno.Listener;
  readonly #connections: Deno.Conn[] = [];
  readonly #serving: Promise<void>;

  constructor() {
    this.stateDirectory = Deno.makeTempDirSync({ prefix: "virstor-" });
    const path = controlSocketPath(this.stateDirectory, NAME);
    Deno.mkdirSync(dirname(path), { recursive: true });
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#serving = this.#serve();
  }

  async #serve(): Promise<void> {
    for await (const connection of this.#listener) {
      this.#connections.push(connection);
      const message = await receiveMessage(connection);
      if (message === undefined) continue;
      this.calls.push(message.call);
      this.onCall(message.call, (answer) => {
        void sendAnswer(connection, JSON.stringify({ answer })).catch(() => {});
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) connection.close();
    await this.#serving;
    await Deno.remove(this.stateDirectory, { recursive: true });
  }
}

Deno.test("a command that only reads gives up a server that answers nothing", async () => {
  await using server = new FakeServer();
  const { stateDirectory, limits, warnings } = server;
  const calls = [
    () => callServer(stateDirectory, NAME, "status", null, limits),
    () => callServer(stateDirectory, NAME, "check", null, limits),
    () => callServer(stateDirectory, NAME, "set", { settings: {} }, limits),
  ];
  for (const call of calls) {
    const error = await assertRejects(call, VirstorError);
    assertEquals(error.code, "io");
    assertMatch(
      error.message,
      /pool "demo" .*: No answer in 0\.02 s; look whether its process is suspended/,
    );
  }
  assertEquals(warnings, []);
});

Deno.test("a command that changes something says that it waits for a silent server", async () => {
  await using server = new FakeServer();
  const { stateDirectory, limits, warnings } = server;
  let answer: (value: unknown) => void = () => {};
  server.onCall = (call, send) => {
    if (call === "set") answer = send;
  };
  // The server goes on after the warning.
  server.onWarned = () => answer({ "on-full": "error" });
  const settings = { onFull: "error" } as const;
  const reply = await callServer(
    stateDirectory,
    NAME,
    "set",
    { settings },
    limits,
  );
  assertEquals(JSON.stringify(reply?.answer), '{"on-full":"error"}');
  assertEquals(warnings.length, 1);
  assertMatch(
    warnings[0] ?? "",
    /^The server of pool "demo" has not answered for 0\.02 s, the command waits for it: .*; if you interrupt the command, the server may still make the change$/,
  );
});

Deno.test("a call may take long while its server answers others", async () => {
  await using server = new FakeServer();
  const { stateDirectory, limits, warnings, calls } = server;
  let answer: (value: unknown) => void = () => {};
  let looks = 0;
  server.onCall = (call, send) => {
    if (call === "check") answer = send;
    else {
      send(null);
      if (++looks === 3) answer([]);
    }
  };
  // No limit of time decides: the server answers every look at once.
  const patient = { ...limits, statusMs: 60_000 };
  const reply = await callServer(
    stateDirectory,
    NAME,
    "check",
    null,
    patient,
  );
  assertEquals(reply?.answer, []);
  assertEquals(warnings, []);
  assertEquals(calls, ["check", "status", "status", "status"]);
});

for (const follow of [false, true]) {
  Deno.test(`events ${follow ? "--follow " : ""}gives up a server that answers nothing`, async () => {
    await using server = new FakeServer();
    const { stateDirectory } = server;
    const events = await followServer(
      stateDirectory,
      NAME,
      { last: 1, follow },
      20,
    );
    assert(events !== undefined);
    const error = await assertRejects(() => Array.fromAsync(events));
    assertMatch(String(error), /pool "demo" .*: No answer in 0\.02 s; look/);
  });
}
