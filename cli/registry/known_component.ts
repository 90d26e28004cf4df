/**
 * What the registry knows of a file that carries no label: that it is a
 * component of a pool, and how large it was.
 *
 * @module
 */

import { FileDevice } from "../../device/file/mod.ts";
import { printable, VirstorError } from "../../errors.ts";
import { MovedLabelError } from "../../pool/member/mod.ts";
import { readLabel } from "../../pool/mod.ts";
import { exactSize, printNotices } from "../terminal/mod.ts";
import {
  listRegistry,
  registeredSize,
  type RegistryEntry,
} from "../state/mod.ts";

/** Fewer bytes than these may be missing from whole pages: 4 KiB. */
const ODD_BYTES = 4096;

/**
 * Says of components that they were cut or extended, where that is why they
 * have no label.
 *
 * @param entry The pool, as it is registered.
 */
export function noticeSizes(entry: RegistryEntry): void {
  for (const path of entry.components) {
    const text = sizeText(entry, path);
    if (text !== "") printNotices([text]);
  }
}

/**
 * What is known of a file without a label.
 *
 * @param stateDirectory The state directory.
 * @param path The file, absolute.
 * @returns That it was cut or extended, if that is known; else "".
 */
export async function knownSizeText(
  stateDirectory: string,
  path: string,
): Promise<string> {
  for (const entry of await listRegistry(stateDirectory)) {
    if (!entry.components.includes(path)) continue;
    const text = movedText(path) || sizeText(entry, path);
    if (text !== "") return text;
  }
  return "";
}

/**
 * Refuses files that are components of known pools although their labels are
 * gone: what they hold may still be needed.
 *
 * @param stateDirectory The state directory.
 * @param paths Files that are to become components, absolute.
 * @throws {VirstorError} `exists`.
 */
export async function refuseKnownComponents(
  stateDirectory: string,
  paths: readonly string[],
): Promise<void> {
  const entries = await listRegistry(stateDirectory);
  for (const path of paths) {
    const entry = entries.find((one) => one.components.includes(path));
    if (entry === undefined || hasLabel(path) || !holdsData(path)) continue;
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
  const change = changeText(entry, path);
  if (change === "" || hasLabel(path)) return "";
  return printable(`"${path}", a component of pool "${entry.name}", ${change}`);
}

/** How its size has changed, as the end of a sentence; "" if it has not. */
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
 * Whether there is a label, or something of which that cannot be told. One that
 * is not at the end is told of where it is read.
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

/** What is to be said of a label that is not at the end, or "". */
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
