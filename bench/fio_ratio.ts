/**
 * How fast virstor serves mapped chunks, beside nbdkit's file plugin: both on
 * files in one directory, over Unix sockets, loaded by fio's nbd engine with
 * requests of 4 KiB, in turns. Only the ratios mean anything: the numbers are
 * those of one machine at one hour.
 *
 * ```sh
 * deno run -A bench/fio_ratio.ts [--seconds N] [--rounds N] [--json]
 *   [--directory DIR] [--profile DIR]
 * ```
 *
 * `--profile` has Deno write a CPU profile of the server.
 *
 * @module
 */

import { parseArgs } from "@std/cli";
import { fileURLToPath } from "node:url";
import {
  formatTable,
  type Job,
  type Measurement,
  summarize,
} from "./fio_summary.ts";

const MAIN = fileURLToPath(new URL("../cli/main.ts", import.meta.url));
/** What is read and written, of a disk of 1 GiB. */
const WORKING_SET = "256M";
/** Clock ticks of `/proc/PID/stat` in a second, on Linux everywhere. */
const TICKS_PER_SECOND = 100;
/** How long a server may take to listen, milliseconds. */
const START_MS = 10_000;

interface RunningServer {
  readonly name: Measurement["server"];
  readonly process: Deno.ChildProcess;
  readonly uri: string;
}

const JOBS: readonly Job[] = [
  { pattern: "randread", depth: 32 },
  { pattern: "randwrite", depth: 32 },
  { pattern: "randread", depth: 1 },
  { pattern: "randwrite", depth: 1 },
];

async function run(program: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (code !== 0) {
    throw new Error(`${program} ${args.join(" ")}: ${decoder.decode(stderr)}`);
  }
  return decoder.decode(stdout);
}

async function waitForSocket(path: string): Promise<void> {
  for (const end = Date.now() + START_MS;;) {
    try {
      (await Deno.connect({ transport: "unix", path })).close();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function spawn(program: string, args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
}

/** The command as the launcher runs it, with its state in `directory`. */
function virstorArgs(directory: string, args: readonly string[]): string[] {
  return [
    ...["run", "--quiet", "--no-prompt"],
    ...["--allow-read", "--allow-write", "--allow-net", "--allow-ffi"],
    "--allow-env=HOME,VIRSTOR_STATE_DIR,XDG_STATE_HOME",
    ...[MAIN, "--state-dir", `${directory}/state`, ...args],
  ];
}

async function startVirstor(
  directory: string,
  profile: string | undefined,
): Promise<RunningServer> {
  const socket = `${directory}/virstor`;
  await run(
    Deno.execPath(),
    virstorArgs(directory, [
      ...["label", "-s", "1G", "--create", "640M", "bench"],
      ...[`${directory}/c0`, `${directory}/c1`],
    ]),
  );
  const args = virstorArgs(directory, ["serve", "--socket", socket, "bench"]);
  if (profile !== undefined) {
    args.splice(1, 0, "--cpu-prof", `--cpu-prof-dir=${profile}`);
  }
  const process = spawn(Deno.execPath(), args);
  await waitForSocket(socket);
  return {
    name: "virstor",
    process,
    uri: `nbd+unix:///bench?socket=${socket}`,
  };
}

async function startNbdkit(directory: string): Promise<RunningServer> {
  const [file, socket] = [`${directory}/file`, `${directory}/nbdkit`];
  await Deno.writeFile(file, new Uint8Array(0));
  await Deno.truncate(file, 1024 ** 3);
  const process = spawn("nbdkit", ["-f", "-U", socket, "file", file]);
  await waitForSocket(socket);
  return { name: "nbdkit", process, uri: `nbd+unix:///?socket=${socket}` };
}

/** Writes the working set once, so that nothing is allocated later. */
async function prepare(server: RunningServer): Promise<void> {
  await run("fio", [
    ...["--name=prepare", "--ioengine=nbd", `--uri=${server.uri}`],
    ...["--rw=write", "--bs=1M", "--iodepth=4", `--size=${WORKING_SET}`],
  ]);
}

/** Processor time that a process has used, seconds. */
async function cpuSeconds(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  // The name in parentheses may hold anything; state is the third field.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function measure(
  server: RunningServer,
  job: Job,
  seconds: number,
): Promise<Measurement> {
  const before = await cpuSeconds(server.process.pid);
  const output = await run("fio", [
    ...["--name=job", "--ioengine=nbd", `--uri=${server.uri}`],
    ...[`--rw=${job.pattern}`, "--bs=4k", `--iodepth=${job.depth}`],
    ...[`--size=${WORKING_SET}`, "--time_based", `--runtime=${seconds}`],
    ...["--norandommap", "--randrepeat=1", "--output-format=json"],
  ]);
  const used = await cpuSeconds(server.process.pid) - before;
  // fio says first that it is connected.
  const { jobs: [{ read, write }] } = JSON.parse(
    output.slice(output.indexOf("{")),
  );
  return {
    server: server.name,
    job,
    iops: read.iops + write.iops,
    cpu: used * 1e6 / (read.total_ios + write.total_ios),
  };
}

async function measureAll(
  servers: readonly RunningServer[],
  rounds: number,
  seconds: number,
): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const job of JOBS) {
      // Each goes first every other time.
      const order = round % 2 === 0 ? servers : servers.toReversed();
      for (const server of order) {
        measurements.push(await measure(server, job, seconds));
      }
    }
  }
  return measurements;
}

async function main(): Promise<void> {
  const args = parseArgs(Deno.args, {
    string: ["seconds", "rounds", "directory", "profile"],
    boolean: ["json"],
    default: { seconds: "4", rounds: "3" },
  });
  const directory = await Deno.makeTempDir({
    prefix: "virstor-bench-",
    ...args.directory !== undefined && { dir: args.directory },
  });
  const servers: RunningServer[] = [];
  try {
    servers.push(await startVirstor(directory, args.profile));
    servers.push(await startNbdkit(directory));
    for (const server of servers) await prepare(server);
    const measurements = await measureAll(
      servers,
      Number(args.rounds),
      Number(args.seconds),
    );
    const rows = summarize(JOBS, measurements);
    // deno-lint-ignore no-console -- this is what it is for
    console.log(args.json ? JSON.stringify(rows, null, 2) : formatTable(rows));
  } finally {
    for (const { process } of servers) {
      process.kill("SIGINT");
      await process.status;
    }
    await Deno.remove(directory, { recursive: true });
  }
}

if (import.meta.main) await main();
