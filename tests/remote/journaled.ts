/**
 * Remote components over real far servers.
 *
 * @module
 */

import { createSparseFile, FileDevice } from "../../device/mod.ts";
import { VirstorError } from "../../errors.ts";
import { NbdDisk } from "../../nbd/client/mod.ts";
import { ownerBlockPosition } from "../../metadata/journal/mod.ts";
import {
  Journal,
  openRemoteComponent,
  RemoteComponent,
} from "../../pool/remote/mod.ts";
import { PATIENCE_MS } from "../helpers/patience.ts";

/** Bytes of a journal: it is full now and then. */
const JOURNAL_SIZE = 2 ** 20;
/** The first opening waits so long for other owners, milliseconds. */
const INTERVAL_MS = 500;
/** Bytes from the owner block to the end of a component. */
export const OWNED_END: number = -ownerBlockPosition(0);

/**
 * Opens the journal of a far disk, and makes it if there is none.
 *
 * @param path The file.
 * @param disk The far disk.
 * @returns The journal.
 */
export async function openJournal(
  path: string,
  disk: NbdDisk,
): Promise<Journal> {
  const owner = {
    componentUuid: "c0c1c2c3-c4c5-46c7-88c9-cacbcccdcecf",
    generation: 1,
    componentSize: disk.size,
  };
  try {
    createSparseFile(path, JOURNAL_SIZE);
  } catch (error) {
    if (!(error instanceof VirstorError) || error.code !== "exists") {
      throw error;
    }
    return await Journal.open(new FileDevice(path), owner);
  }
  return await Journal.create(new FileDevice(path), owner);
}

/**
 * Opens a remote component.
 *
 * @param uri The far disk.
 * @param path The file of its journal.
 * @returns The component.
 */
export async function openRemote(
  uri: string,
  path: string,
): Promise<RemoteComponent> {
  const far = await connect(uri);
  const journal = await openJournal(path, far);
  return new RemoteComponent({ path: uri, far, journal });
}

/**
 * Opens a remote component with an owner, and so with a flush mark.
 *
 * @param uri The far disk; its last {@linkcode OWNED_END} bytes are not used.
 * @param path The file of its journal.
 * @returns The component.
 */
export async function openOwned(
  uri: string,
  path: string,
): Promise<RemoteComponent> {
  return await openRemoteComponent({
    path: uri,
    far: await connect(uri),
    host: "one",
    journalOf: () => path,
    journalSize: JOURNAL_SIZE,
    intervalMs: INTERVAL_MS,
  });
}

function connect(uri: string): Promise<NbdDisk> {
  return NbdDisk.connect(uri, {
    openTimeoutMs: PATIENCE_MS,
    backOff: { firstMs: 5, mostMs: 50 },
  });
}
