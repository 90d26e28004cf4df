/**
 * Measures how long a client waits beside hostile clients, which send every
 * kind of request in its most expensive form, pipelined and unread, from one
 * client and from eight, with threads and without. The aims: a 4 KiB READ of
 * another client takes 50 ms (p99), and a new client is served within 200 ms. A
 * server without hostile clients ("quiet") gets the same requests at the same
 * time: on a busy machine its clients wait, too.
 *
 * ```sh
 * deno task fair            # all, in about ten minutes on two idle cores
 * deno task fair --only status,zeroes --seconds 2
 * ```
 *
 * @module
 */

import { parseArgs } from "@std/cli";
import { AttackedPool } from "../tests/helpers/attacked_pool.ts";
import {
  HOSTILE_CHUNK,
  HOSTILE_KINDS,
  type HostileKind,
} from "../tests/helpers/hostile.ts";
import { NbdClient } from "../tests/helpers/nbd_client.ts";
import { HostileThread } from "./hostile_thread.ts";

/** What is promised, milliseconds. */
const READ_MAX = 50;
const FRESH_MAX = 200;
/** How often a new client comes, milliseconds. */
const FRESH_EVERY = 50;

/** Latencies, milliseconds. */
class Latencies {
  readonly #all: number[] = [];

  async time<T>(act: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await act();
    this.#all.push(performance.now() - start);
    return result;
  }

  at(share: number): number {
    const sorted = this.#all.toSorted((a, b) => a - b);
    return sorted[Math.ceil(share * sorted.length) - 1] ?? NaN;
  }

  get count(): number {
    return this.#all.length;
  }
}

/** What others saw. */
interface Seen {
  readonly reads: Latencies;
  readonly fresh: Latencies;
  readonly status: Latencies;
}

/** A good client reads, and new clients come, for some time. */
async function observe(target: AttackedPool, seconds: number): Promise<Seen> {
  const seen = {
    reads: new Latencies(),
    fresh: new Latencies(),
    status: new Latencies(),
  };
  using good = await seen.fresh.time(() =>
    NbdClient.open(target.address, "pool")
  );
  const end = performance.now() + seconds * 1000;
  const readAll = async () => {
    for (let i = 0; performance.now() < end; i++) {
      await seen.reads.time(() => good.read(i % 16 * HOSTILE_CHUNK, 4096));
      if (i % 16 === 0) await sleep(1);
    }
  };
  const comeAll = async () => {
    while (performance.now() < end) {
      await seen.fresh.time(async () => {
        using client = await NbdClient.open(target.address, "pool");
        await client.read(0, 4096);
      });
      await seen.status.time(() => target.status());
      await sleep(FRESH_EVERY);
    }
  };
  await Promise.all([readAll(), comeAll()]);
  return seen;
}

/** @returns Whether a bound was passed by more than the machine's own part. */
function row(name: string, seen: Seen, quiet: Seen, rss: number): boolean {
  const ms = (value: number) => value.toFixed(1).padStart(8);
  const { reads, fresh, status } = seen;
  const isWithin = reads.at(0.99) - quiet.reads.at(0.99) < READ_MAX &&
    fresh.at(0.99) - quiet.fresh.at(0.99) < FRESH_MAX &&
    status.at(0.99) - quiet.status.at(0.99) < FRESH_MAX;
  print([
    name.padEnd(30),
    ...[ms(reads.at(0.5)), ms(reads.at(0.99)), ms(quiet.reads.at(0.99))],
    ...[ms(fresh.at(0.5)), ms(fresh.at(0.99)), ms(quiet.fresh.at(0.99))],
    ...[ms(status.at(0.99)), ms(quiet.status.at(0.99))],
    String(reads.count).padStart(7),
    rss.toFixed(0).padStart(6),
    isWithin ? "" : "  OVER",
  ].join(" "));
  return isWithin;
}

function print(line: string): void {
  // deno-lint-ignore no-console -- this is what it is for
  console.log(line);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** One kind of attack, and what others see beside it. */
async function measure(
  kind: HostileKind,
  clients: number,
  threads: string[],
  seconds: number,
  quiet: AttackedPool,
): Promise<boolean> {
  await using target = await AttackedPool.start(kind.stage, threads);
  using _ = await HostileThread.begin(target.address, kind.name, clients);
  const [seen, beside] = await Promise.all([
    observe(target, seconds),
    observe(quiet, seconds),
  ]);
  const title = threads.length > 0 ? "loop " : "lanes";
  const name = `${title} ${kind.name} x${clients}`;
  return row(name, seen, beside, target.residentBytes / 2 ** 20);
}

const args = parseArgs(Deno.args, {
  string: ["only", "seconds", "clients", "threads"],
  default: { seconds: "3", clients: "1,8", threads: "0,4" },
});
const only = args.only?.split(",") ?? [];
const columns = ["read p50", "p99", "quiet", "new p50", "p99", "quiet"];
print([
  " ".repeat(30),
  ...[...columns, "st. p99", "quiet"].map((name) => name.padStart(8)),
  ...["reads".padStart(7), "MiB".padStart(6)],
].join(" "));
// A server without hostile clients, at the same time: what the machine does.
const quiet = await AttackedPool.start("full", ["--threads", "0"]);
const chosen = HOSTILE_KINDS.filter(({ name }) =>
  only.length === 0 || only.some((one) => name.startsWith(one))
);
let over = 0;
for (const kind of chosen) {
  for (const threads of args.threads.split(",")) {
    for (const clients of args.clients.split(",").map(Number)) {
      const serve = threads === "4" ? [] : ["--threads", threads];
      const seconds = Number(args.seconds);
      if (!await measure(kind, clients, serve, seconds, quiet)) over++;
    }
  }
}
await quiet[Symbol.asyncDispose]();
print(over === 0 ? "All within the bounds" : `${over} over the bounds`);
Deno.exit(over === 0 ? 0 : 1);
