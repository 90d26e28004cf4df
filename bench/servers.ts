/**
 * The servers that are compared: how each makes an empty disk, and how it is
 * started on it. All listen on Unix sockets and keep their data in files of
 * one directory.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { hasPeer } from "../tests/helpers/peers.ts";
import { run, ServerProcess } from "./processes.ts";

/** 1 KiB, bytes. */
export const KIB = 1024;
/** 1 MiB, bytes. */
export const MIB: number = 1024 * KIB;
/** 1 GiB, bytes. */
export const GIB: number = 1024 * MIB;
/** 1 TiB, bytes. */
export const TIB: number = 1024 * GIB;
/** 1 PiB, bytes. */
export const PIB: number = 1024 * TIB;

/** What is served, the same for all. */
export interface Disk {
  /** What clients see, bytes. */
  readonly virtualSize: number;
  /** The unit of allocation of pools and of qcow2, bytes. */
  readonly chunkSize: number;
  /** The most that will ever be allocated, bytes. */
  readonly space: number;
  /** How much is written, from its beginning, before anything is measured. */
  readonly filled: number;
}

/** A disk and where it is. */
export interface Place {
  /** The disk. */
  readonly disk: Disk;
  /** A directory of this disk and this server. */
  readonly directory: string;
  /** The directory of the programs in C. */
  readonly programs: string;
  /** Where this project's servers write CPU profiles, if they shall. */
  readonly profile: string | undefined;
  /** The checkout of this project that serves, if it is not this one. */
  readonly before: string | undefined;
}

/** The servers by name, in the order of the tables. */
export const SERVER_NAMES = [
  "virstor",
  "before",
  "virstor-1P",
  "virstor-loop",
  "virstor-far",
  "relay",
  "nbdkit-far",
  "raw-far",
  "flat",
  "nbdkit",
  "qcow2",
  "qcow2-backing",
  "raw",
  "yardstick",
] as const;
/** A server. */
export type ServerName = typeof SERVER_NAMES[number];

/** How a far server is started. */
export interface FarCommand {
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** Where it listens. */
  readonly socket: string;
}

/** One of the servers. */
export interface ServerKind {
  /** What it is, for the heading of a report. */
  readonly title: string;
  /** The programs that it needs. */
  readonly needs: readonly string[];
  /**
   * Makes an empty disk.
   *
   * @param place Where.
   */
  create(place: Place): Promise<void>;
  /**
   * How it is started.
   *
   * @param place Where its disk is.
   * @returns The program and its arguments.
   */
  command(place: Place): string[];
  /**
   * How the server is started that it is a client of; it runs before and after.
   *
   * @param place Where its disk is.
   * @returns The program and its arguments, and the socket that it makes.
   */
  far?(place: Place): FarCommand;
  /** The export. */
  readonly exportName: string;
}

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FLAT = fileURLToPath(new URL("flat_server.ts", import.meta.url));
/** The name of the pool, and of its export. */
const POOL = "bench";
/** Room on a component for what is not data, in parts of its data. */
const OVERHEAD = 1 / 8;
/** The least of it, bytes. */
const OVERHEAD_MIN: number = 8 * MIB;

/**
 * Where the server of a disk listens.
 *
 * @param place The disk.
 * @returns The path of the socket.
 */
export function socketOf(place: Place): string {
  return `${place.directory}/socket`;
}

/** The checkout whose programs serve a disk. */
function rootOf({ before }: Place): string {
  return before ?? ROOT;
}

/** How Deno is started for a program of ours, with the launcher's rights. */
function denoCommand(place: Place, ...args: string[]): string[] {
  const profile = place.profile === undefined
    ? []
    : ["--cpu-prof", `--cpu-prof-dir=${place.profile}`];
  return [
    ...[Deno.execPath(), "run", "--quiet", "--no-prompt", ...profile],
    "--v8-flags=--always-sparkplug",
    ...["--config", `${rootOf(place)}/deno.json`],
    ...["--allow-read", "--allow-write", "--allow-net", "--allow-ffi"],
    // Which variables the launcher permits differs between checkouts.
    "--allow-env",
    ...args,
  ];
}

