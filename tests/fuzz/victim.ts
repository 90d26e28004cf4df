/**
 * The process that is fuzzed: an NBD server with two pools behind it. It says
 * `ready PORT` when it listens, answers every line `report` with one line of
 * JSON, and ends as it should when its standard input ends.
 *
 * `victim.ts DIRECTORY`, where the pools and the Unix socket go.
 *
 * A connection of its own is the one that the event loop serves, so that others
 * get threads, as long as there are some.
 *
 * @module
 */

import { NbdServer } from "../../nbd/mod.ts";
import { trackDescriptors } from "../../nbd/server/stream/mod.ts";
import {
  checkComponents,
  labelPool,
  openPool,
  type Pool,
} from "../../pool/mod.ts";
import { NbdClient } from "../helpers/nbd_client.ts";
import { SMALL_CHUNK } from "../helpers/scratch.ts";
import type { VictimReport } from "./victim_process.ts";
import {
  HANDSHAKE_MS,
  HOSTILE,
  HOSTILE_COMPONENT,
  HOSTILE_SIZE,
  KEPT,
  KEPT_COMPONENT,
  KEPT_SIZE,
  LOCKED,
  OPTIONS_MAX,
} from "./world.ts";

/** Exit code if the server met something that it did not expect. */
const EXIT_PANIC = 70;
/** Exit code if a pool is not sound in the end. */
const EXIT_UNSOUND = 71;

/** Threads for clients; those that linger use them up in the end. */
const THREADS = 16;

/** A pool, and where it is. */
interface Disk {
  readonly pool: Pool;
  readonly paths: string[];
}

const directory = Deno.args[0] ?? ".";
const hostile = await makeDisk("hostile", HOSTILE_SIZE, HOSTILE_COMPONENT);
const kept = await makeDisk("kept", KEPT_SIZE, KEPT_COMPONENT);
const events = new Map<string, number>();
const disk = { description: "", readOnly: false };
const server = new NbdServer({
  exports: [
    { ...disk, name: HOSTILE, device: hostile.pool.volume() },
    { ...disk, name: LOCKED, device: hostile.pool.volume(), readOnly: true },
    { ...disk, name: KEPT, device: kept.pool.volume() },
  ],
  limits: {
    clients: 256,
    handshakeMs: HANDSHAKE_MS,
    options: OPTIONS_MAX,
  },
  threads: THREADS,
  log: ({ kind, message }) => {
    count(kind);
    if (message.includes("on a thread of its own")) count("lane");
    if (kind === "error") say(Deno.stderr, message);
  },
});
server.finished.catch((error) => {
  say(Deno.stderr, `Not expected: ${error?.stack ?? error}`);
  Deno.exit(EXIT_PANIC);
});
const tcp = Deno.listen({ hostname: "127.0.0.1", port: 0 });
const path = `${directory}/socket`;
const unix = Deno.listen({ transport: "unix", path });
for (const listener of [tcp, unix]) server.serve(trackDescriptors(listener));
const own = await NbdClient.open({ path }, KEPT);
say(Deno.stdout, `ready ${tcp.addr.port}`);
await answerReports();
await own.disconnect();
await server.close();
Deno.exit(await closeDisks());

function count(event: string): void {
  events.set(event, (events.get(event) ?? 0) + 1);
}

async function makeDisk(
  name: string,
  virtualSize: number,
  createSize: number,
): Promise<Disk> {
  const paths = ["0", "1"].map((i) => `${directory}/${name}${i}`);
  await labelPool({
    name,
    format: "native",
    paths,
    createSize,
    chunkSize: SMALL_CHUNK,
    virtualSize,
  });
  return { pool: await openPool(paths), paths };
}

/** @returns The exit code. */
async function closeDisks(): Promise<number> {
  let code = 0;
  for (const { pool, paths } of [hostile, kept]) {
    await pool.close();
    const { findings } = await checkComponents(paths);
    for (const finding of findings) {
      say(Deno.stderr, `Not sound: ${JSON.stringify(finding)}`);
      code = EXIT_UNSOUND;
    }
  }
  return code;
}

async function answerReports(): Promise<void> {
  const decoder = new TextDecoderStream();
  for await (const text of Deno.stdin.readable.pipeThrough(decoder)) {
    for (const line of text.split("\n")) {
      if (line === "report") say(Deno.stdout, JSON.stringify(report()));
    }
  }
}

function report(): VictimReport {
  collectGarbage();
  const { heapUsed, external } = Deno.memoryUsage();
  const { connections, ...counters } = server.counters;
  return {
    clients: server.clients.length - 1,
    delayed: hostile.pool.status().delayed.count,
    memory: heapUsed + external,
    descriptors: Deno.build.os === "linux" ? countDescriptors() : 0,
    counters: { ...counters, connections: connections - 1 },
    events: Object.fromEntries(events),
  };
}

/**
 * Of files and connections. The runtime opens others for itself at any time:
 * pairs of sockets without a name among them, which no client's is.
 */
function countDescriptors(): number {
  const directory = "/proc/self/fd";
  const unnamed = unnamedSockets();
  return [...Deno.readDirSync(directory)].filter(({ name }) => {
    try {
      const target = Deno.readLinkSync(`${directory}/${name}`);
      return /^(socket:|\/(?!proc|dev))/.test(target) && !unnamed.has(target);
    } catch {
      return false; // The one of the directory itself.
    }
  }).length;
}

/** Lines of Unix sockets end with the inode, and the name if there is one. */
function unnamedSockets(): ReadonlySet<string> {
  const found = new Set<string>();
  for (const line of Deno.readTextFileSync("/proc/net/unix").split("\n")) {
    const [inode] = /(?<= )\d+$/.exec(line.trimEnd()) ?? [];
    if (inode !== undefined) found.add(`socket:[${inode}]`);
  }
  return found;
}

/** Twice, because what the first round has finalized goes with the second. */
function collectGarbage(): void {
  const collect: unknown = Reflect.get(globalThis, "gc");
  if (typeof collect !== "function") throw new Error("Run it with --expose-gc");
  collect();
  collect();
}

function say(stream: { writeSync(bytes: Uint8Array): number }, text: string) {
  stream.writeSync(new TextEncoder().encode(`${text}\n`));
}
