/**
 * The commands for exports of any NBD server, with their help texts.
 *
 * @module
 */

import type { CommandSpec } from "../terminal/mod.ts";
import { JSON_OUTPUT, VERBOSE } from "./common_options.ts";

/** The commands, in the order of the help. */
export const REMOTE_COMMANDS: readonly CommandSpec[] = [
  {
    name: "info",
    summary: "describe the exports of an NBD server",
    usage: "[--list | --map] [--json] URI",
    description: [
      "Describe the export that a URI names: its size, what it supports, its metadata",
      "contexts. The server may be any NBD server. With --json the names are those of",
      "nbdinfo. A URI is nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH;",
      "nbds and nbds+unix encrypt, with the certificates in tls-certificates=DIR.",
    ],
    options: [
      { name: "list", help: "describe all exports of the server" },
      { name: "map", help: "show what is data, and what is holes or zeroes" },
      JSON_OUTPUT,
    ],
    operands: ["URI"],
    moreOperands: false,
    load: () => import("./info.ts"),
  },
  {
    name: "copy",
    summary: "copy a disk: files, devices, pools, NBD exports",
    usage: "[-fv] [OPTION...] SOURCE TARGET",
    description: [
      "Copy all of a disk to the beginning of another. SOURCE and TARGET are files,",
      "block devices, POOL, POOL/VOLUME, NBD URIs, or - for standard input or output;",
      "SOURCE may be a snapshot, POOL@NAME or POOL/VOLUME@NAME. Pools may be served or",
      "stopped. Holes and zeroes are not read where the source tells of them, and",
      "become holes. A connection that is lost is made again. copy makes a missing",
      "file; it overwrites a file or a volume that may hold data only with -f. What an",
      "export holds is overwritten in any case. With --since, TARGET must hold what the",
      "volume was at the snapshot; only what has changed since is copied.",
    ],
    options: [
      {
        name: "force",
        short: "f",
        help: "overwrite a file, a block device or a volume",
      },
      {
        name: "since",
        value: "SNAPSHOT",
        help: "copy only what has changed since",
      },
      {
        name: "connections",
        value: "N",
        help: "connections to a server (default 4)",
      },
      {
        name: "stall-timeout",
        value: "SECONDS",
        help: "fail if a server is away so long (default 60)",
      },
      {
        name: "target-is-zero",
        help: "do not zero what reads as zeroes already",
      },
      { name: "unsafe", help: "do not make the copy durable at the end" },
      VERBOSE,
    ],
    operands: ["SOURCE", "TARGET"],
    moreOperands: false,
    load: () => import("./copy.ts"),
  },
  {
    name: "ping",
    summary: "measure how long an NBD server takes to answer",
    usage: "[--count N] [--interval SECONDS] [--json] URI",
    description: [
      "Read a block and flush, once a second until Ctrl-C, and show how long the server",
      "took. Nothing is written. Exit code 1: nothing was answered.",
    ],
    options: [
      { name: "count", value: "N", help: "end after so many rounds" },
      {
        name: "interval",
        value: "SECONDS",
        help: "wait between two rounds (default 1)",
      },
      JSON_OUTPUT,
    ],
    operands: ["URI"],
    moreOperands: false,
    load: () => import("./ping.ts"),
  },
];
