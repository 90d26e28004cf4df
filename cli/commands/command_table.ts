/**
 * All commands of virstor, with what their help says.
 *
 * @module
 */

import type { CommandSpec, OptionSpec } from "../terminal/mod.ts";
import { SERVE_OPTIONS } from "./serve_option_table.ts";

const VERBOSE: OptionSpec = {
  name: "verbose",
  short: "v",
  help: "say more",
};
const HARDCODE: OptionSpec = {
  name: "hardcode",
  short: "h",
  help: "freebsd: write the file's name into its label",
};
const CREATE: OptionSpec = {
  name: "create",
  value: "SIZE",
  help: "make missing files, sparse, of this size",
};
const JSON_OUTPUT: OptionSpec = {
  name: "json",
  help: "print JSON, for scripts",
};

const STOP_TEXT = {
  usage: "[-fv] NAME...",
  description: [
    "Stop serving pools: delayed writes fail with ESHUTDOWN, everything else is",
    "finished and made durable. The labels stay as they are. A pool with",
    "connected clients is stopped with -f only. Other pools of its process go on.",
  ],
  options: [
    { name: "force", short: "f", help: "also while clients are connected" },
    VERBOSE,
  ],
  operands: ["NAME"],
  moreOperands: true,
  load: () => import("./stop.ts"),
} as const;

