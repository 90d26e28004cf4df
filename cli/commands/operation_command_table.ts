/**
 * The commands for running servers: their descriptions.
 *
 * @module
 */

import type { CommandSpec } from "../terminal/mod.ts";
import { JSON_OUTPUT } from "./common_options.ts";

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
    "  chunk-watermark      of the pool: warn when fewer chunks are free",
    "  component-watermark  of the pool: warn when fewer components are unused",
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
