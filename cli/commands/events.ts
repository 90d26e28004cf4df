/**
 * `virstor events`: shows what happens to served pools.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  type EventRecord,
  type EventsRequest,
  followServer,
} from "../control/mod.ts";
import { listRegistry } from "../state/mod.ts";
import {
  type Environment,
  EXIT_OK,
  type Invocation,
  numberOption,
  print,
} from "../terminal/mod.ts";

/** By default, how many events of before are shown of each pool. */
const LAST = 20;

/** The events of a pool. */
interface PoolStream {
  /** The name of the pool. */
  readonly name: string;
  /** Its events; undefined if it is not served. */
  readonly events: AsyncIterable<EventRecord> | undefined;
}

/**
 * Shows the latest events of served pools, and with `--follow` those to come.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} `not-found` if a named pool, or any pool, is not
 *   served; `io` if a server ends before it has sent all events.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const stateDirectory = environment.stateDirectory();
  const hint = 'Try "virstor events --help"';
  const last = numberOption(invocation, "last", /^\d+$/, hint) ?? LAST;
  const follow = invocation.flag("follow");
  const streams = await openStreams(
    stateDirectory,
    invocation.operands,
    { last, follow },
  );
  const lineOf = invocation.flag("json")
    ? (event: EventRecord) => JSON.stringify(event)
    : (event: EventRecord) => textOf(event, streams.length > 1);
  if (follow) {
    const { joinParts } = await import("../../device/block/mod.ts");
    // The first error ends the command, and with it the other streams.
    await joinParts(streams, async ({ events = [] }) => {
      for await (const event of events) print(lineOf(event));
    }, { failsFast: true });
    return EXIT_OK;
  }
  const all: EventRecord[][] = [];
  for (const { events = [] } of streams) {
    all.push(await Array.fromAsync(events));
  }
  for (const event of inOrder(all)) print(lineOf(event));
  return EXIT_OK;
}

/**
 * Puts the events of several pools in the order of time. Those of one pool stay
 * as they are, also where the clock was set back.
 *
 * @param all The events of each pool, in order.
 * @returns All of them.
 */
export function inOrder<T extends Pick<EventRecord, "time">>(
  all: readonly (readonly T[])[],
): T[] {
  const timed = all.flatMap((events) => {
    let time = "";
    return events.map((event) => {
      if (event.time > time) time = event.time;
      return { event, time };
    });
  });
  timed.sort((a, b) => a.time < b.time ? -1 : a.time > b.time ? 1 : 0);
  return timed.map(({ event }) => event);
}

/** The events of the named pools; without names, of all that are served. */
async function openStreams(
  stateDirectory: string,
  names: readonly string[],
  request: EventsRequest,
): Promise<PoolStream[]> {
  const known = names.length > 0
    ? [...new Set(names)]
    : (await listRegistry(stateDirectory)).map(({ name }) => name);
  const streams: PoolStream[] = [];
  for (const name of known) {
    const events = await followServer(stateDirectory, name, request);
    streams.push({ name, events });
  }
  const served = streams.filter(({ events }) => events !== undefined);
  const missing = names.length > 0
    ? streams.find(({ events }) => events === undefined)
    : undefined;
  if (missing === undefined && served.length > 0) return served;
  const what = missing === undefined ? "pools" : `pool "${missing.name}"`;
  throw new VirstorError(
    "not-found",
    `Cannot show events of ${what}: no process serves ` +
      `${missing === undefined ? "one" : "it"} under state directory ` +
      `"${stateDirectory}"; if one does under another, name that with ` +
      "--state-dir",
  );
}

/** The line of an event, like that of the log. */
function textOf(
  { time, kind, pool, message }: EventRecord,
  showPools: boolean,
): string {
  const parts = [`${time.replace(/\.\d+Z$/, "Z")} ${kind}`];
  if (showPools) parts.push(`pool "${pool}"`);
  return [...parts, message].join(": ");
}