/** The commands, in the order of the help. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "label",
    summary: "make a pool of files",
    usage: "[-fhv] [-s VIRSIZE] [-m CHUNKSIZE] [--create SIZE]\n" +
      "                     [--format native|freebsd] NAME PATH...",
    description: [
      "Make a pool of the given files, or block devices: each becomes a component,",
      "with a label at its end. Nothing is written before everything was checked.",
      "What the files held is lost; files that hold a file system, or anything else",
      "that wipefs knows, are refused, and so is what is in use. The chunk size is",
      "rounded up: native to a power of two, 64K to 1G; freebsd to whole 128K.",
    ],
    options: [
      {
        name: "virsize",
        short: "s",
        value: "VIRSIZE",
        help: "size of the virtual disk (default 2T)",
      },
      {
        name: "chunksize",
        short: "m",
        value: "CHUNKSIZE",
        help: "size of a chunk (default 1M; freebsd: 4M)",
      },
      CREATE,
      {
        name: "format",
        value: "native|freebsd",
        help: "format on disk: ours (default), or gvirstor's",
      },
      {
        name: "force",
        short: "f",
        help: "take files that hold something, and names in use",
      },
      HARDCODE,
      VERBOSE,
    ],
    operands: ["NAME", "PATH"],
    moreOperands: true,
    load: () => import("./label.ts"),
  },
  {
    name: "serve",
    summary: "serve pools over NBD, until they are stopped",
    usage: "[--listen HOST:PORT | --socket PATH]... [OPTION...] NAME...",
    description: [
      "Serve pools over NBD, each as the export of its name, the first also as the",
      "default. Print their URIs when clients can connect, and events on standard",
      "error. Port 0 stands for any free one. SIGINT or SIGTERM end it, a second",
      'signal at once. "virstor stop" stops one pool; the last one ends the process.',
      "The command of --run finds $uri, $socket and $exportname in its environment.",
    ],
    options: SERVE_OPTIONS,
    operands: ["NAME"],
    moreOperands: true,
    load: () => import("./serve.ts"),
  },
  {
    name: "status",
    summary: "show how pools do, served or stopped",
    usage: "[-v] [--json] [NAME...]",
    description: [
      "Show how pools do: a line for each known pool; with names or -v everything.",
      "JSON is one object for one name, and otherwise a list of them.",
    ],
    options: [VERBOSE, JSON_OUTPUT],
    operands: [],
    moreOperands: true,
    load: () => import("./status.ts"),
  },
  {
    name: "list",
    summary: "list the known pools and their components",
    usage: "[--json] [NAME...]",
    description: [
      "List the pools that are known, or those that are named: what their labels",
      "say, and where their components are. JSON is a list.",
    ],
    options: [JSON_OUTPUT],
    operands: [],
    moreOperands: true,
    load: () => import("./list.ts"),
  },
  {
    name: "add",
    summary: "add components to a pool, served or stopped",
    usage: "[-fhv] [--create SIZE] NAME PATH...",
    description: [
      "Add components to a pool, also while it is served: writes that waited for",
      "space go on. What holds something or is in use is refused, as by label.",
    ],
    options: [
      CREATE,
      { name: "force", short: "f", help: "take files that hold something" },
      HARDCODE,
      VERBOSE,
    ],
    operands: ["NAME", "PATH"],
    moreOperands: true,
    load: () => import("./add.ts"),
  },
  {
    name: "remove",
    summary: "remove components from a pool, served or stopped",
    usage: "[--wait | --detach | --dry-run | --cancel] [OPTION...]\n" +
      "                      NAME PATH...",
    description: [
      "Remove components from a pool, also while it is served, and clear their",
      "labels. Those that hold data are evacuated first: the data move to the other",
      "components, beside everything else. Stopped in between, it goes on when the",
      "pool is opened next. A pool of format freebsd cannot be evacuated.",
    ],
    options: [
      {
        name: "dry-run",
        help: "tell what would move; exit code 5 if it does not fit",
      },
      { name: "wait", help: "wait until they are removed (default)" },
      { name: "detach", help: "do not wait; the pool has to be served" },
      { name: "cancel", help: "keep components that are being evacuated" },
      {
        name: "rate",
        value: "SIZE",
        help: "move so much a second (64M if served, else 0: no limit)",
      },
      JSON_OUTPUT,
      VERBOSE,
    ],
    operands: ["NAME", "PATH"],
    moreOperands: true,
    load: () => import("./remove.ts"),
  },
  {
    name: "resize",
    summary: "give a pool's disk another size, served or stopped",
    usage: "[-f] NAME SIZE",
    description: [
      "Give the virtual disk of a pool another size, rounded up to whole chunks.",
      "Connected clients see it when they connect again. Nothing may be mapped where",
      "the disk is cut off. A pool of format freebsd cannot be resized.",
    ],
    options: [
      { name: "force", short: "f", help: "also make it smaller" },
    ],
    operands: ["NAME", "SIZE"],
    moreOperands: false,
    load: () => import("./resize.ts"),
  },
  {
    name: "stop",
    summary: "stop serving pools",
    ...STOP_TEXT,
  },
  {
    name: "destroy",
    summary: 'the same as "stop"',
    ...STOP_TEXT,
  },
  {
    name: "clear",
    summary: "clear the labels of components; their pool is gone then",
    usage: "[-fv] PATH...",
    description: [
      "Clear the labels of components: what they hold is lost. A pool that lacks a",
      "component can at best be read any more (serve --degraded). A component that",
      "holds data is cleared with -f only.",
    ],
    options: [
      { name: "force", short: "f", help: "also what holds data" },
      VERBOSE,
    ],
    operands: ["PATH"],
    moreOperands: true,
    load: () => import("./clear.ts"),
  },
  {
    name: "dump",
    summary: "print the labels of components",
    usage: "[--json] PATH...",
    description: ["Print the labels of components."],
    options: [JSON_OUTPUT],
    operands: ["PATH"],
    moreOperands: true,
    load: () => import("./dump.ts"),
  },
  {
    name: "taste",
    summary: "look for pools in files and directories; register them",
    usage: "[--json] PATH...",
    description: [
      "Look for components among the given files, devices and files of directories,",
      "and register the pools that they make.",
    ],
    options: [JSON_OUTPUT],
    operands: ["PATH"],
    moreOperands: true,
    load: () => import("./taste.ts"),
  },
  {
    name: "check",
    summary: "check a pool, served or stopped",
    usage: "[--json] NAME",
    description: [
      "Check a pool: that its labels agree, that what says where each chunk is can be",
      "trusted. Changes nothing. Exit code 0: sound; 2: damaged.",
    ],
    options: [JSON_OUTPUT],
    operands: ["NAME"],
    moreOperands: false,
    load: () => import("./check.ts"),
  },
  {
    name: "repair",
    summary: "repair what is damaged in a stopped pool",
    usage: "[--dry-run] [--accept-stale PATH]... [--json] NAME",
    description: [
      "Repair what is damaged in a stopped pool, where it can be known what is right.",
      "A component that was put back from an older copy is put aside only if asked:",
      "the pool goes on without it, and what only it held reads as zeroes.",
      "Exit code 0: nothing is damaged any more; 2: something cannot be repaired.",
    ],
    options: [
      { name: "dry-run", help: "tell what would be repaired; change nothing" },
      {
        name: "accept-stale",
        value: "PATH",
        repeatable: true,
        help: "do without this stale component; repeatable",
      },
      JSON_OUTPUT,
    ],
    operands: ["NAME"],
    moreOperands: false,
    load: () => import("./repair.ts"),
  },
  {
    name: "demo",
    summary: "make a small pool in ./demo-pool and serve it",
    usage: "[--listen HOST:PORT]",
    description: [
      "Make a pool of two sparse files of 64 MiB under ./demo-pool, or use the one",
      "that is there, and serve it until Ctrl-C.",
    ],
    options: [{
      name: "listen",
      value: "HOST:PORT",
      help: "TCP address (default 127.0.0.1:10809)",
    }],
    operands: [],
    moreOperands: false,
    load: () => import("./demo.ts"),
  },
  {
    name: "help",
    summary: "print this help, or that of a command",
    usage: "[COMMAND]",
    description: ["Print the help of virstor, or that of a command."],
    options: [],
    operands: [],
    moreOperands: true,
    load: () => import("./help.ts"),
  },
];

/**
 * Finds a command.
 *
 * @param name What it is called.
 * @returns The command, if there is one.
 */
export function findCommand(name: string): CommandSpec | undefined {
  return COMMANDS.find((command) => command.name === name);
}
