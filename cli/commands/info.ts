/**
 * `virstor info`: describes the exports of an NBD server.
 *
 * @module
 */

import {
  describeExport,
  featuresOf,
  listNbdExports,
  NbdDisk,
  type NbdExportInfo,
} from "../../nbd/client/mod.ts";
import { inBytes } from "../../errors.ts";
import type { Extent } from "../../device/block/mod.ts";
import {
  type Environment,
  exactSize,
  EXIT_OK,
  type Invocation,
  print,
  printJson,
  textPairs,
  textTable,
  UsageError,
} from "../terminal/mod.ts";
import { uriOperand, withExport } from "./remote_uri.ts";

/** How long a map waits for a server that is away, milliseconds. */
const STALL_MS = 10_000;

/** The forms of a handshake, as nbdinfo names them. */
const PROTOCOLS: Readonly<Record<NbdExportInfo["style"], string>> = {
  "oldstyle": "oldstyle",
  "newstyle": "newstyle",
  "fixed newstyle": "newstyle-fixed",
};

/** What `base:allocation` says of each kind: number, words. */
const STATES: Readonly<Record<Extent["kind"], readonly [number, string]>> = {
  data: [0, "data"],
  hole: [3, "hole,zero"],
  zero: [2, "zero"],
};

/**
 * Describes one export, all exports, or what an export holds where.
 *
 * @param invocation The command line.
 * @param _environment Not used.
 * @returns The exit code.
 * @throws {VirstorError} If the server cannot be reached or used.
 */
export async function run(
  invocation: Invocation,
  _environment: Environment,
): Promise<number> {
  const uri = uriOperand(invocation.operands[0] ?? "");
  const isJson = invocation.flag("json");
  if (invocation.flag("map")) {
    if (invocation.flag("list")) {
      throw new UsageError("--map is of one export, without --list");
    }
    await printMap(uri, isJson);
    return EXIT_OK;
  }
  const infos = invocation.flag("list")
    ? await describeAll(uri)
    : [await describeExport(uri)];
  if (isJson) {
    printJson({ ...protocolOf(infos[0]), exports: infos.map(exportJson) });
  } else {
    print(infos.map(exportText).join("\n\n") || "The server lists no exports");
  }
  return EXIT_OK;
}

/** Describes each export that the server lists, over a connection each. */
async function describeAll(uri: string): Promise<NbdExportInfo[]> {
  const infos: NbdExportInfo[] = [];
  for (const { name, description } of await listNbdExports(uri)) {
    const info = await describeExport(withExport(uri, name));
    infos.push({ ...info, description: info.description || description });
  }
  return infos;
}

function protocolOf(info: NbdExportInfo | undefined): object {
  if (info === undefined) return {};
  return {
    "protocol": PROTOCOLS[info.style],
    "TLS": info.tls,
    "structured": info.dialect !== "simple",
    "extended": info.dialect === "extended",
  };
}

function exportJson(info: NbdExportInfo): object {
  const features = featuresOf(info);
  return {
    "export-name": info.name,
    ...info.canonicalName !== "" &&
      { "canonical-name": info.canonicalName },
    ...info.description !== "" && { "description": info.description },
    "uri": info.uri,
    "contexts": info.contexts,
    "is_rotational": features.isRotational,
    "is_read_only": features.isReadOnly,
    "can_cache": features.canCache,
    "can_df": features.canDf,
    "can_fast_zero": features.canFastZero,
    "can_flush": features.canFlush,
    "can_fua": features.canFua,
    "can_multi_conn": features.canMultiConn,
    "can_trim": features.canTrim,
    "can_zero": features.canZero,
    ...info.tellsBlockSizes && {
      "block_minimum": info.minimumBlock,
      "block_preferred": info.preferredBlock,
      "block_maximum": info.maximumPayload,
    },
    "export-size": info.size,
  };
}

function exportText(info: NbdExportInfo): string {
  const features = featuresOf(info);
  const able: [boolean, string][] = [
    [features.canFlush, "flush"],
    [features.canFua, "fua"],
    [features.canTrim, "trim"],
    [features.canZero, "zero"],
    [features.canFastZero, "fast-zero"],
    [features.canCache, "cache"],
    [features.canDf, "df"],
    [features.canMultiConn, "multi-conn"],
  ];
  const words = able.filter(([can]) => can).map(([, word]) => word);
  const { minimumBlock, preferredBlock, maximumPayload } = info;
  const blocks = `${minimumBlock} to ${inBytes(maximumPayload)}, ` +
    `preferably ${preferredBlock}`;
  const pairs: [string, string][] = [
    ["Export", JSON.stringify(info.name)],
    ["URI", info.uri],
    ["Size", exactSize(info.size)],
    ["Access", features.isReadOnly ? "read-only" : "read and write"],
    ["Handshake", `${info.style}, ${info.tls ? "with" : "without"} TLS`],
    ["Replies", info.dialect],
    ["Supports", words.join(", ") || "nothing but reads and writes"],
    ["Requests", info.tellsBlockSizes ? blocks : "the server sends no sizes"],
    ["Contexts", info.contexts.join(", ") || "none"],
  ];
  if (features.isRotational) pairs.push(["Disk", "rotating"]);
  if (info.description !== "") pairs.push(["Description", info.description]);
  return textPairs(pairs);
}

async function printMap(uri: string, isJson: boolean): Promise<void> {
  await using disk = await NbdDisk.connect(uri, {
    readOnly: true,
    stallTimeoutMs: STALL_MS,
  });
  const extents = disk.size === 0 ? [] : await disk.blockStatus(0, disk.size);
  let offset = 0;
  const runs = extents.map(({ length, kind }) => {
    const [type, description] = STATES[kind];
    const run = { offset, length, type, description };
    offset += length;
    return run;
  });
  if (isJson) return printJson(runs);
  print(textTable([
    ["offset", "length", "type", "description"],
    ...runs.map(({ offset, length, type, description }) => [
      `${offset}`,
      `${length}`,
      `${type}`,
      description,
    ]),
  ]));
}
