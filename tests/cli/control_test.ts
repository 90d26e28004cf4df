/**
 * The control socket: both ends, in one process.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { request } from "node:http";
import { dirname } from "node:path";
import { callServer } from "../../cli/control/control_client.ts";
import type { ControlHandlers } from "../../cli/control/control_protocol.ts";
import { receiveMessage } from "../../cli/control/mod.ts";
import { ControlServer } from "../../cli/serve/control_server.ts";
import { controlSocketPath } from "../../cli/state/state_directory.ts";
import { VirstorError } from "../../errors.ts";
import { makeScratch, type Scratch } from "../helpers/scratch.ts";

/** Handlers that fail, but for those that are given. */
function handlers(given: Partial<ControlHandlers>): ControlHandlers {
  const fail = () => Promise.reject(new Error("Not asked in this test"));
  return {
    status: fail,
    add: fail,
    remove: fail,
    grow: fail,
    planRemove: fail,
    cancelRemove: fail,
    resize: fail,
    set: fail,
    check: fail,
    renamePool: fail,
    stop: fail,
    listVolumes: fail,
    createVolume: fail,
    removeVolume: fail,
    renameVolume: fail,
    setVolume: fail,
    flattenVolume: fail,
    cloneSnapshot: fail,
    takeSnapshots: fail,
    planRemoveSnapshots: fail,
    removeSnapshots: fail,
    rollback: fail,
    diff: fail,
    ...given,
  };
}

async function withServer(
  given: Partial<ControlHandlers>,
  test: (scratch: Scratch, bugs: unknown[]) => Promise<void>,
): Promise<void> {
  await using scratch = await makeScratch();
  const bugs: unknown[] = [];
  const server = new ControlServer(
    handlers(given),
    (error) => bugs.push(error),
  );
  await server.listen(controlSocketPath(scratch.path, "demo"));
  try {
    await test(scratch, bugs);
  } finally {
    server.retire();
    await server.answered();
  }
}

/** Sends anything. */
function post(
  scratch: Scratch,
  path: string,
  body: string,
): Promise<{ error?: { code: string; message: string } }> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socketPath = controlSocketPath(scratch.path, "demo");
  const outgoing = request(
    { socketPath, path, method: "POST", agent: false },
    (incoming) => {
      let text = "";
      incoming.on("data", (chunk) => text += chunk);
      incoming.on("end", () => resolve(text));
    },
  );
  outgoing.on("error", reject);
  outgoing.end(body);
  return promise.then((text) => JSON.parse(text));
}

Deno.test("callServer() gives undefined where no server listens", async () => {
  await using scratch = await makeScratch();
  assertEquals(
    await callServer(scratch.path, "demo", "status", null),
    undefined,
  );
});

Deno.test("ControlServer lets only its owner in", async () => {
  await withServer({}, async (scratch) => {
    const path = controlSocketPath(scratch.path, "demo");
    const socket = await Deno.stat(path);
    const directory = await Deno.stat(dirname(path));
    assertEquals((socket.mode ?? 0) & 0o777, 0o600);
    assertEquals((directory.mode ?? 0) & 0o777, 0o700);
  });
});

Deno.test("callServer() carries requests and answers", async () => {
  const asked: unknown[] = [];
  await withServer({
    remove: (request) => {
      asked.push(request);
      return Promise.resolve({ removed: ["/b"], evacuating: [] });
    },
    stop: (request) => {
      asked.push(request);
      return Promise.resolve(null);
    },
  }, async ({ path }) => {
    assertEquals(
      await callServer(path, "demo", "remove", {
        paths: ["/ä b"],
        bytesPerSecond: 0,
      }),
      { answer: { removed: ["/b"], evacuating: [] } },
    );
    assertEquals(
      await callServer(path, "demo", "stop", { force: true }),
      { answer: null },
    );
  });
  assertEquals(asked, [
    { paths: ["/ä b"], bytesPerSecond: 0 },
    { force: true },
  ]);
});

Deno.test("callServer() throws what the server refused with", async () => {
  await withServer({
    check: () => Promise.reject(new VirstorError("read-only", "Cannot, sorry")),
  }, async ({ path }, bugs) => {
    const error = await assertRejects(
      () => callServer(path, "demo", "check", null),
      VirstorError,
      "Cannot, sorry",
    );
    assertEquals(error.code, "read-only");
    assertEquals(bugs, []);
  });
});

