/**
 * Opening a component by its URI: connects, finds out whether the component has
 * an owner, and takes the ownership where that overwrites nothing.
 *
 * @module
 */

import { abandon } from "../../device/block/mod.ts";
import { FileDevice, type FileLock } from "../../device/file/mod.ts";
import { readSmallFile } from "../../device/linux/mod.ts";
import {
  counted,
  isUri,
  shownPath,
  splitUris,
  VirstorError,
} from "../../errors.ts";
import type { OwnerBlock } from "../../metadata/journal/mod.ts";
import {
  type ComponentDevice,
  type OpenDevice,
  type OpenDeviceOptions,
  openFileDevice,
  type OpenPatience,
} from "../core/mod.ts";
import { type FarOwner, watchOwner } from "./far_owner.ts";
import { lostJournal, readFlushMark } from "./flush_mark.ts";
import { ForeignJournalError, recoverJournal } from "./journal_recovery.ts";
import { JoinedPaths } from "./joined_paths.ts";
import { readOwnerBlock } from "./owner_block.ts";
import { openRemoteComponent } from "./open_remote.ts";
import type { ConnectedDisk, RemoteComponents } from "./remote_components.ts";
import { FarNews, type OnRemoteEvent } from "./far_news.ts";
import type { RemoteComponent } from "./remote_component.ts";
import { type LeftJournal, RemoteReader } from "./remote_reader.ts";

/**
 * How long a reader, and an opening, wait for a far side that is away,
 * milliseconds.
 */
const PATIENCE_MS = 20_000;

/**
 * Makes a function that opens components: files, block devices, and URIs.
 *
 * @param remote How to reach other machines; undefined: URIs are refused.
 * @param onEvent Receives what becomes of the connections; by default they are
 *   notices of `remote`.
 * @returns The function.
 */
export function openerOf(
  remote: RemoteComponents | undefined,
  onEvent?: OnRemoteEvent,
): OpenDevice {
  return (path, options) => {
    if (!isUri(path)) return openFileDevice(path, options);
    if (remote !== undefined) {
      return openUri(path, options, { remote, onEvent });
    }
    throw new VirstorError(
      "unsupported",
      `Cannot open "${shownPath(path)}": nothing tells how to reach other ` +
        'machines, which is the option "remote"',
    );
  };
}

/** A connection, and the owner that it has to identify after a reconnect. */
interface Connection {
  readonly path: string;
  readonly far: ConnectedDisk;
  /** The other paths to it. */
  readonly joined: JoinedPaths;
  readonly patience: OpenPatience | undefined;
  readonly news: FarNews;
  owner: FarOwner | undefined;
  /** The component, from when it is taken. */
  component: RemoteComponent | undefined;
}

async function openUri(
  uris: string,
  { readOnly = false, lock, patience }: OpenDeviceOptions,
  { remote, onEvent }: {
    readonly remote: RemoteComponents;
    readonly onEvent: OnRemoteEvent | undefined;
  },
): Promise<ComponentDevice> {
  const how = { readOnly, patience, onEvent };
  const connection = await connect(uris, how, remote);
  const { path, far } = connection;
  try {
    await connection.joined.compare(far);
    const block = await readOwnerBlock(far);
    if (readOnly) {
      const journal = await journalLeft(connection, block, lock, remote);
      try {
        if (lock !== undefined && journal === undefined) {
          await watch(path, far, block, remote);
        }
      } catch (error) {
        await journal?.device.close();
        throw error;
      }
      return new RemoteReader({ path, far, journal, claim: undefined });
    }
    // The page of the block is the owner's already.
    if (block !== undefined) return await claim(connection, remote);
    return new RemoteReader({
      path,
      far,
      journal: undefined,
      claim: () => claim(connection, remote),
    });
  } catch (error) {
    const isAway = far.status?.().state === "connecting";
    await far.close();
    throw isAway ? asMissing(error) : error;
  }
}

/** As of a file that is not there: the pool may be open without it. */
function asMissing(error: unknown): unknown {
  return error instanceof VirstorError && error.code === "io"
    ? new VirstorError("not-found", error.message, { cause: error })
    : error;
}

