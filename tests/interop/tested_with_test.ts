/**
 * Goal: the column "tested with" of the commands in docs/nbd.md is true. Method:
 * each program does what the tests here have it do, on a pool of its own, and
 * the server's counters tell which commands came.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { nbdShell } from "../helpers/nbd_shell.ts";
import { peerTest } from "../helpers/peers.ts";
import { MIB, peerSucceeds, ServedPool } from "./served_pool.ts";

/** What is counted, by the name of the command. */
const COUNTERS = {
  READ: "reads",
  WRITE: "writes",
  FLUSH: "flushes",
  TRIM: "trims",
  CACHE: "caches",
  WRITE_ZEROES: "writeZeroes",
  BLOCK_STATUS: "blockStatuses",
} as const;

const SHELL = `
h.add_meta_context("base:allocation")
h.connect_uri(uri)
h.pwrite(b"w" * 512, 0)
h.pread(512, 0)
h.flush()
h.trim(512, 0)
h.zero(512, 0)
h.cache(512, 0)
h.block_status(512, 0, lambda *extents: 0)
h.shutdown()
`;
const IO = ["write 0 64k", "write -z 1M 64k", "read 0 64k", "discard 0 1M"];
const FIO = ["--size=1M", "--bs=64k", "--ioengine=nbd", "--fsync=4"];

function commandsOf(commands: readonly string[]): string[] {
  return commands.flatMap((command) => ["-c", command]);
}

/** 16 MiB of which 1 MiB is data. */
async function makeImage(pool: ServedPool): Promise<string> {
  const path = pool.work.path("image");
  await Deno.writeFile(path, new Uint8Array(MIB).fill(1));
  await Deno.truncate(path, 64 * MIB);
  return path;
}

/** What each program does. */
const PROGRAMS: Readonly<
  Record<string, (pool: ServedPool) => Promise<unknown>>
> = {
  nbdsh: ({ uri }) => nbdShell(uri, SHELL),
  nbdinfo: ({ uri }) => peerSucceeds("nbdinfo", ["--map", uri]),
  async nbdcopy(pool) {
    const image = await makeImage(pool);
    await peerSucceeds("nbdcopy", ["--flush", image, pool.uri]);
    await peerSucceeds("nbdcopy", [pool.uri, pool.work.path("out")]);
  },
  async "qemu-img"(pool) {
    const image = await makeImage(pool);
    const raw = ["-f", "raw", "-O", "raw"];
    await peerSucceeds("qemu-img", ["convert", "-n", ...raw, image, pool.uri]);
    const out = pool.work.path("out");
    await peerSucceeds("qemu-img", ["convert", ...raw, pool.uri, out]);
  },
  "qemu-io": ({ uri }) =>
    peerSucceeds("qemu-io", [
      ...["-f", "raw", "-d", "unmap", ...commandsOf([...IO, "flush", "map"])],
      uri,
    ]),
  nbdkit: ({ uri }) =>
    peerSucceeds("nbdkit", [
      ...["-U", "-", "nbd", `uri=${uri}`, "--run"],
      `qemu-io -f raw -d unmap ${
        commandsOf([...IO, "flush", "map"]).map((word) => `'${word}'`).join(" ")
      } "$uri"`,
    ]),
  async fio(pool) {
    for (const rw of ["write", "read", "trim"]) {
      await peerSucceeds(
        "fio",
        [`--name=${rw}`, `--rw=${rw}`, ...FIO, `--uri=${pool.uri}`],
        pool.work.directory,
      );
    }
  },
};

/** Programs by command, as documented; ours are not counted. */
async function documented(): Promise<Record<string, string[]>> {
  const text = await Deno.readTextFile(
    new URL("../../docs/nbd.md", import.meta.url),
  );
  const section = text.slice(text.indexOf("\n## Commands\n"))
    .split("\n### ", 1)[0] ?? "";
  const rows = section.matchAll(/^\| `(\w+)` .*\| ([^|]+?) +\|$/gm);
  return Object.fromEntries(
    [...rows].map(([, command = "", programs = ""]) => [
      command,
      programs.split(", ").filter((program) => program !== "own").sort(),
    ]),
  );
}

peerTest(
  "docs/nbd.md tells which program sends which command",
  Object.keys(PROGRAMS),
  async () => {
    const seen: Record<string, string[]> = {};
    const polite = new Set<string>();
    for (const command of Object.keys(COUNTERS)) seen[command] = [];
    for (const [program, use] of Object.entries(PROGRAMS)) {
      await using pool = await ServedPool.start();
      await use(pool);
      const { server } = await pool.status();
      for (const [command, counter] of Object.entries(COUNTERS)) {
        if ((server?.counters[counter] ?? 0) > 0) seen[command]?.push(program);
      }
      const { stderr } = await pool.stopAndCheck();
      if (/ disconnected: .*goodbye/.test(stderr)) polite.add(program);
    }
    for (const programs of Object.values(seen)) programs.sort();
    const { DISC = [], ...commands } = await documented();
    assertEquals(commands, seen);
    // Some leave with it or without it, as it happens.
    assertEquals(DISC.filter((program) => !polite.has(program)), []);
  },
);
