/**
 * What the registry knows of a file without a label: which pool it is a
 * component of, and how large it was.
 *
 * @module
 */

import { FileDevice } from "../../device/file/mod.ts";
import { isUri, printable, VirstorError } from "../../errors.ts";
import { MovedLabelError } from "../../pool/member/mod.ts";
import { readLabel } from "../../pool/mod.ts";
import { exactSize, printNotices } from "../terminal/mod.ts";
import {
  listRegistry,
  registeredSize,
  type RegistryEntry,
} from "../state/mod.ts";

/** A file may be this many bytes longer than its registered whole pages. */
const ODD_BYTES = 4096;

/**
 * Prints a notice for each component that has no label because the file was cut
 * or extended.
 *
 * @param entry The pool's registry entry.
 */
export function noticeSizes(entry: RegistryEntry): void {
  for (const path of entry.components) {
    const text = sizeText(entry, path);
    if (text !== "") printNotices([text]);
  }
}

/**
 * Describes how the size of a file without a label has changed.
 *
 * @param stateDirectory The state directory.
 * @param path The file's path, absolute.
 * @returns A sentence if the file was cut or extended, else "".
 */
export async function knownSizeText(
  stateDirectory: string,
  path: string,
): Promise<string> {
  for (const entry of await listRegistry(stateDirectory)) {
    if (!entry.components.includes(path) || isUri(path)) continue;
    const text = movedText(path) || sizeText(entry, path);
    if (text !== "") return text;
  }
  return "";
}

/**
 * Refuses files that are registered as components, have lost their labels and
 * hold data: the data may still be needed.
 *
 * @param stateDirectory The state directory.
 * @param paths Files that are to become components, absolute.
 * @throws {VirstorError} `exists` for such a file.
 */
export async function refuseKnownComponents(
  stateDirectory: string,
  paths: readonly string[],
): Promise<void> {
  const entries = await listRegistry(stateDirectory);
  for (const path of paths) {
    const entry = entries.find((one) => one.components.includes(path));
    // Of a URI its signatures are looked at, which takes a connection.
    if (
      entry === undefined || isUri(path) || hasLabel(path) || !holdsData(path)
    ) continue;
    const change = changeText(entry, path);
    throw new VirstorError(
      "exists",
      `Cannot use "${path}": it carries no label, but is registered as a ` +
        `component of pool "${entry.name}", holds data` +
        `${change === "" ? "" : `, and ${change}`}; -f overwrites it`,
    );
  }
}

function sizeText(entry: RegistryEntry, path: string): string {
  const change = isUri(path) ? "" : changeText(entry, path);
  if (change === "" || hasLabel(path)) return "";
  return printable(`"${path}", a component of pool "${entry.name}", ${change}`);
}

/** How the file's size has changed, as the end of a sentence; else "". */
function changeText(entry: RegistryEntry, path: string): string {
  const known = registeredSize(entry, path);
  const size = known === 0 ? undefined : sizeOf(path);
  if (size === undefined) return "";
  const by = size - known;
  if (by >= 0 && by < ODD_BYTES) return "";
  const [word, done] = by < 0 ? ["shorter", "cut"] : ["longer", "extended"];
  return `is ${exactSize(Math.abs(by))} ${word} than the ${exactSize(known)} ` +
    `that it had: it was ${done}`;
}

/**
 * Tells whether a file has a label, or may have one that cannot be read. A
 * label that is not at the end of the file counts, too.
 */
function hasLabel(path: string): boolean {
  try {
    readLabel(path);
    return true;
  } catch (error) {
    if (!(error instanceof VirstorError)) throw error;
    return error.code !== "not-found" || error instanceof MovedLabelError;
  }
}

/** Describes a label that is not at the end of its file; else "". */
function movedText(path: string): string {
  try {
    readLabel(path);
  } catch (error) {
    if (error instanceof MovedLabelError) return error.message;
  }
  return "";
}

function sizeOf(path: string): number | undefined {
  return withDevice(path, ({ size }) => size);
}

function holdsData(path: string): boolean {
  return withDevice(path, (device) => device.nextData(0) < device.size) ??
    false;
}

function withDevice<T>(
  path: string,
  look: (device: FileDevice) => T,
): T | undefined {
  try {
    const device = new FileDevice(path, { readOnly: true });
    try {
      return look(device);
    } finally {
      device.close();
    }
  } catch (error) {
    if (error instanceof VirstorError) return undefined;
    throw error;
  }
}
