/**
 * Reading the map of format 1: every entry is held against the components
 * before anything is believed. Opening stops at the first damage, a check goes
 * on and tells all.
 *
 * @module
 */

import { viewOf } from "../../../device/block/mod.ts";
import { counted } from "../../../errors.ts";
import {
  decodeFreebsdMapEntry,
  FREEBSD_MAP_ENTRY_SIZE,
  type FreebsdMapEntry,
  freebsdMapSize,
} from "../../../metadata/freebsd/mod.ts";
import type {
  Component,
  ComponentDevice,
  Finding,
  ForwardMap,
} from "../../core/mod.ts";

/** The map is read in pieces of this many bytes; the event loop has a turn. */
const PIECE_BYTES = 1 << 20;

/** What the map is held against: the components in order. */
export interface ScanComponent {
  /** Chunks on it. */
  readonly chunkCount: number;
  /** Chunks at its start that are not for data. */
  readonly chunkReserved: number;
}

/** What the map is of. */
export interface ScanPool {
  /** Bytes of the virtual disk. */
  readonly virtualSize: number;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
}

/** Who looks at a scan. */
export interface ScanVisitor {
  /** A virtual chunk that soundly has a place. */
  mapped(virtualChunk: number, component: number, chunk: number): void;
  /** An entry that is not sound. */
  damaged(finding: Finding): void;
  /** A virtual chunk without a place whose entry is not all zeroes. */
  leftover?(virtualChunk: number): void;
}

/**
 * Reads the map from component 0.
 *
 * @param device Component 0.
 * @param pool What the map is of.
 * @param components The components in order.
 * @param visitor Told every entry that is not simply unmapped.
 */
export async function scanFreebsdMap(
  device: ComponentDevice,
  pool: ScanPool,
  components: readonly ScanComponent[],
  visitor: ScanVisitor,
): Promise<void> {
  const seen = components.map((one) =>
    new Uint8Array(Math.ceil(one.chunkCount / 8))
  );
  const size = freebsdMapSize(pool.virtualSize, pool.chunkSize);
  const buffer = new Uint8Array(Math.min(PIECE_BYTES, size));
  let start = 0;
  // The map of a thin disk is mostly holes: they are not read.
  for (const { length, kind } of device.extents(0, size)) {
    const end = start + length;
    while (kind === "data" && start < end) {
      const piece = buffer.subarray(0, Math.min(buffer.length, end - start));
      device.read(piece, start);
      scanPiece(piece, start, device.path, components, seen, visitor);
      start += piece.length;
      if (start < size) await new Promise((resolve) => setTimeout(resolve));
    }
    start = end;
  }
}

function scanPiece(
  piece: Uint8Array,
  start: number,
  path: string,
  components: readonly ScanComponent[],
  seen: readonly Uint8Array[],
  visitor: ScanVisitor,
): void {
  const view = viewOf(piece);
  for (let at = 0; at < piece.length; at += FREEBSD_MAP_ENTRY_SIZE) {
    // Nearly all entries of a thin disk are zeroes.
    if (view.getUint32(at, true) === 0 && view.getUint32(at + 4, true) === 0) {
      continue;
    }
    const entry = decodeFreebsdMapEntry(view, at);
    const virtualChunk = (start + at) / FREEBSD_MAP_ENTRY_SIZE;
    const fault = faultOf(entry, components, seen);
    if (fault !== "") {
      visitor.damaged({
        kind: "bad-entry",
        severity: "damage",
        what: `The map entry of virtual chunk ${virtualChunk} ${fault}`,
        where: `${path} at ${start + at}`,
        effect: `the data of virtual chunk ${virtualChunk} cannot be trusted`,
      });
    } else if (entry.allocated) {
      visitor.mapped(virtualChunk, entry.component, entry.chunk);
    } else {
      visitor.leftover?.(virtualChunk);
    }
  }
}

/** What is wrong with an entry, or ""; marks the chunk as seen. */
function faultOf(
  entry: FreebsdMapEntry,
  components: readonly ScanComponent[],
  seen: readonly Uint8Array[],
): string {
  const component = components[entry.component];
  const bits = seen[entry.component];
  if (component === undefined || bits === undefined) {
    return `points to component ${entry.component} of ${components.length}`;
  }
  if (entry.chunk >= component.chunkCount) {
    return `points to chunk ${entry.chunk} of component ${entry.component}, ` +
      `which has ${component.chunkCount}`;
  }
  if (!entry.allocated) return "";
  if (entry.chunk < component.chunkReserved) {
    return `points into the reserved area, to chunk ${entry.chunk} of ` +
      `component ${entry.component}`;
  }
  const mask = 1 << entry.chunk % 8;
  const byte = bits[entry.chunk >>> 3] ?? 0;
  if ((byte & mask) !== 0) {
    return `points to chunk ${entry.chunk} of component ${entry.component}, ` +
      "which holds another virtual chunk already";
  }
  bits[entry.chunk >>> 3] = byte | mask;
  return "";
}

/**
 * Zeroes map entries that are not in use, durably: FreeBSD wants also those to
 * name a component and a chunk that there are.
 *
 * @param device Component 0.
 * @param pool What the map is of.
 * @param components The components in order.
 * @throws {VirstorError} `io`.
 */
export async function wipeLeftovers(
  device: ComponentDevice,
  pool: ScanPool,
  components: readonly ScanComponent[],
): Promise<void> {
  const zeroes = new Uint8Array(FREEBSD_MAP_ENTRY_SIZE);
  await scanFreebsdMap(device, pool, components, {
    mapped() {},
    damaged() {},
    leftover: (virtualChunk) =>
      void device.write(zeroes, virtualChunk * FREEBSD_MAP_ENTRY_SIZE),
  });
  await device.flush();
}

/**
 * Holds the map on disk against the one in memory. Writes may go on meanwhile.
 *
 * @param pool What the map is of.
 * @param members The components in order.
 * @param map The forward map in memory.
 * @returns What does not agree.
 */
export async function compareFreebsdMap(
  pool: ScanPool,
  members: readonly Component[],
  map: ForwardMap,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const first = members[0];
  if (first === undefined) return findings;
  let mapped = 0;
  const before = map.mapped;
  await scanFreebsdMap(
    first.device,
    pool,
    members.map((one) => one.geometry),
    {
      damaged: (finding) => findings.push(finding),
      mapped: (virtualChunk, component, chunk) => {
        mapped++;
        if (
          map.component(virtualChunk) === members[component] &&
          map.chunk(virtualChunk) === chunk
        ) return;
        findings.push({
          kind: "differs",
          severity: "damage",
          what: `The map entry of virtual chunk ${virtualChunk} is not the ` +
            "one that is in use",
          where: `${first.device.path} at ${
            virtualChunk * FREEBSD_MAP_ENTRY_SIZE
          }`,
          effect: "its data will not be found once the pool is stopped",
        });
      },
    },
  );
  if (mapped < before) {
    findings.push({
      kind: "differs",
      severity: "damage",
      what: counted(before - mapped, "entry is", "entries are") +
        " missing from the map",
      where: first.device.path,
      effect: "their data will not be found once the pool is stopped",
    });
  }
  return findings;
}
