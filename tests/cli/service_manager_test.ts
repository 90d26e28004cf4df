/**
 * What `serve` tells a service manager: a real socket, of both kinds, receives
 * the datagrams.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { stateLine } from "../../cli/serve/state_line.ts";
import { makeScratch, openSmallPool, pattern } from "../helpers/scratch.ts";
import { BusyClient } from "../helpers/busy_client.ts";
import { NO_NATIVE_CALLS } from "../helpers/native.ts";
import { PATIENCE_MS, pause } from "../helpers/patience.ts";
import { testUnless } from "../helpers/peers.ts";

import { CHUNK, fill, makeSmallPool } from "./served.ts";

const RECEIVER = fileURLToPath(
  new URL("../helpers/notify_receiver.ts", import.meta.url),
);

/** A socket that collects its messages. */
class NotifySocket implements AsyncDisposable {
  /** The datagrams, in order. */
  readonly told: string[] = [];
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<void>;

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#reading = this.#read(process.stdout);
  }

  /** Listens on a path, or on an abstract name behind an `@`. */
  static async open(name: string): Promise<NotifySocket> {
    const socket = new NotifySocket(
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-config", "--unstable-net", RECEIVER, name],
        stdin: "null",
        stdout: "piped",
      }).spawn(),
    );
    await socket.until((told) => told.includes("listening"));
    return socket;
  }

  /** Waits until certain messages have come. */
  async until(isSaid: (told: readonly string[]) => boolean): Promise<void> {
    for (const end = performance.now() + PATIENCE_MS; !isSaid(this.told);) {
      if (performance.now() > end) {
        throw new Error(`Told only ${JSON.stringify(this.told)}`);
      }
      await pause(20);
    }
  }

  /** Waits for a state. */
  async shows(state: RegExp): Promise<void> {
    await this.until((told) =>
      told.some((text) => state.test(/^STATUS=(.*)$/m.exec(text)?.[1] ?? ""))
    );
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      const lines = (rest + decoder.decode(bytes, { stream: true }))
        .split("\n");
      rest = lines.pop() ?? "";
      this.told.push(...lines.map((line) => JSON.parse(line)));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#process.status;
    await this.#reading;
  }
}

testUnless(
  "virstor serve tells a service manager its state",
  NO_NATIVE_CALLS,
  async () => {
    await using work = await makeSmallPool("native", ["a", "b"]);
    const NOTIFY_SOCKET = work.path("notify");
    await using socket = await NotifySocket.open(NOTIFY_SOCKET);
    const args = ["serve", "--listen", "127.0.0.1:0", "demo"];
    const server = await work.serve(args, { env: { NOTIFY_SOCKET } });
    await socket.until((told) => told.length >= 3);
    assertEquals(socket.told.slice(1, 3), [
      "STATUS=Opening pools",
      "READY=1\nSTATUS=demo: 0% used, 0 clients",
    ]);
    const client = await BusyClient.open({ port: server.port }, "demo");
    await fill(client, 12);
    await socket.shows(/^demo: full, 100% used, 1 client$/);
    const write = client.write(20 * CHUNK, pattern(4096, 1));
    await socket.shows(
      /^demo: full, 100% used, 1 write waits for space, 1 client$/,
    );
    await work.succeed(["add", "--create", "2M", "demo", "c"]);
    assertEquals((await write).errno, 0);
    await socket.shows(/^demo: [\d.]+% used, 1 client$/);
    const slow = ["--detach", "--rate", "4K"];
    await work.succeed(["remove", ...slow, "demo", "b"]);
    await socket.shows(/^demo: .*, evacuating, [\d.]+ [KM]iB left, 1 client$/);
    await client.disconnect();
    assertEquals((await server.stop()).code, 0);
    await socket.until((told) => told.includes("STOPPING=1\nSTATUS=Stopping"));
    // Without WATCHDOG_USEC nothing waits for a sign of life.
    assertEquals(socket.told.includes("WATCHDOG=1"), false);
  },
);

testUnless(
  "virstor serve keeps a watchdog content, over an abstract socket",
  NO_NATIVE_CALLS,
  async () => {
    await using work = await makeSmallPool();
    const NOTIFY_SOCKET = `@virstor-test-${crypto.randomUUID()}`;
    await using socket = await NotifySocket.open(NOTIFY_SOCKET);
    const env = { NOTIFY_SOCKET, WATCHDOG_USEC: "200000" };
    const args = ["serve", "--listen", "127.0.0.1:0", "demo"];
    const server = await work.serve(args, { env });
    await socket.until((told) =>
      told.filter((text) => text === "WATCHDOG=1").length >= 4
    );
    await server.stop();
    assert(socket.told.some((text) => text.startsWith("READY=1\n")));
  },
);

testUnless(
  "virstor serve leaves the watchdog of another process alone",
  NO_NATIVE_CALLS,
  async () => {
    await using work = await makeSmallPool();
    const NOTIFY_SOCKET = work.path("notify");
    await using socket = await NotifySocket.open(NOTIFY_SOCKET);
    const env = { NOTIFY_SOCKET, WATCHDOG_USEC: "100000", WATCHDOG_PID: "1" };
    const args = ["serve", "--listen", "127.0.0.1:0", "demo"];
    const server = await work.serve(args, { env });
    await server.stop();
    await socket.until((told) =>
      told.some((one) => one.startsWith("STOPPING"))
    );
    assertEquals(socket.told.includes("WATCHDOG=1"), false);
  },
);

Deno.test("virstor serve does without a service manager that is gone", async () => {
  await using work = await makeSmallPool();
  for (const NOTIFY_SOCKET of [work.path("none"), "relative", "@none", ""]) {
    const args = ["serve", "--listen", "127.0.0.1:0", "demo"];
    const server = await work.serve(args, { env: { NOTIFY_SOCKET } });
    assertEquals((await server.stop()).code, 0);
  }
});

Deno.test("stateLine() names what is wrong with each pool", async () => {
  await using scratch = await makeScratch();
  const { pool } = await openSmallPool(scratch, 1, { format: "native" });
  const status = pool.status();
  await pool.close();
  const failed = {
    ...status,
    name: "b",
    state: "failed",
    reason: "Why",
  } as const;
  const degraded = {
    ...status,
    readOnly: true,
    usedPercent: 42.57,
    missing: [{ id: "", slot: 1 }, { id: "", slot: 2 }],
  } as unknown as typeof status;
  assertEquals(
    stateLine({ pools: [degraded, failed], clients: 2 }),
    "small: 42.5% used, 2 components missing, read-only; " +
      "b: 0% used, failed: Why, 2 clients",
  );
});