Deno.test("ControlServer reports unexpected errors", async () => {
  const bug = new TypeError("A mistake");
  await withServer({
    check: () => Promise.reject(bug),
  }, async ({ path }, bugs) => {
    const error = await assertRejects(
      () => callServer(path, "demo", "check", null),
      VirstorError,
      "A mistake",
    );
    assertEquals(error.code, "failed");
    assertEquals(bugs, [bug]);
  });
});

Deno.test("ControlServer refuses requests that make no sense", async () => {
  await withServer({}, async (scratch, bugs) => {
    const requests = [
      ["/frob", "null", "unsupported"],
      ["/toString", "null", "unsupported"],
      ["/remove", "{", "invalid"],
      ["/remove", "null", "invalid"],
      ["/remove", "{}", "invalid"],
      ["/remove", '{"paths":["relative"]}', "invalid"],
      ["/set", "{}", "invalid"],
      ["/remove", '{"paths":["/a"],"bytesPerSecond":-1}', "invalid"],
      ["/planRemove", '{"paths":[]}', "invalid"],
      ["/cancelRemove", "{}", "invalid"],
      ["/resize", '{"force":true}', "invalid"],
      ["/resize", '{"virtualSize":"1G"}', "invalid"],
      ["/add", '{"paths":["/a",1]}', "invalid"],
    ] as const;
    for (const [path, body, code] of requests) {
      const { error } = await post(scratch, path, body);
      assertEquals(error?.code, code, `${path} ${body}`);
    }
    assertEquals(bugs, []);
  });
});

Deno.test("ControlServer answers what it was asked before it retired", async () => {
  await using scratch = await makeScratch();
  const path = controlSocketPath(scratch.path, "demo");
  const server = new ControlServer(
    handlers({
      stop: () => {
        server.retire();
        return Promise.resolve(null);
      },
    }),
    (error) => assert(false, String(error)),
  );
  await server.listen(path);
  assertEquals(
    await callServer(scratch.path, "demo", "stop", { force: false }),
    { answer: null },
  );
  await server.answered();
  await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
});

/** Takes connections without reading calls, and closes each. */
async function closeUnread(path: string, count: number): Promise<void> {
  const listener = Deno.listen({ transport: "unix", path });
  for (let i = 0; i < count; i++) {
    const connection = await listener.accept();
    connection.close();
  }
  listener.close();
}

Deno.test("a call that a server has not read before it closes is not lost", async () => {
  await using scratch = await makeScratch();
  const path = controlSocketPath(scratch.path, "demo");
  await Deno.mkdir(dirname(path), { recursive: true });
  // The server stops: the command finds out that no process serves the pool.
  const closed = closeUnread(path, 1);
  const stop = { force: false };
  assertEquals(await callServer(scratch.path, "demo", "stop", stop), undefined);
  await closed;
  // A server that reads nothing, again and again, is not asked for ever.
  const never = closeUnread(path, 3);
  const error = await assertRejects(
    () => callServer(scratch.path, "demo", "stop", stop),
    VirstorError,
    "Cannot ask the server",
  );
  assertEquals(error.code, "io");
  await never;
});

Deno.test("a change that gets no answer may be done, and the error says so", async () => {
  await using scratch = await makeScratch();
  const path = controlSocketPath(scratch.path, "demo");
  await Deno.mkdir(dirname(path), { recursive: true });
  const listener = Deno.listen({ transport: "unix", path });
  const killed = (async () => {
    for (let i = 0; i < 2; i++) {
      using connection = await listener.accept();
      await receiveMessage(connection);
    }
  })();
  const advice = "; the change may be done, so look before";
  const change = await assertRejects(
    () => callServer(scratch.path, "demo", "stop", { force: false }),
    VirstorError,
    `The server closed the connection without an answer${advice}`,
  );
  assertEquals(change.code, "io");
  const reading = await assertRejects(
    () => callServer(scratch.path, "demo", "check", null),
    VirstorError,
  );
  assertEquals(reading.message.includes(advice), false);
  await killed;
  listener.close();
});
