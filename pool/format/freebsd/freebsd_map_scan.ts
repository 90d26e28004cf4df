/**
 * Scanning the map of format 1. The scan validates every entry against the
 * components before its visitor sees it. An open stops at the first damaged
 * entry; a check collects them all.
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
import {
  applied,
  type Component,
  type ComponentDevice,
  type Finding,
  finished,
  type ForwardMap,
} from "../../core/mod.ts";

/** Bytes of one read; the event loop gets a turn after each. */
const PIECE_BYTES = 1 << 20;

/** What a scan must know about a component. */
export interface ScanComponent {
  /** Chunks on the component, reserved ones included. */
  readonly chunkCount: number;
  /** Chunks at its start that hold the map, not data. */
  readonly chunkReserved: number;
}

/** What a scan must know about the pool. */
export interface ScanPool {
  /** Bytes of the virtual disk. */
  readonly virtualSize: number;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
}

/** Receives the entries of a scan. */
export interface ScanVisitor {
  /** A valid mapping; `component` is an index. */
  mapped(virtualChunk: number, component: number, chunk: number): void;
  /** An invalid entry. */
  damaged(finding: Finding): void;
  /** An unmapped virtual chunk whose entry is not all zeroes. */
  leftover?(virtualChunk: number): void;
}

/**
 * Scans the map on component 0.
 *
 * @param device Component 0.
 * @param pool The sizes of the pool.
 * @param components The components, in order.
 * @param visitor Receives every entry that is not all zeroes.
 * @throws {VirstorError} `io`.
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
  // The map of a thin disk is mostly holes, which the scan skips.
  for (const { length, kind } of device.extents(0, size)) {
    const end = start + length;
    while (kind === "data" && start < end) {
      const piece = buffer.subarray(0, Math.min(buffer.length, end - start));
      finished(device.read(piece, start));
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

/** What is wrong with an entry; "" if it is valid. Marks the chunk as seen. */
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
 * Zeroes the map entries of unmapped virtual chunks, durably. FreeBSD requires
 * these entries, too, to name an existing component and chunk.
 *
 * @param device Component 0.
 * @param pool The sizes of the pool.
 * @param components The components, in order.
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
      applied(device.write(zeroes, virtualChunk * FREEBSD_MAP_ENTRY_SIZE)),
  });
  await device.flush();
}

/**
 * Compares the map on disk with the map in memory. Writes may run meanwhile.
 *
 * @param pool The sizes of the pool.
 * @param members The components, in order.
 * @param map The forward map in memory.
 * @returns The differences, and invalid entries.
 * @throws {VirstorError} `io`.
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
          what: `The map entry of virtual chunk ${virtualChunk} differs from ` +
            "the mapping in memory",
          where: `${first.device.path} at ${
            virtualChunk * FREEBSD_MAP_ENTRY_SIZE
          }`,
          effect: "its data will not be found after the pool is stopped",
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
      effect: "their data will not be found after the pool is stopped",
    });
  }
  return findings;
}
