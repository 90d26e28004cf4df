/**
 * All commands of virstor, with their help texts.
 *
 * @module
 */

import type { CommandSpec, OptionSpec } from "../terminal/mod.ts";
import { JOURNAL, JSON_OUTPUT, VERBOSE } from "./common_options.ts";
import { REMOTE_COMMANDS } from "./remote_command_table.ts";
import {
  FORGET,
  GROW,
  INSTALL_UNITS,
  REMOVE,
  RENAME,
  REPLACE,
  SET,
} from "./operation_command_table.ts";
import { VOLUME_COMMANDS } from "./volume_command_table.ts";
import { SERVE_OPTIONS } from "./serve_option_table.ts";

const HARDCODE: OptionSpec = {
  name: "hardcode",
  short: "h",
  help: "freebsd: write the file's name into its label",
};
/** The last options of what labels files. */
const LABEL_OPTIONS: readonly OptionSpec[] = [HARDCODE, JOURNAL, VERBOSE];
/** The operands of what labels files. */
const POOL_AND_PATHS = {
  operands: ["NAME", "PATH"],
  moreOperands: true,
} as const;
const CREATE: OptionSpec = {
  name: "create",
  value: "SIZE",
  help: "create missing files, sparse, of this size",
};
const PREALLOCATE: OptionSpec = {
  name: "preallocate",
  help: "take all space of the files from their disks now",
};
const STOP_TEXT = {
  usage: "[-fv] NAME...",
  description: [
    "Stop serving pools. Delayed writes fail with ESHUTDOWN; the server finishes",
    "all other requests and makes them durable. The labels stay as they are. A pool",
    "with connected clients needs -f. Other pools of the same process stay served.",
  ],
  options: [
    {
      name: "force",
      short: "f",
      help: "stop also while clients are connected",
    },
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
      "                     [--preallocate] [--format native|freebsd] NAME PATH...",
    description: [
      "Make a pool of the given files or block devices. Each becomes a component, with",
      "a label at its end. label checks everything before it writes anything. What the",
      "files held is lost. label refuses files that are in use, and files that hold a",
      "file system or anything else that wipefs knows. It rounds the chunk size up:",
      "native to a power of two, 64K to 1G; freebsd to whole 128K.",
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
        help: "size of a chunk (default 256K; freebsd: 4M)",
      },
      CREATE,
      PREALLOCATE,
      {
        name: "format",
        value: "native|freebsd",
        help: "format on disk: ours (default), or gvirstor's",
      },
      {
        name: "force",
        short: "f",
        help: "take files that hold data, and names in use",
      },
      ...LABEL_OPTIONS,
    ],
    ...POOL_AND_PATHS,
    load: () => import("./label.ts"),
  },
  {
    name: "serve",
    summary: "serve pools over NBD, until they are stopped",
    usage: "[--listen HOST:PORT | --socket PATH]... [OPTION...] NAME...",
    description: [
      "Serve pools over NBD: each volume and each snapshot as the export of its name,",
      "the first pool also as the default. Print the URIs of the pools when clients can",
      "connect, and events on standard error. Port 0 selects any free port. SIGINT or",
      'SIGTERM end the process, a second signal ends it at once. "virstor stop" stops',
      "one pool; the process ends with its last pool. The command of --run finds $uri,",
      "$socket and $exportname in its environment.",
    ],
    options: SERVE_OPTIONS,
    operands: ["NAME"],
    moreOperands: true,
    load: () => import("./serve.ts"),
  },
  {
    name: "status",
    summary: "show the state of pools, served or stopped",
    usage: "[-v] [--watch] [--json] [NAME...]",
    description: [
      "Show the state of pools: a line for each known pool; with names or -v in full.",
      "A verdict comes first: healthy, warning, degraded or failed, and what to do.",
      "JSON is one object for one name, and otherwise a list of objects.",
    ],
    options: [
      VERBOSE,
      { name: "watch", help: "repeat every 2 seconds, until Ctrl-C" },
      JSON_OUTPUT,
    ],
    operands: [],
    moreOperands: true,
    load: () => import("./status.ts"),
  },
  {
    name: "events",
    summary: "show what happens to served pools",
    usage: "[--follow] [--last N] [--json] [NAME...]",
    description: [
      "Show the latest events of served pools: space runs out, components join and",
      "leave, errors stop something. With --follow go on with the events to come, until",
      "the server ends. JSON is an object a line. The server keeps 256 events of each",
      'pool; a reader that is too slow for them gets "missed", with their number.',
    ],
    options: [
      { name: "follow", short: "f", help: "wait for events to come" },
      {
        name: "last",
        short: "n",
        value: "N",
        help: "events of before of each pool (default 20)",
      },
      JSON_OUTPUT,
    ],
    operands: [],
    moreOperands: true,
    load: () => import("./events.ts"),
  },
  {
    name: "list",
    summary: "list the known pools and their components",
    usage: "[--json] [NAME...]",
    description: [
      "List the known pools, or the named ones: what their labels say, and where",
      "their components are. JSON is a list.",
    ],
    options: [JSON_OUTPUT],
    operands: [],
    moreOperands: true,
    load: () => import("./list.ts"),
  },
  {
    name: "add",
    summary: "add components to a pool, served or stopped",
    usage: "[-fhv] [--create SIZE] [--preallocate] NAME PATH...",
    description: [
      "Add components to a pool, also while it is served: writes that wait for space",
      "resume. Like label, add refuses files that hold data or are in use.",
    ],
    options: [
      CREATE,
      PREALLOCATE,
      { name: "force", short: "f", help: "take files that hold data" },
      ...LABEL_OPTIONS,
    ],
    ...POOL_AND_PATHS,
    load: () => import("./add.ts"),
  },
  REMOVE,
  {
    name: "resize",
    summary: "give a volume another size, served or stopped",
    usage: "[-f] POOL[/VOLUME] [+|-]SIZE",
    description: [
      "Give a volume another size, rounded up to whole chunks: the named one, or the",
      "pool's first. +SIZE and -SIZE say how much larger or smaller.",
      "Connected clients see the new size when they connect again. No chunk may be",
      "mapped beyond the new end. A pool of format freebsd cannot be resized.",
    ],
    options: [
      { name: "force", short: "f", help: "make the disk smaller, too" },
    ],
    operands: ["POOL[/VOLUME]", "SIZE"],
    moreOperands: false,
    load: () => import("./resize.ts"),
  },
  REPLACE,
  GROW,
  RENAME,
  SET,
  ...VOLUME_COMMANDS,
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
    summary: "clear the labels of components; their pool is lost then",
    usage: "[-fv] PATH...",
    description: [
      "Clear the labels of components: what they hold is lost. A pool that lacks a",
      "component can only be opened read-only (serve --degraded). A component that",
      "holds data needs -f.",
    ],
    options: [
      {
        name: "force",
        short: "f",
        help: "clear also components that hold data",
      },
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
      "Look for components among the given files, devices and files in directories,",
      "and register the pools that they form.",
    ],
    options: [JSON_OUTPUT],
    operands: ["PATH"],
    moreOperands: true,
    load: () => import("./taste.ts"),
  },
  FORGET,
  {
    name: "check",
    summary: "check a pool, served or stopped",
    usage: "[--json] NAME",
    description: [
      "Check a pool: its labels have to agree, and its tables or its map have to be",
      "sound. check changes nothing. Exit code 0: sound; 2: damaged.",
    ],
    options: [JSON_OUTPUT],
    operands: ["NAME"],
    moreOperands: false,
    load: () => import("./check.ts"),
  },
  {
    name: "repair",
    summary: "repair damage in a stopped pool",
    usage: "[--dry-run] [--accept-stale PATH]... [--without-journal]\n" +
      "                      [--json] NAME",
    description: [
      "Repair damage in a stopped pool where the correct contents are certain.",
      "repair removes a component that was restored from an older copy only with",
      "--accept-stale; what only that component held then reads as zeroes.",
      "Exit code 0: no damage is left; 2: some damage cannot be repaired.",
    ],
    options: [
      { name: "dry-run", help: "show what would be repaired; change nothing" },
      {
        name: "accept-stale",
        value: "PATH",
        repeatable: true,
        help: "remove this stale component; repeatable",
      },
      {
        name: "without-journal",
        help: "give up what is in journals that are elsewhere",
      },
      JSON_OUTPUT,
    ],
    operands: ["NAME"],
    moreOperands: false,
    load: () => import("./repair.ts"),
  },
  ...REMOTE_COMMANDS,
  {
    name: "demo",
    summary: "make a small pool in ./demo-pool and serve it",
    usage: "[--listen HOST:PORT]",
    description: [
      "Make a pool of two sparse files of 64 MiB under ./demo-pool, or use an existing",
      "one, and serve it until Ctrl-C.",
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
  INSTALL_UNITS,
  {
    name: "completion",
    summary: "print a completion script for a shell",
    usage: "bash|zsh|fish",
    description: [
      "Print a script with which a shell completes commands, options, the names of",
      'pools, and files. For bash, in ~/.bashrc: eval "$(virstor completion bash)"',
      "The script does not start virstor: it reads the registry.",
    ],
    options: [],
    operands: ["bash|zsh|fish"],
    moreOperands: false,
    load: () => import("./completion.ts"),
  },
  {
    name: "version",
    summary: "print the version, and what virstor runs on",
    usage: "[--json]",
    description: [
      "Print the versions of virstor and of the runtime, and which native calls there",
      "are. virstor works without them, but slower, and not on block devices.",
    ],
    options: [JSON_OUTPUT],
    operands: [],
    moreOperands: false,
    load: () => import("./version.ts"),
  },
  {
    name: "help",
    summary: "print this help, or the help of a command",
    usage: "[COMMAND]",
    description: ["Print the help of virstor, or the help of a command."],
    options: [],
    operands: [],
    moreOperands: true,
    load: () => import("./help.ts"),
  },
];
