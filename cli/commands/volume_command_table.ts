/**
 * The commands for volumes and snapshots, with their help texts.
 *
 * @module
 */

import type { CommandSpec, OptionSpec } from "../terminal/mod.ts";
import { JSON_OUTPUT } from "./common_options.ts";

const SIZE: OptionSpec = {
  name: "size",
  short: "s",
  value: "SIZE",
  help: "size of the volume; always needed",
};

const WAIT: OptionSpec = {
  name: "wait",
  help: "wait until the space is free, and tell how much it is",
};

const DRY_RUN: readonly OptionSpec[] = [
  { name: "dry-run", help: "show what would be freed; change nothing" },
  { ...JSON_OUTPUT, help: "with --dry-run: print JSON, for scripts" },
];

/** The commands, in the order of the help. */
export const VOLUME_COMMANDS: readonly CommandSpec[] = [
  {
    name: "volume create",
    summary: "create a volume in a pool",
    usage: "-s SIZE POOL/VOLUME",
    description: [
      "Create a volume, which reads as zeroes and takes no space until it is written",
      "to. Its size is rounded up to whole chunks. A served pool exports it at once,",
      "as POOL/VOLUME.",
    ],
    options: [SIZE],
    operands: ["POOL/VOLUME"],
    moreOperands: false,
    load: () => import("./volume_create.ts"),
  },
  {
    name: "volume list",
    summary: "list the volumes of pools",
    usage: "[--json] [POOL...]",
    description: [
      "List the volumes of the named pools, or of all known ones. Referenced: what the",
      "volume sees; unique: what its removal would free. JSON is a list.",
    ],
    options: [JSON_OUTPUT],
    operands: [],
    moreOperands: true,
    load: () => import("./volume_list.ts"),
  },
  {
    name: "volume remove",
    summary: "remove a volume; what it holds is lost",
    usage: "[-f] [--wait] | --dry-run [--json] POOL/VOLUME",
    description: [
      "Remove a volume, and free its chunks, of a served pool in the background. Its",
      "clients are disconnected. A volume that holds data needs -f, or its name typed",
      "again on a terminal. A volume with snapshots, and the first volume of a pool,",
      "cannot be removed.",
    ],
    options: [
      { name: "force", short: "f", help: "remove also a volume with data" },
      WAIT,
      ...DRY_RUN,
    ],
    operands: ["POOL/VOLUME"],
    moreOperands: false,
    load: () => import("./volume_remove.ts"),
  },
  {
    name: "volume rename",
    summary: "rename a volume",
    usage: "POOL/VOLUME NEWNAME",
    description: [
      "Rename a volume, and with it its export. Clients stay connected. The first",
      "volume of a pool has the name of its pool.",
    ],
    options: [],
    operands: ["POOL/VOLUME", "NEWNAME"],
    moreOperands: false,
    load: () => import("./volume_rename.ts"),
  },
  {
    name: "volume set",
    summary: "set the limits of a volume",
    usage: "POOL[/VOLUME] KEY=VALUE...",
    description: [
      "Set what a volume may do; at once, and kept in the pool:",
      "  quota=SIZE                the most it takes, with its snapshots",
      "  reserve=SIZE              what is set aside for it",
      "  on-full=delay|error|pool  what writes do without a free chunk (pool: as it)",
      "  read-only=yes|no          whether writes are refused",
      "SIZE none ends a quota or reserve. A quota counts whole chunks.",
    ],
    options: [],
    operands: ["POOL[/VOLUME]", "KEY=VALUE"],
    moreOperands: true,
    load: () => import("./volume_set.ts"),
  },
  {
    name: "volume flatten",
    summary: "copy what a clone shares with its parent",
    usage: "POOL/VOLUME",
    description: [
      "Copy the chunks that a clone shares with its parent, while requests go on, and",
      "then end the tie: the parent's snapshot can be removed. It needs space for the",
      "copies. A clone with snapshots cannot be flattened.",
    ],
    options: [],
    operands: ["POOL/VOLUME"],
    moreOperands: false,
    load: () => import("./volume_flatten.ts"),
  },
  {
    name: "snapshot",
    summary: "take snapshots, all at one instant",
    usage: "POOL[/VOLUME]@NAME...",
    description: [
      "Take snapshots of volumes of one pool, all at one instant. A snapshot holds",
      "every write that was acknowledged before, durably. A served pool exports it,",
      "read-only, as POOL/VOLUME@NAME. POOL alone is the first volume.",
    ],
    options: [],
    operands: ["POOL[/VOLUME]@NAME"],
    moreOperands: true,
    load: () => import("./snapshot.ts"),
  },
  {
    name: "snapshot list",
    summary: "list the snapshots of pools or volumes",
    usage: "[--json] [POOL[/VOLUME]...]",
    description: [
      "List the snapshots of all volumes of the named pools, of the named volumes, or",
      "of all known pools. Referenced: what the snapshot sees; unique: what its",
      "removal alone would free. JSON is a list.",
    ],
    options: [JSON_OUTPUT],
    operands: [],
    moreOperands: true,
    load: () => import("./snapshot_list.ts"),
  },
  {
    name: "snapshot remove",
    summary: "remove snapshots",
    usage: "[--wait|--dry-run [--json]] POOL[/VOLUME]@NAME...",
    description: [
      "Remove snapshots of one pool, all in one step, and free the chunks that only",
      "they see, of a served pool in the background. Their clients are disconnected. A",
      "snapshot with clones cannot be removed: flatten or remove these first.",
    ],
    options: [WAIT, ...DRY_RUN],
    operands: ["POOL[/VOLUME]@NAME"],
    moreOperands: true,
    load: () => import("./snapshot_remove.ts"),
  },
  {
    name: "rollback",
    summary: "make a volume what it was at a snapshot",
    usage: "[-fr] POOL[/VOLUME]@NAME",
    description: [
      "Make a volume what it was when the snapshot was taken: what was written since",
      "is lost. A volume with newer snapshots needs -r, one with connected clients -f.",
    ],
    options: [
      {
        name: "remove-newer",
        short: "r",
        help: "remove the snapshots that are newer",
      },
      {
        name: "force",
        short: "f",
        help: "disconnect the clients of the volume",
      },
    ],
    operands: ["POOL[/VOLUME]@NAME"],
    moreOperands: false,
    load: () => import("./rollback.ts"),
  },
  {
    name: "clone",
    summary: "make a volume of a snapshot",
    usage: "POOL[/VOLUME]@NAME POOL/NEWVOLUME",
    description: [
      "Make a volume of what a snapshot sees, in an instant. It takes no space until",
      "it is written to. It keeps the snapshot: see virstor volume flatten.",
    ],
    options: [],
    operands: ["POOL[/VOLUME]@NAME", "POOL/NEWVOLUME"],
    moreOperands: false,
    load: () => import("./clone.ts"),
  },
  {
    name: "diff",
    summary: "show what has changed since a snapshot",
    usage: "[--json] POOL[/VOLUME]@A [POOL[/VOLUME][@B]]",
    description: [
      "Show the ranges of a volume that may have changed since snapshot A: until now,",
      "or until snapshot B. Ranges are whole chunks: offset, length, and whether data",
      "or a hole is there now. JSON is a list.",
    ],
    options: [JSON_OUTPUT],
    operands: ["POOL[/VOLUME]@A"],
    moreOperands: true,
    load: () => import("./diff.ts"),
  },
];