/**
 * The command `virstor` with a state directory of its own.
 *
 * @param place The disk.
 * @param args The words after `virstor`.
 * @returns The program and its arguments.
 */
export function virstorCommand(place: Place, ...args: string[]): string[] {
  const state = ["--state-dir", `${place.directory}/state`];
  return denoCommand(place, `${rootOf(place)}/cli/main.ts`, ...state, ...args);
}

async function createPool(place: Place): Promise<void> {
  // Two components, so that finding the one of a chunk is part of it.
  const size = Math.ceil(overheadOf(place) + place.disk.space / 2);
  const components = [`${place.directory}/c0`, `${place.directory}/c1`];
  await label(place, "--create", String(size), POOL, ...components);
}

/** Labels a pool of the size of the disk. */
async function label(place: Place, ...words: string[]): Promise<void> {
  const { virtualSize, chunkSize } = place.disk;
  const [program = "", ...args] = virstorCommand(
    // A profile of this would only be in the way.
    { ...place, profile: undefined },
    ...["label", "-s", String(virtualSize), "-m", String(chunkSize)],
    ...words,
  );
  await run(program, args);
}

/** Bytes of a component beside the data. */
function overheadOf({ disk }: Place): number {
  return Math.max(disk.space * OVERHEAD, OVERHEAD_MIN);
}

/** Makes a flat, sparse file. */
async function createFile(place: Place): Promise<void> {
  await makeSparse(place, place.disk.virtualSize);
}

async function makeSparse(place: Place, size: number): Promise<void> {
  await Deno.writeFile(fileOf(place), new Uint8Array(0));
  try {
    await Deno.truncate(fileOf(place), size);
  } catch (cause) {
    const tib = size / TIB;
    throw new Error(`the file system takes no file of ${tib} TiB`, { cause });
  }
}

/** A pool of one component, which is an export of nbdkit. */
async function createFarPool(place: Place): Promise<void> {
  await makeSparse(place, Math.ceil(overheadOf(place) + place.disk.space));
  const { command, socket } = farCommand(place);
  const far = await ServerProcess.start(command, socket);
  try {
    await label(place, POOL, farUri(socket));
  } finally {
    await far.stop();
  }
}

/** The same nbdkit as the one that is measured by itself. */
function farCommand(place: Place): FarCommand {
  const socket = `${place.directory}/far`;
  return { command: nbdkitCommand(place, socket), socket };
}

function farUri(socket: string): string {
  return `nbd+unix:///?socket=${socket}`;
}

function nbdkitCommand(place: Place, socket: string): string[] {
  return ["nbdkit", "-f", "-U", socket, "file", fileOf(place)];
}

/**
 * The file of a server that keeps its disk in one.
 *
 * @param place The disk.
 * @returns Its path.
 */
export function fileOf(place: Place): string {
  return `${place.directory}/disk`;
}

function serveCommand(place: Place, ...options: string[]): string[] {
  const socket = ["--socket", socketOf(place)];
  return virstorCommand(place, "serve", ...socket, ...options, POOL);
}

/** qemu-nbd, kept for many clients and many connections. */
function qemuCommand(
  place: Place,
  format: string,
  disk: string = fileOf(place),
): string[] {
  return [
    ...["qemu-nbd", "--persistent", "--shared=128", `--format=${format}`],
    ...["--cache=writeback", "--discard=unmap"],
    `--socket=${socketOf(place)}`,
    disk,
  ];
}

/** A qcow2 image with clusters of the size of chunks. */
const QCOW2: ServerKind = {
  title: "qemu-nbd, qcow2 with clusters of the chunk size",
  needs: ["qemu-nbd", "qemu-img"],
  create: async (place) => {
    const { virtualSize, chunkSize } = place.disk;
    const clusters = `cluster_size=${chunkSize}`;
    const args = ["create", "-q", "-f", "qcow2", "-o", clusters];
    await run("qemu-img", [...args, fileOf(place), String(virtualSize)]);
  },
  command: (place) => qemuCommand(place, "qcow2"),
  exportName: "",
};

