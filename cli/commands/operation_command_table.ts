/**
 * The commands for running servers: their descriptions.
 *
 * @module
 */

import type { CommandSpec, OptionSpec } from "../terminal/mod.ts";
import { JSON_OUTPUT, VERBOSE } from "./common_options.ts";

const ACCEPT_LOSS: OptionSpec = {
  name: "accept-loss",
  value: "SIZE",
  help: "lose up to SIZE that a disk cannot read; name it",
};

const RATE: OptionSpec = {
  name: "rate",
  value: "SIZE",
  help: "most a second, 0: no limit (64M if served, else 0)",
};

/** Changes a server that runs. */
export const SET: CommandSpec = {
  name: "set",
  summary: "change settings of a server, or show them",
  usage: "[--json] POOL [KEY=VALUE...]",
  description: [
    "Change settings of the server of a pool, at once: writes that wait and clients",
    "that are connected stay, and what is set holds for them, too. Without KEY=VALUE",
    "show the settings. They hold until the server ends: the options of serve decide",
    "at the next start. Those of the process hold for all its pools.",
    "  on-full              of the pool: delay or error",
    "  full-timeout         of the pool: seconds, 0 for no limit",
    "  max-delayed          of the pool: a size",
    "  chunk-watermark      of the pool: warn when less is free: chunks, size or %",
    "  component-watermark  of the pool: warn when fewer components are unused",
    "  host-watermark       of the pool: the same of file systems, as size or %",
    "  auto-extend          of the pool: the size of new components, 0 for none",
    "  auto-extend-at       of the pool: percent in use at which one is added",
    "  auto-extend-max      of the pool: the most that all components may have",
    "  auto-extend-in       of the pool: the directory of new components",
    "  evacuation-rate      of the pool: a size a second, 0 for no limit",
    "  max-clients          of the process: clients that are connected stay",
    "  idle-timeout         of the process: seconds, for clients that connect later",
    "  grace                of the process: seconds for requests at the end",
    "  log-level            of the process: error, warning, info or debug",
  ],
  options: [JSON_OUTPUT],
  operands: ["POOL"],
  moreOperands: true,
  load: () => import("./set.ts"),
};

/** Makes units for systemd. */
export const INSTALL_UNITS: CommandSpec = {
  name: "install-units",
  summary: "print or write units for systemd",
  usage: "[-f] [--write DIR] [--user USER] [--program PATH]\n" +
    "                             [POOL...]",
  description: [
    "Print the units of contrib/systemd with the paths of this machine: of the",
    "program, of the state directory, and of the components of the pools, all known",
    "ones by default. With --write write them to a directory, which is usually",
    "/etc/systemd/system. The instance of a unit is a pool: virstor@POOL.",
  ],
  options: [
    {
      name: "write",
      value: "DIR",
      help: "write virstor@.service and virstor@.socket there",
    },
    {
      name: "user",
      value: "USER",
      help: "the user of the service (default virstor)",
    },
    {
      name: "program",
      value: "PATH",
      help: "the program virstor (default this one)",
    },
    { name: "force", short: "f", help: "overwrite other units" },
  ],
  operands: [],
  moreOperands: true,
  load: () => import("./install_units.ts"),
};

/** Forgets what is in the registry. */
export const FORGET: CommandSpec = {
  name: "forget",
  summary: "remove a pool, or missing components, from the registry",
  usage: "[--json] POOL [PATH...]",
  description: [
    "Remove a stopped pool from the registry, or components of it that are gone.",
    "What is on disk stays as it is: taste finds it again. A component that is still",
    "there is refused: remove takes it out of its pool.",
  ],
  options: [JSON_OUTPUT],
  operands: ["POOL"],
  moreOperands: true,
  load: () => import("./forget.ts"),
};

/** Takes in what a component got. */
export const GROW: CommandSpec = {
  name: "grow",
  summary: "use the rest of a component that has grown",
  usage: "PATH",
  description: [
    "Take in what a component got when its file or its block device grew, in a",
    "pool that is served or stopped: first truncate -s, lvextend and the like, then",
    "this. A crash loses nothing: until it is done, the component is what it was,",
    "and the same command goes on.",
  ],
  options: [],
  operands: ["PATH"],
  moreOperands: false,
  load: () => import("./grow.ts"),
};

/** Gives a pool another name. */
export const RENAME: CommandSpec = {
  name: "rename",
  summary: "rename a pool, served or stopped",
  usage: "POOL NEWNAME",
  description: [
    "Rename a pool, served or stopped, and with it its first volume. Clients that",
    "are connected stay; new ones need the new name. A crash in the middle leaves",
    "the pool with one of the names, and the same command finishes it. A pool of",
    "format freebsd cannot be renamed.",
  ],
  options: [],
  operands: ["POOL", "NEWNAME"],
  moreOperands: false,
  load: () => import("./rename.ts"),
};

/** Takes components out. */
export const REMOVE: CommandSpec = {
  name: "remove",
  summary: "remove components from a pool, served or stopped",
  usage: "[--wait | --detach | --dry-run | --cancel] [OPTION...]\n" +
    "                      NAME PATH...",
  description: [
    "Remove components from a pool, also while it is served, and clear their",
    "labels. Components that hold data are evacuated first: their data moves to the",
    "other components while requests continue. If the pool is stopped meanwhile, the",
    "next open continues. Components of format freebsd cannot be evacuated.",
  ],
  options: [
    {
      name: "dry-run",
      help: "show what would move; exit code 5 if it does not fit",
    },
    { name: "wait", help: "wait until the components are removed (default)" },
    { name: "detach", help: "do not wait; the pool has to be served" },
    { name: "cancel", help: "keep components that are being evacuated" },
    RATE,
    ACCEPT_LOSS,
    JSON_OUTPUT,
    VERBOSE,
  ],
  operands: ["NAME", "PATH"],
  moreOperands: true,
  load: () => import("./remove.ts"),
};

/** Puts one component in the place of another. */
export const REPLACE: CommandSpec = {
  name: "replace",
  summary: "replace a component: add, evacuate, remove",
  usage: "[-f] [--create SIZE] [--rate SIZE] [--accept-loss SIZE]\n" +
    "                       [--detach] [--json] POOL OLD NEW",
  description: [
    "Replace a component of a pool, served or stopped: add the new one, move the data",
    "off the old one while requests continue, and remove it. If there is no room for",
    "the data, nothing changes. After an interruption the same command goes on.",
  ],
  options: [
    {
      name: "create",
      value: "SIZE",
      help: "create the new component, sparse, of this size",
    },
    { name: "force", short: "f", help: "take a file that holds data" },
    RATE,
    ACCEPT_LOSS,
    { name: "detach", help: "do not wait; the pool has to be served" },
    JSON_OUTPUT,
  ],
  operands: ["POOL", "OLD", "NEW"],
  moreOperands: false,
  load: () => import("./replace.ts"),
};
