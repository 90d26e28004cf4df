/**
 * The benchmark: that it measures all servers and says so, not how fast they
 * are; and that the C yardstick is a disk.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { exists } from "@std/fs";
import { fileURLToPath } from "node:url";
import { buildPrograms } from "../../bench/c_programs.ts";
import { allCases, QUICK } from "../../bench/cases.ts";
import { run } from "../../bench/processes.ts";
import {
  type CaseReport,
  formatReport,
  medianOf,
  type Report,
  reportCase,
} from "../../bench/report.ts";
import { MIB, type ServerName } from "../../bench/servers.ts";
import { Session } from "../../bench/session.ts";
import { peerPath, peerTest } from "../helpers/peers.ts";
import { makeScratch, pattern } from "../helpers/scratch.ts";

const MAIN = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));
const PEERS = ["fio", "nbdcopy", "nbdkit", "qemu-nbd", "qemu-img", "cc"];

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function bench(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Result> {
  const result = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "-A", MAIN, ...args],
    env: { NO_COLOR: "1", ...env },
  }).output();
  const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return {
    code: result.code,
    stdout: decode(result.stdout),
    stderr: decode(result.stderr),
  };
}

/** Where files are after a run: none may be. */
function namesIn(directory: string): string[] {
  return Array.from(Deno.readDirSync(directory), ({ name }) => name);
}

function assertMeasured(
  result: CaseReport | undefined,
  expected: readonly ServerName[],
): void {
  assertEquals(result?.leftOut, []);
  assertEquals(result?.servers.map(({ server }) => server), expected);
  for (const one of result?.servers ?? []) {
    assertEquals(one.values.length, 1, one.server);
    assertEquals(one.spread, null);
    assert(one.value > 0 && one.rss > 0, one.server);
    assert(one.p50 !== null && one.p50 <= (one.p99 ?? 0), one.server);
    assertEquals(one.ratio === null, one.server === expected[0]);
  }
}

peerTest(
  "bench measures every server, and leaves nothing behind",
  PEERS,
  async () => {
    await using scratch = await makeScratch();
    const names = ["write-4k-d1", "far-read-4k-d1"];
    const { code, stdout, stderr } = await bench([
      ...["--quick", "--json", "--only", names.join()],
      ...["--directory", scratch.path],
    ]);
    assertEquals(code, 0, stderr);
    const report: Report = JSON.parse(stdout);
    assertEquals(report.cases.map(({ name }) => name), names);
    const [local, far] = report.cases;
    assertMeasured(local, ["virstor", "nbdkit", "qcow2", "raw", "yardstick"]);
    const between = ["relay", "nbdkit-far", "raw-far"] as const;
    assertMeasured(far, ["virstor-far", "nbdkit", ...between]);
    assert(report.machine.cores > 0);
    assertMatch(report.machine.programs["fio"] ?? "", /^\d/);
    assertEquals(namesIn(scratch.path), []);
  },
);

peerTest("bench names the servers that are missing", PEERS, async () => {
  // Where these are is searched whatever PATH says.
  if (await exists("/usr/sbin/nbdkit") || await exists("/usr/sbin/cc")) return;
  await using scratch = await makeScratch();
  for (const program of ["fio", "nbdcopy", "sync", "stat", "dd", "fincore"]) {
    await Deno.symlink(peerPath(program) ?? "", scratch.file(program));
  }
  const { code, stdout, stderr } = await bench([
    ...["--quick", "--json", "--only", "read-4k-d1"],
    ...["--servers", "virstor,nbdkit,yardstick"],
  ], { PATH: scratch.path });
  assertEquals(code, 0, stderr);
  const report: Report = JSON.parse(stdout);
  assertEquals(report.cases[0]?.servers.map(({ server }) => server), [
    "virstor",
  ]);
  assertEquals(report.cases[0]?.leftOut, [
    { server: "nbdkit", reason: "nbdkit not installed" },
    { server: "yardstick", reason: "cc not installed" },
  ]);
  assertMatch(report.machine.programs["nbdkit"] ?? "", /not installed/);
});