async function connect(
  uris: string,
  { readOnly, patience, onEvent }: {
    readonly readOnly: boolean;
    readonly patience: OpenPatience | undefined;
    readonly onEvent: OnRemoteEvent | undefined;
  },
  remote: RemoteComponents,
): Promise<Connection> {
  const path = shownPath(uris);
  const news = new FarNews({ path, onEvent, onNotice: remote.onNotice });
  let connection: Connection | undefined;
  try {
    const far = await remote.connect(splitUris(uris), {
      readOnly,
      stallTimeoutMs: PATIENCE_MS,
      identify: async (read) => await connection?.owner?.identify(read) ?? "",
      onEvent: (event) => news.heard(event),
      ...patience !== undefined && { signal: patience.cancelled },
    });
    news.far = far;
    connection = {
      ...{ path, far, patience, news },
      joined: new JoinedPaths(uris, far, remote),
      ...{ owner: undefined, component: undefined },
    };
    patience?.givenUp.addEventListener("abort", () => giveUp(connection));
  } catch (error) {
    patience?.cancelled.throwIfAborted();
    throw asMissing(error);
  }
  if (readOnly || !connection.far.capabilities.readOnly) return connection;
  await connection.far.close();
  throw new VirstorError(
    "read-only",
    `Cannot write to "${path}": its server says that it is read-only`,
  );
}

async function claim(
  connection: Connection,
  remote: RemoteComponents,
): Promise<ComponentDevice> {
  const { path, far, joined, patience, news } = connection;
  const { journalSize, intervalMs, onNotice, host = hostName() } = remote;
  connection.component = await openRemoteComponent({
    path,
    far,
    journalOf: journalOf(remote),
    host,
    force: remote.withoutJournal ?? false,
    onOwner: (owner) => {
      connection.owner = owner;
      return joined.prove(owner);
    },
    onLost: ({ message }) =>
      news.heard({ kind: "failed", message: `"${path}": ${message}` }),
    onSilence: (isSilent) => news.silent(isSilent),
    ...journalSize !== undefined && { journalSize },
    ...intervalMs !== undefined && { intervalMs },
    ...onNotice !== undefined && { onNotice },
    ...patience !== undefined && { signal: patience.cancelled },
  });
  return Object.assign(connection.component, {
    inUse: () => far.stallAfter?.(0),
  });
}

/** Ends all that waits for an answer. */
function giveUp(connection: Connection | undefined): void {
  if (connection?.component !== undefined) {
    connection.component.giveUp("it is not wanted any more");
  } else if (connection !== undefined) {
    abandon(Promise.resolve(connection.far.close(0)));
  }
}

/** The journal that the owner has left on this machine, if it has. */
async function journalLeft(
  { path, far }: Connection,
  block: OwnerBlock | undefined,
  lock: FileLock | undefined,
  remote: RemoteComponents,
): Promise<LeftJournal | undefined> {
  if (block === undefined) return undefined;
  let device: FileDevice | undefined;
  try {
    device = new FileDevice(journalOf(remote)(block.componentUuid), {
      readOnly: true,
      lock: "shared",
    });
    const mark = await readFlushMark(far);
    const { records, isLost } = await recoverJournal(device, {
      componentUuid: block.componentUuid,
      generation: block.generation,
      componentSize: far.size,
      journalUuid: block.journalUuid,
    }, mark);
    if (isLost) remote.onNotice?.(lostJournal(device.path, path));
    return { device, records };
  } catch (error) {
    await device?.close();
    if (!(error instanceof VirstorError)) throw error;
    const isElsewhere = error.code === "not-found" ||
      error instanceof ForeignJournalError;
    // Without a lock, the far side alone is looked at.
    const isBusy = lock === undefined && error.code === "busy";
    if (isElsewhere || isBusy) return undefined;
    throw error;
  }
}

/** Refuses to read what the owner, on another machine, may be writing. */
async function watch(
  path: string,
  far: ConnectedDisk,
  block: OwnerBlock | undefined,
  { onNotice }: RemoteComponents,
): Promise<void> {
  if (block?.isInUse !== true) return;
  onNotice?.(
    `"${path}" was not given up on host "${block.host}", and its journal is ` +
      "not here: watching for " +
      `${counted(2 * block.intervalMs / 1000, "second")} whether it is still ` +
      "in use there",
  );
  await watchOwner(path, far, block);
}

function hostName(): string {
  return readSmallFile("/proc/sys/kernel/hostname").trim();
}

function journalOf({ journals }: RemoteComponents) {
  return (componentUuid: string) => `${journals}/${componentUuid}.journal`;
}
