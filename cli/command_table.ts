/**
 * All commands of virstor, with what their help says.
 *
 * @module
 */

import type { CommandSpec, OptionSpec } from "./command.ts";

const VERBOSE: OptionSpec = {
  name: "verbose",
  short: "v",
  help: "say more",
};
const HARDCODE: OptionSpec = {
  name: "hardcode",
  short: "h",
  help: "write the file's own name into its label",
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

/** The options of `serve`. */
const SERVE_OPTIONS: readonly OptionSpec[] = [
  {
    name: "listen",
    value: "HOST:PORT",
    help: "TCP address (default 127.0.0.1:10809)",
  },
  {
    name: "socket",
    value: "PATH",
    help: "Unix socket to listen on instead",
  },
  {
    name: "component",
    value: "PATH",
    repeatable: true,
    help: "where a component is now; repeatable",
  },
  { name: "read-only", help: "refuse all writes" },
  {
    name: "on-full",
    value: "delay|error",
    help: "a write without a chunk waits (default) or fails",
  },
  {
    name: "full-timeout",
    value: "SECONDS",
    help: "fail delayed writes after this (default never)",
  },
  {
    name: "max-delayed",
    value: "SIZE",
    help: "hold this much of delayed writes (default 64M)",
  },
  {
    name: "chunk-watermark",
    value: "N",
    help: "warn when fewer chunks are free (default 100)",
  },
  {
    name: "component-watermark",
    value: "N",
    help: "warn when fewer components are empty (default 1)",
  },
];

const STOP_TEXT = {
  usage: "[-fv] NAME...",
  description: [
    "Stop serving pools: delayed writes fail with ESHUTDOWN, everything else is",
    "finished and made durable. The labels stay as they are. A pool with",
    "connected clients is stopped with -f only.",
  ],
  options: [
    { name: "force", short: "f", help: "also while clients are connected" },
    VERBOSE,
  ],
  operands: ["NAME"],
  moreOperands: true,
  load: () => import("./commands/stop.ts"),
} as const;

/** The commands, in the order of the help. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "label",
    summary: "make a pool of files",
    usage: "[-fhv] [-s VIRSIZE] [-m CHUNKSIZE] [--create SIZE]\n" +
      "                     [--format freebsd] NAME PATH...",
    description: [
      "Make a pool of the given files, or block devices: each becomes a component,",
      "with a label in its last sector. Nothing is written before everything was",
      "checked. What the files held is lost.",
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
        help: "size of a chunk (default 4M)",
      },
      CREATE,
      {
        name: "format",
        value: "freebsd",
        help: "format on disk: that of FreeBSD's gvirstor",
      },
      {
        name: "force",
        short: "f",
        help: "take files that carry a label, and names in use",
      },
      HARDCODE,
      VERBOSE,
    ],
    operands: ["NAME", "PATH"],
    moreOperands: true,
    load: () => import("./commands/label.ts"),
  },
  {
    name: "serve",
    summary: "serve a pool over NBD, until it is stopped",
    usage: "[--socket PATH | --listen HOST:PORT] [OPTION...] NAME",
    description: [
      "Serve a pool over NBD; print its URI when clients can connect, and events on",
      'standard error. Port 0 stands for any free one. SIGINT, SIGTERM or "virstor',
      'stop" end it; a second signal ends it at once.',
    ],
    options: SERVE_OPTIONS,
    operands: ["NAME"],
    moreOperands: false,
    load: () => import("./commands/serve.ts"),
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
    load: () => import("./commands/status.ts"),
  },
  {
    name: "list",
    summary: "list the known pools and their components",
    usage: "[--json]",
    description: [
      "List the pools that are known, what their labels say, and where their",
      "components are.",
    ],
    options: [JSON_OUTPUT],
    operands: [],
    moreOperands: false,
    load: () => import("./commands/list.ts"),
  },
  {
    name: "add",
    summary: "add components to a pool, served or stopped",
    usage: "[-fhv] [--create SIZE] NAME PATH...",
    description: [
      "Add components to a pool, also while it is served: writes that waited for",
      "space go on.",
    ],
    options: [
      CREATE,
      { name: "force", short: "f", help: "take files that carry a label" },
      HARDCODE,
      VERBOSE,
    ],
    operands: ["NAME", "PATH"],
    moreOperands: true,
    load: () => import("./commands/add.ts"),
  },
  {
    name: "remove",
    summary: "remove empty components from a pool, served or stopped",
    usage: "[-v] NAME PATH...",
    description: [
      "Remove components that hold no chunk from a pool, also while it is served,",
      "and clear their labels.",
    ],
    options: [VERBOSE],
    operands: ["NAME", "PATH"],
    moreOperands: true,
    load: () => import("./commands/remove.ts"),
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
    usage: "[-v] PATH...",
    description: [
      "Clear the labels of components. A pool that lacks a component cannot be",
      "opened any more: what it holds is lost.",
    ],
    options: [VERBOSE],
    operands: ["PATH"],
    moreOperands: true,
    load: () => import("./commands/clear.ts"),
  },
  {
    name: "dump",
    summary: "print the labels of components",
    usage: "[--json] PATH...",
    description: ["Print the labels of components."],
    options: [JSON_OUTPUT],
    operands: ["PATH"],
    moreOperands: true,
    load: () => import("./commands/dump.ts"),
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
    load: () => import("./commands/taste.ts"),
  },
  {
    name: "check",
    summary: "check a pool, served or stopped",
    usage: "[--json] NAME",
    description: [
      "Check a pool: that its labels agree, that every map entry is in range, that no",
      "chunk is mapped twice. Changes nothing. Exit code 0: sound; 2: damaged.",
    ],
    options: [JSON_OUTPUT],
    operands: ["NAME"],
    moreOperands: false,
    load: () => import("./commands/check.ts"),
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
    load: () => import("./commands/demo.ts"),
  },
  {
    name: "help",
    summary: "print this help, or that of a command",
    usage: "[COMMAND]",
    description: ["Print the help of virstor, or that of a command."],
    options: [],
    operands: [],
    moreOperands: true,
    load: () => import("./commands/help.ts"),
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