peerTest("the C yardstick keeps what is written", PEERS, async () => {
  await using scratch = await makeScratch();
  await buildPrograms(scratch.path);
  const size = 8 * MIB;
  const session = await Session.open("yardstick", {
    disk: { virtualSize: size, chunkSize: MIB, space: size, filled: 0 },
    directory: scratch.file("disk"),
    programs: scratch.path,
    profile: undefined,
    before: undefined,
  });
  try {
    const [image, back] = [scratch.file("image"), scratch.file("back")];
    await Deno.writeFile(image, pattern(size, 1));
    await run("nbdcopy", ["--flush", image, session.uri]);
    await run("nbdcopy", [session.uri, back]);
    assertEquals(await Deno.readFile(back), await Deno.readFile(image));
  } finally {
    await session.close();
  }
});

Deno.test("reportCase() gives medians, and how many times better we are", () => {
  const [first] = allCases(QUICK, "").filter(({ name }) => name === "open-1g");
  assert(first !== undefined);
  const samples = (...values: number[]) =>
    values.map((value) => ({ value, work: 1, cpu: 2, rss: MIB }));
  const report = reportCase({
    case: first,
    outcomes: [
      { server: "virstor", samples: samples(9, 1, 2), leftOut: undefined },
      { server: "nbdkit", samples: samples(4, 6), leftOut: undefined },
      { server: "raw", samples: samples(1), leftOut: "it broke" },
    ],
  });
  assertEquals(report.leftOut, [{ server: "raw", reason: "it broke" }]);
  // Milliseconds: the lower, the better.
  assertEquals(
    report.servers.map(({ value, spread, ratio, p50, rss }) => (
      { value, spread, ratio, p50, rss }
    )),
    [
      { value: 2, spread: 400, ratio: null, p50: null, rss: 1 },
      { value: 5, spread: 40, ratio: 2.5, p50: null, rss: 1 },
    ],
  );
  assertEquals(medianOf([]), null);
});

Deno.test("formatReport() ends with a table of the sizes of chunks", () => {
  const caseOf = (kib: number, value: number) => {
    const name = `discards-${kib}k`;
    const [one] = allCases(QUICK, "").filter((each) => each.name === name);
    assert(one !== undefined, name);
    const samples = [{ value, work: 1, cpu: 2, rss: MIB }];
    const outcomes = [
      { server: "virstor" as const, samples, leftOut: undefined },
    ];
    return reportCase({ case: one, outcomes });
  };
  const machine = {
    ...{ cores: 1, processor: "a", memory: 1, kernel: "b", fileSystem: "c" },
    ...{ load: 0, programs: {} },
  };
  const report = (...cases: CaseReport[]) =>
    formatReport({
      ...{ machine, date: "today", rounds: 1, seconds: 1, cases },
    });
  const table = report(caseOf(1024, 32), caseOf(64, 26.9));
  assertEquals(table.split("\n").slice(-3), [
    "| chunks of              | 64 KiB | 1024 KiB |",
    "| ---------------------- | -----: | -------: |",
    "| discards, MiB: virstor |   26.9 |       32 |",
  ]);
  assert(!report(caseOf(64, 1)).includes("Sizes of chunks"));
});

Deno.test("bench refuses what it does not know", async () => {
  const refusals = [
    [["--servers", "absent"], /"absent" is no server, see --list/],
    [["--only", "nothing"], /no case fits, see --list/],
    [["--rounds", "0"], /the rounds or seconds are none, give numbers/],
    [["--fast"], /"--fast" is unknown, see --help/],
  ] as const;
  for (const [args, message] of refusals) {
    const { code, stdout, stderr } = await bench([...args, "--list"]);
    assertEquals({ code, stdout }, { code: 1, stdout: "" });
    assertMatch(stderr, /^Cannot run the benchmark: .*\n$/);
    assertMatch(stderr, message);
  }
});

Deno.test("the names of cases differ", () => {
  const names = allCases(QUICK, "").map(({ name }) => name);
  assertEquals(names.length, new Set(names).size);
});
