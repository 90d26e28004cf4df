/**
 * What uses a file or a block device beside this program: mounts, swap, loop
 * devices, devices that are built on it, processes. As far as the system tells
 * this user: another user's processes are hidden from all but root.
 *
 * @module
 */

import {
  linkTarget,
  listNames,
  nativeIdentity,
  processName,
  readSmallFile,
} from "../linux/mod.ts";

/** Something that uses a file. */
export interface FileUse {
  /**
   * `kernel`: a mount, swap, a loop device, a device that is built on it.
   */
  readonly by: "kernel" | "process";
  /** Whether it may write to it. */
  readonly writes: boolean;
  /** What it is and what to do: `mounted on "/mnt", unmount it first`. */
  readonly text: string;
}

/** After so long the event loop has a turn, milliseconds. */
const TURN_MS = 2;

/**
 * Finds out what uses a file.
 *
 * @param identity The file, as `FileDevice.identity` has it.
 * @returns What was found: what the kernel does with it, or else the first
 *   process that writes to it and the first one that only reads.
 */
export async function findFileUses(identity: string): Promise<FileUse[]> {
  const uses = kernelUses(identity);
  return uses.length > 0 ? uses : await processUses(identity);
}

/**
 * Finds out what the kernel does with a file or a block device.
 *
 * @param identity The file, as `FileDevice.identity` has it.
 * @returns What was found.
 */
export function kernelUses(identity: string): FileUse[] {
  const texts = identity.startsWith("device ")
    ? partsOf(identity.slice("device ".length)).flatMap(deviceUses)
    : swapUses(identity);
  const uses = texts.map((text): FileUse => ({
    by: "kernel",
    writes: true,
    text,
  }));
  return [...uses, ...loopUses(identity)];
}

/** A whole disk with its partitions, or a partition: each `MAJOR:MINOR`. */
function partsOf(number: string): string[] {
  const directory = `/sys/dev/block/${number}`;
  const partitions = listNames(directory)
    .map((name) => readSmallFile(`${directory}/${name}/dev`).trim())
    .filter((part) => /^\d+:\d+$/.test(part));
  return [number, ...partitions];
}

function deviceUses(number: string): string[] {
  const holders = listNames(`/sys/dev/block/${number}/holders`);
  return [
    ...mountsOf(number).map((at) => `mounted on "${at}", unmount it first`),
    ...swapUses(`device ${number}`),
    ...holders.map((name) =>
      `part of "/dev/${name}"${nameOfMapping(name)}, take that apart first`
    ),
  ];
}

/** A device mapper's name for a device, which says more than its number. */
function nameOfMapping(device: string): string {
  const name = readSmallFile(`/sys/block/${device}/dm/name`).trim();
  return name === "" ? "" : ` (${name})`;
}

/** Where a block device is mounted. */
function mountsOf(number: string): string[] {
  const places: string[] = [];
  for (const line of readSmallFile("/proc/self/mountinfo").split("\n")) {
    // In turn: id, parent, number, root, place, options, ..., "-", type, source.
    const [, , device, , place = ""] = line.split(" ");
    const source = unescape(line.split(" - ")[1]?.split(" ")[1] ?? "");
    const isIt = device === number ||
      (source.startsWith("/dev/") &&
        nativeIdentity(source) === `device ${number}`);
    if (isIt) places.push(unescape(place));
  }
  return places.slice(0, 1);
}

function swapUses(identity: string): string[] {
  const [, ...lines] = readSmallFile("/proc/swaps").split("\n");
  const isSwap = lines.some((line) => {
    const path = unescape(line.split(/\s/)[0] ?? "");
    return path !== "" && nativeIdentity(path) === identity;
  });
  return isSwap ? ["in use as swap space, run swapoff first"] : [];
}

/** Loop devices whose file it is. */
function loopUses(identity: string): FileUse[] {
  return listNames("/sys/block").flatMap((name): FileUse[] => {
    const directory = `/sys/block/${name}`;
    const file = readSmallFile(`${directory}/loop/backing_file`)
      .replace(/\n$/, "");
    if (file === "" || nativeIdentity(file) !== identity) return [];
    const number = readSmallFile(`${directory}/dev`).trim();
    const [place] = partsOf(number).flatMap(mountsOf);
    const text = place === undefined
      ? `attached to "/dev/${name}", detach it first (losetup -d)`
      : `attached to "/dev/${name}", which is mounted on "${place}", ` +
        "unmount it first";
    const writes = !readSmallFile(`${directory}/ro`).startsWith("1");
    return [{ by: "kernel", writes, text }];
  });
}

/** Spaces and the like are written as three octal digits. */
function unescape(word: string): string {
  return word.replaceAll(
    /\\([0-7]{3})/g,
    (_, digits: string) => String.fromCharCode(parseInt(digits, 8)),
  );
}

/** Processes that have it open: one that writes, one that does not. */
async function processUses(identity: string): Promise<FileUse[]> {
  const own = linkTarget("/proc/self");
  const pids = listNames("/proc")
    .filter((name) => /^\d+$/.test(name) && name !== own);
  let until = performance.now() + TURN_MS;
  let reader: FileUse | undefined;
  for (const pid of pids) {
    const directory = `/proc/${pid}/fd`;
    for (const name of listNames(directory)) {
      if (performance.now() > until) {
        await new Promise((resolve) => setTimeout(resolve));
        until = performance.now() + TURN_MS;
      }
      if (nativeIdentity(`${directory}/${name}`) !== identity) continue;
      const use = processUse(pid, name);
      if (use.writes) return reader === undefined ? [use] : [use, reader];
      reader ??= use;
    }
  }
  return reader === undefined ? [] : [reader];
}

function processUse(pid: string, descriptor: string): FileUse {
  const info = readSmallFile(`/proc/${pid}/fdinfo/${descriptor}`);
  const flags = parseInt(/^flags:\s*([0-7]+)/m.exec(info)?.[1] ?? "0", 8);
  // The lowest two bits: 0 reads, 1 writes, 2 does both.
  const writes = (flags & 3) !== 0;
  const text = `open${writes ? " for writing" : ""} in ${processName(pid)}, ` +
    "end that first";
  return { by: "process", writes, text };
}
