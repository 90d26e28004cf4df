/**
 * The file systems under the components: what sparse components may still take
 * of each, against what is free there.
 *
 * @module
 */

import { counted, inBytes } from "../../errors.ts";
import type { HostSpace } from "../../device/file/mod.ts";
import type { PoolEventData } from "./events.ts";
import type { SpaceMark } from "./settings.ts";

/** A file system under components. */
export interface HostStatus {
  /** The paths of the components on it. */
  readonly paths: readonly string[];
  /** Bytes that the process may still allocate there. */
  readonly freeBytes: number;
  /** Bytes of the file system. */
  readonly totalBytes: number;
  /** Bytes that the components may still take of it. */
  readonly promisedBytes: number;
}

/** A file that may lie on a file system whose space is known. */
export interface HostedFile {
  /** Its device. */
  readonly device: {
    /** Its path. */
    readonly path: string;
  };
  /** The space of its file system; undefined if unknown. */
  readonly host?: HostSpace | undefined;
}

/**
 * Groups files by their file systems.
 *
 * @param files The files.
 * @returns The file systems whose space is known.
 */
export function hostStatuses(files: readonly HostedFile[]): HostStatus[] {
  const found = new Map<string, HostStatus>();
  for (const { device: { path }, host } of files) {
    if (host === undefined) continue;
    const { fileSystem, freeBytes, totalBytes, promisedBytes } = host;
    const before = found.get(fileSystem);
    found.set(fileSystem, {
      paths: [...before?.paths ?? [], path],
      freeBytes: Math.min(before?.freeBytes ?? Infinity, freeBytes),
      totalBytes,
      promisedBytes: (before?.promisedBytes ?? 0) + promisedBytes,
    });
  }
  return [...found.values()];
}

/**
 * Says which file systems have less space than the files on them may take.
 *
 * @param hosts The file systems.
 * @returns A sentence for each.
 */
export function promiseWarnings(hosts: readonly HostStatus[]): string[] {
  return hosts.filter(({ promisedBytes, freeBytes }) =>
    promisedBytes > freeBytes
  ).map((host) =>
    `The file system of ${namesOf(host)} has ${inBytes(host.freeBytes)} ` +
    `free, but components there may take ${inBytes(host.promisedBytes)} ` +
    "more: free space there, or add components elsewhere"
  );
}

/** The event of a file system that passes its watermark. */
export type PassedHostMark = PoolEventData["watermark"] & {
  /** A sentence to show to users. */
  readonly message: string;
};

/**
 * Finds the file systems that have less space free than a watermark.
 *
 * @param hosts The file systems.
 * @param mark The watermark.
 * @returns The passed watermarks.
 */
export function passedHostMarks(
  hosts: readonly HostStatus[],
  { bytes, percent }: SpaceMark,
): PassedHostMark[] {
  return hosts.flatMap((host) => {
    const { freeBytes, totalBytes, paths } = host;
    const minimum = Math.max(bytes, Math.ceil(totalBytes * percent / 100));
    if (freeBytes >= minimum) return [];
    return [{
      mark: "host",
      count: freeBytes,
      minimum,
      total: totalBytes,
      paths,
      message: `The file system of ${namesOf(host)} has ` +
        `${inBytes(freeBytes)} free, fewer than ${minimum}`,
    }];
  });
}

function namesOf({ paths }: HostStatus): string {
  const [first] = paths;
  const others = paths.length - 1;
  const more = others === 0 ? "" : ` and ${counted(others, "other")}`;
  return `component "${first}"${more}`;
}
