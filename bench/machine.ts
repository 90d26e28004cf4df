/**
 * The machine and the versions of the programs, without which figures mean
 * nothing.
 *
 * @module
 */

import { hasPeer } from "../tests/helpers/peers.ts";
import { run } from "./processes.ts";

/** A machine and the programs on it. */
export interface Machine {
  /** The model of its processors. */
  readonly processor: string;
  /** How many it has. */
  readonly cores: number;
  /** Memory, bytes. */
  readonly memory: number;
  /** The operating system's kernel. */
  readonly kernel: string;
  /** The file system under the disks. */
  readonly fileSystem: string;
  /** Processes that wanted to run in the minute before. */
  readonly load: number;
  /** Versions, by program. */
  readonly programs: Readonly<Record<string, string>>;
}

/** File systems without a disk. */
const IN_MEMORY = ["tmpfs", "ramfs"];

/**
 * Looks at the machine.
 *
 * @param directory Where the disks are.
 * @returns What it is.
 */
export async function describeMachine(directory: string): Promise<Machine> {
  const processors = await Deno.readTextFile("/proc/cpuinfo");
  return {
    processor: /^model name\s*: (.*)$/m.exec(processors)?.[1] ?? "unknown",
    cores: navigator.hardwareConcurrency,
    memory: Deno.systemMemoryInfo().total,
    kernel: `Linux ${Deno.osRelease()}`,
    fileSystem: await fileSystemOf(directory),
    load: Deno.loadavg()[0] ?? NaN,
    programs: {
      deno: Deno.version.deno,
      fio: await versionOf("fio"),
      nbdkit: await versionOf("nbdkit"),
      "qemu-nbd": await versionOf("qemu-nbd"),
      nbdcopy: await versionOf("nbdcopy"),
      cc: await versionOf("cc"),
    },
  };
}

/**
 * Whether a file system keeps its files in memory, so that nothing is cold and
 * flushes cost nothing.
 *
 * @param machine Where.
 */
export function isInMemory(machine: Machine): boolean {
  return IN_MEMORY.includes(machine.fileSystem);
}

async function fileSystemOf(directory: string): Promise<string> {
  const args = ["--file-system", "--format=%T", directory];
  const name = (await run("stat", args)).trim();
  // They have one magic number.
  return name === "ext2/ext3" ? "ext2/3/4" : name;
}

async function versionOf(program: string): Promise<string> {
  if (!hasPeer(program)) return "not installed";
  const [line = ""] = (await run(program, ["--version"])).split("\n");
  return /\d+\.\d[\w.]*/.exec(line)?.[0] ?? line;
}