/** All servers. */
export const SERVERS: Readonly<Record<ServerName, ServerKind>> = {
  virstor: {
    title: "virstor, format 2, two components",
    needs: [],
    create: createPool,
    command: serveCommand,
    exportName: POOL,
  },
  before: {
    title: "the checkout of virstor that --before names",
    needs: [],
    create: createPool,
    command: serveCommand,
    exportName: POOL,
  },
  "virstor-1P": {
    title: "virstor, the same with a virtual size of 1 PiB",
    needs: [],
    create: (place) =>
      createPool({ ...place, disk: { ...place.disk, virtualSize: PIB } }),
    command: serveCommand,
    exportName: POOL,
  },
  "virstor-loop": {
    title: "virstor without threads, to be compared with flat",
    needs: [],
    create: createPool,
    command: (place) => serveCommand(place, "--threads", "0"),
    exportName: POOL,
  },
  "virstor-far": {
    title: "virstor, one component, an export of nbdkit on a Unix socket",
    needs: ["nbdkit"],
    create: createFarPool,
    command: serveCommand,
    far: farCommand,
    exportName: POOL,
  },
  relay: {
    title: "C relay of bytes (bench/relay.c), before nbdkit on a Unix socket",
    needs: ["cc", "nbdkit"],
    create: createFile,
    command: (place) => [
      `${place.programs}/relay`,
      ...[socketOf(place), farCommand(place).socket],
    ],
    far: farCommand,
    exportName: "",
  },
  "nbdkit-far": {
    title: "nbdkit, nbd plugin, before nbdkit on a Unix socket",
    needs: ["nbdkit"],
    create: createFile,
    command: (place) => [
      ...["nbdkit", "-f", "-U", socketOf(place), "nbd"],
      `socket=${farCommand(place).socket}`,
    ],
    far: farCommand,
    exportName: "",
  },
  "raw-far": {
    title: "qemu-nbd, raw, before nbdkit on a Unix socket",
    needs: ["qemu-nbd", "nbdkit"],
    create: createFile,
    command: (place) =>
      qemuCommand(place, "raw", farUri(farCommand(place).socket)),
    far: farCommand,
    exportName: "",
  },
  flat: {
    title: "virstor's NBD server on a flat file: no pool, so no threads",
    needs: [],
    create: createFile,
    command: (place) =>
      denoCommand(place, FLAT, socketOf(place), fileOf(place)),
    exportName: POOL,
  },
  nbdkit: {
    title: "nbdkit, file plugin",
    needs: ["nbdkit"],
    create: createFile,
    command: (place) => nbdkitCommand(place, socketOf(place)),
    exportName: "",
  },
  qcow2: QCOW2,
  "qcow2-backing": {
    ...QCOW2,
    title: "the same, with a backing file in place of a snapshot",
  },
  raw: {
    title: "qemu-nbd, raw file",
    needs: ["qemu-nbd"],
    create: createFile,
    command: (place) => qemuCommand(place, "raw"),
    exportName: "",
  },
  yardstick: {
    title: "C yardstick on a flat file (bench/yardstick.c)",
    needs: ["cc"],
    create: createFile,
    command: (
      place,
    ) => [`${place.programs}/yardstick`, socketOf(place), fileOf(place)],
    exportName: "",
  },
};

/**
 * Why a server cannot be run here.
 *
 * @param name The server.
 * @returns One line, or `undefined` if it can.
 */
export function whyNot(name: ServerName): string | undefined {
  const missing = SERVERS[name].needs.filter((program) => !hasPeer(program));
  return missing.length === 0
    ? undefined
    : `${missing.join(", ")} not installed`;
}
