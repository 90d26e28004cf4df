/**
 * The benchmark: virstor beside other servers on the same machine, in turns.
 * `docs/performance.md` describes the cases and says what the figures mean.
 *
 * ```sh
 * deno task bench --help
 * ```
 *
 * @module
 */

import { parseArgs } from "@std/cli";
import { hasPeer } from "../tests/helpers/peers.ts";
import { buildPrograms } from "./c_programs.ts";
import type { Case, Scale } from "./case.ts";
import { allCases, FULL, QUICK } from "./cases.ts";
import { describeMachine, isInMemory } from "./machine.ts";
import { formatReport, formatServers, reportCase } from "./report.ts";
import { runCases } from "./run.ts";
import { SERVER_NAMES } from "./servers.ts";

const HELP = `Usage: deno task bench [OPTION...]

Measure virstor beside other NBD servers, in turns, and print tables.
Progress goes to standard error.

Options:
  --quick          about two minutes, and figures that only show that it works
  --only NAMES     cases whose names begin so, comma-separated
  --servers NAMES  these servers, comma-separated
  --rounds N       measure everything N times (default 3; 1 if quick)
  --seconds N      the length of a load (default 4; 0.3 if quick)
  --json           print JSON
  --list           print the cases and the servers
  --directory DIR  where disks are made, about 16 GiB (default /var/tmp)
  --profile DIR    have Deno write CPU profiles of this project's servers
  --before DIR     another checkout of this project, as the server "before"
  --help           print this help`;

/** On a disk, by convention, where /tmp may be memory. */
const DEFAULT_DIRECTORY = "/var/tmp";
/** Without these there is no load. */
const CLIENTS = ["fio", "nbdcopy"];
/** Bytes that are written to the image at once. */
const IMAGE_PIECE = 64 * 1024;

interface Options {
  readonly scale: Scale;
  readonly rounds: number;
  readonly only: readonly string[];
  readonly servers: readonly string[];
  readonly json: boolean;
  readonly directory: string;
  readonly profile: string | undefined;
  readonly before: string | undefined;
}

function optionsFrom(args: Record<string, unknown>): Options {
  const scale = args["quick"] === true ? QUICK : FULL;
  const rounds = Number(args["rounds"] ?? (args["quick"] === true ? 1 : 3));
  const seconds = Number(args["seconds"] ?? scale.seconds);
  if (!Number.isInteger(rounds) || rounds < 1 || !(seconds > 0)) {
    throw new Error(
      "Cannot run the benchmark: the rounds or seconds are none, give numbers",
    );
  }
  const names = (value: unknown) =>
    typeof value === "string" ? value.split(",") : [];
  return {
    scale: { ...scale, seconds },
    rounds,
    only: names(args["only"]),
    servers: names(args["servers"]),
    json: args["json"] === true,
    directory: String(args["directory"] ?? DEFAULT_DIRECTORY),
    profile: textOf(args["profile"]),
    before: textOf(args["before"]),
  };
}

function textOf(value: unknown): string | undefined {
  return value === undefined ? undefined : String(value);
}

/** The cases that were asked for, with the servers that were asked for. */
function chosenCases(options: Options, image: string): Case[] {
  const { only, servers } = options;
  const unknown = servers.find((name) =>
    !SERVER_NAMES.some((known) => known === name)
  );
  if (unknown !== undefined) {
    throw new Error(
      `Cannot run the benchmark: "${unknown}" is no server, see --list`,
    );
  }
  const chosen = allCases(options.scale, image)
    .filter(({ name }) =>
      only.length === 0 || only.some((begin) => name.startsWith(begin))
    )
    .map((each) => ({
      ...each,
      servers: each.servers.filter((name) =>
        (servers.length === 0 || servers.includes(name)) &&
        (name !== "before" || options.before !== undefined)
      ),
    }))
    .filter((each) => each.servers.length > 0);
  if (chosen.length === 0) {
    throw new Error("Cannot run the benchmark: no case fits, see --list");
  }
  return chosen;
}

/** Makes a file of which no two blocks are alike, nor all zeroes. */
async function makeImage(path: string, size: number): Promise<void> {
  using file = await Deno.create(path);
  const writer = file.writable.getWriter();
  const piece = new Uint8Array(IMAGE_PIECE);
  for (let offset = 0; offset < size; offset += piece.length) {
    await writer.write(crypto.getRandomValues(piece));
  }
}

/**
 * Runs what was asked for.
 *
 * @param options What.
 * @param signal Ends it before its end.
 * @returns What is to be printed.
 */
async function bench(options: Options, signal: AbortSignal): Promise<string> {
  const missing = CLIENTS.filter((program) => !hasPeer(program));
  if (missing.length > 0) {
    throw new Error(
      `Cannot run the benchmark: ${missing.join(", ")} not found, install it`,
    );
  }
  const directory = await Deno.makeTempDir({
    dir: options.directory,
    prefix: "virstor-bench-",
  });
  try {
    const machine = await describeMachine(directory);
    if (isInMemory(machine)) {
      progress(`${directory} is in memory: give another with --directory`);
    }
    const image = `${directory}/image`;
    const cases = chosenCases(options, image);
    if (cases.some(({ name }) => name === "copy-in")) {
      await makeImage(image, options.scale.image);
    }
    if (hasPeer("cc")) await buildPrograms(directory);
    const date = new Date().toISOString();
    const { rounds, profile, before, scale } = options;
    const how = {
      ...{ rounds, directory, profile, before },
      ...{ progress, signal },
    };
    const results = await runCases(cases, how);
    const report = {
      ...{ machine, date, rounds, seconds: scale.seconds },
      cases: results.map(reportCase),
    };
    return options.json
      ? JSON.stringify(report, null, 2)
      : formatReport(report);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Leaves no disk and no server behind when it is interrupted. */
async function interruptible(options: Options): Promise<string> {
  const aborting = new AbortController();
  const abort = () => {
    aborting.abort(
      new Error("Cannot finish the benchmark: it was interrupted, run it anew"),
    );
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, abort);
  try {
    return await bench(options, aborting.signal);
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, abort);
  }
}

function progress(line: string): void {
  // deno-lint-ignore no-console -- the output is on the other one
  console.error(line);
}

function print(text: string): void {
  // deno-lint-ignore no-console -- this is what it is for
  console.log(text);
}

function list(options: Options): string {
  const cases = chosenCases(options, "").map(({ name, title }) =>
    `- ${name}: ${title}`
  );
  return ["Cases:", ...cases, "", "Servers:", formatServers()].join("\n");
}

async function main(): Promise<void> {
  const unknown: string[] = [];
  const args = parseArgs(Deno.args, {
    string: [
      "only",
      "servers",
      "rounds",
      "seconds",
      "directory",
      "profile",
      "before",
    ],
    boolean: ["quick", "json", "list", "help"],
    unknown: (arg) => {
      unknown.push(arg);
      return false;
    },
  });
  try {
    if (unknown.length > 0) {
      throw new Error(
        `Cannot run the benchmark: "${unknown[0]}" is unknown, see --help`,
      );
    }
    if (args.help) return print(HELP);
    const options = optionsFrom(args);
    print(args.list ? list(options) : await interruptible(options));
  } catch (error) {
    progress(error instanceof Error ? error.message : String(error));
    Deno.exit(1);
  }
}

if (import.meta.main) await main();
