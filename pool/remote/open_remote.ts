/**
 * Opening a remote component: finds its journal and its owner, refuses what
 * would lose data, and takes the ownership.
 *
 * @module
 */

import {
  createSparseFile,
  FileDevice,
  putFileAside,
  removeFile,
} from "../../device/file/mod.ts";
import { counted, VirstorError } from "../../errors.ts";
import type { OwnerBlock } from "../../metadata/journal/mod.ts";
import type { FarDisk } from "./far_disk.ts";
import { FarOwner, watchOwner } from "./far_owner.ts";
import { lostJournal, readFlushMark } from "./flush_mark.ts";
import { Journal } from "./journal.ts";
import { ForeignJournalError } from "./journal_recovery.ts";
import { readOwnerBlock, readOwnerSector } from "./owner_block.ts";
import { RemoteComponent } from "./remote_component.ts";

/** Bytes of a journal. */
const JOURNAL_SIZE = 2 ** 30;
/**
 * Milliseconds in which the owner rewrites its block twice. A request that the
 * owner has sent may be on its way until its disk takes the connection for lost,
 * after 10 s of silence; so the two intervals of a watch are longer than one and
 * that.
 */
const INTERVAL_MS = 12_000;

/** How a remote component is opened. */
export interface OpenRemoteOptions {
  /** The far side's URI, without a password. */
  readonly path: string;
  /**
   * The far side. *Requires*: what lies on the last page of its first
   * superblock slot is an owner block, or not needed.
   */
  readonly far: FarDisk;
  /**
   * Names the file of the journal; it is made if there is none.
   *
   * @param componentUuid The UUID of the component.
   * @returns The path.
   */
  readonly journalOf: (componentUuid: string) => string;
  /** Bytes of a journal that is made. Default: 1 GiB. */
  readonly journalSize?: number;
  /** The name of this host, for messages elsewhere. */
  readonly host: string;
  /**
   * Milliseconds in which the owner rewrites its block twice. Default: 12000.
   */
  readonly intervalMs?: number;
  /**
   * Whether to go on without a journal that is elsewhere, or lost: the component
   * then lacks what was written to it and not flushed. Default: false.
   */
  readonly force?: boolean;
  /**
   * Called for what the user should know, in one line.
   *
   * @param message The line.
   */
  readonly onNotice?: (message: string) => void;
  /**
   * Called as soon as the ownership is taken, and before anything else is
   * written: `FarOwner.identify` tells after a reconnect whether the far side is
   * still ours.
   *
   * @param owner The ownership.
   * @returns If it rejects, the far side becomes what it was, and the component
   *   is not opened.
   */
  readonly onOwner?: (owner: FarOwner) => unknown;
  /**
   * Called once if another process takes the component later.
   *
   * @param error What was found.
   */
  readonly onLost?: (error: VirstorError) => void;
  /**
   * Called when the far side leaves requests without an answer for long, and
   * when it answers again.
   *
   * @param isSilent Whether it leaves them.
   */
  readonly onSilence?: (isSilent: boolean) => void;
  /** Ends the waits for other owners. Default: nothing does. */
  readonly signal?: AbortSignal;
}

/**
 * Opens a remote component for writing.
 *
 * *Ensures*: when this throws, the journal is closed; the far side stays open.
 *
 * @param options How.
 * @returns The component, which drains its journal already.
 * @throws {VirstorError} `busy` if another process owns it; `failed` if its
 *   journal is elsewhere; `corrupt` if the journal or the owner block is
 *   damaged; `invalid` if it is too small; `io`. The reason of the signal.
 */
export async function openRemoteComponent(
  options: OpenRemoteOptions,
): Promise<RemoteComponent> {
  const { far, path, host, onNotice = () => {}, signal } = options;
  const block = await readOwnerBlock(far);
  const componentUuid = block?.componentUuid ?? crypto.randomUUID();
  const own = block === undefined
    ? undefined
    : await openOwnJournal(options, block);
  let journal = own;
  try {
    // The lock of the journal shows that the last owner has ended.
    const isOurs = own !== undefined && block?.host === host;
    if (block?.isInUse === true && !isOurs) {
      onNotice(
        `"${path}" was not given up on host "${block.host}": watching for ` +
          `${counted(2 * block.intervalMs / 1000, "second")} whether it is ` +
          "still in use there",
      );
      await watchOwner(path, far, block, signal);
    }
    if (journal === undefined && block?.isInUse === true) {
      refuseWithoutJournal(options, block);
    }
    journal ??= await makeJournal(options, block, componentUuid);
    const owner = await takeOwnership(options, block, journal, !isOurs);
    const { onLost, onSilence } = options;
    const parts = { path, far, journal, owner, onSilence };
    const component = new RemoteComponent(parts);
    const fail = owner.onLost;
    owner.onLost = (error) => {
      fail(error);
      onLost?.(error);
    };
    return component;
  } catch (error) {
    await journal?.close();
    throw error;
  }
}

/** Takes the ownership, unless `onOwner` objects. */
async function takeOwnership(
  options: OpenRemoteOptions,
  block: OwnerBlock | undefined,
  journal: Journal,
  settles: boolean,
): Promise<FarOwner> {
  const { far, signal } = options;
  const taken = blockOf(options, block, journal);
  const before = await readOwnerSector(far);
  const owner = await FarOwner.take(far, taken, settles, signal);
  try {
    await options.onOwner?.(owner);
    return owner;
  } catch (error) {
    const isUndone = await owner.undo(before);
    // A journal that no owner block names is of no use.
    const isOld = block?.journalUuid === journal.uuid;
    if (isUndone && !isOld) removeFile(journal.path);
    throw error;
  }
}

/** Opens the journal that the component records, if it is here. */
async function openOwnJournal(
  options: OpenRemoteOptions,
  block: OwnerBlock,
): Promise<Journal | undefined> {
  const { far, path } = options;
  const device = openFile(options.journalOf(block.componentUuid));
  if (device === undefined) return undefined;
  try {
    // No other process of this machine writes the mark: the journal is locked.
    const mark = await readFlushMark(far);
    const journal = await Journal.open(device, {
      componentUuid: block.componentUuid,
      generation: block.generation,
      componentSize: far.size,
      journalUuid: block.journalUuid,
    }, mark);
    if (journal.isLost) options.onNotice?.(lostJournal(journal.path, path));
    if (journal.recoveredEpoch > block.epoch) {
      await journal.close();
      throw new VirstorError(
        "corrupt",
        `Cannot use "${path}": it is an older state of this ` +
          `component (opening ${block.epoch}, its journal has writes of ` +
          `opening ${journal.recoveredEpoch}), replace it by the newer one`,
      );
    }
    return journal;
  } catch (error) {
    await device.close();
    if (error instanceof ForeignJournalError) return undefined;
    if (error instanceof VirstorError && error.code === "not-found") {
      return undefined;
    }
    throw error;
  }
}

/** Makes a journal; what lies in its place is put aside. */
async function makeJournal(
  options: OpenRemoteOptions,
  block: OwnerBlock | undefined,
  componentUuid: string,
): Promise<Journal> {
  const { journalOf, journalSize = JOURNAL_SIZE } = options;
  const journalPath = journalOf(componentUuid);
  const old = openFile(journalPath);
  if (old !== undefined) {
    await old.close();
    const aside = putFileAside(journalPath);
    options.onNotice?.(
      `The journal "${journalPath}" is not of the last opening of ` +
        `"${options.path}": it is "${aside}" now, and not replayed`,
    );
  }
  createSparseFile(journalPath, journalSize);
  const device = new FileDevice(journalPath, { lock: "exclusive" });
  try {
    return await Journal.create(device, {
      componentUuid,
      generation: (block?.generation ?? 0) + 1,
      componentSize: options.far.size,
    });
  } catch (error) {
    await device.close();
    throw error;
  }
}

function openFile(path: string): FileDevice | undefined {
  try {
    return new FileDevice(path, { lock: "exclusive" });
  } catch (error) {
    if (error instanceof VirstorError && error.code === "not-found") {
      return undefined;
    }
    throw error;
  }
}

function refuseWithoutJournal(
  options: OpenRemoteOptions,
  { host, componentUuid }: OwnerBlock,
): void {
  const { path, force = false, onNotice } = options;
  if (!force) {
    // A host of the same name may be another one.
    const [place, advice] = host === options.host
      ? [
        `at "${options.journalOf(componentUuid)}"`,
        "name its directory with --journal or VIRSTOR_JOURNAL, serve and stop " +
        "the pool where it is",
      ]
      : ["on this host", "serve and stop the pool there"];
    throw new VirstorError(
      "failed",
      `Cannot open "${path}": host "${host}" has not given it up, and its ` +
        `journal, which may hold writes that are not here, is not ${place}: ` +
        `${advice}, or use virstor repair --without-journal to do without ` +
        "them",
    );
  }
  onNotice?.(
    `"${path}" is opened without the journal of host "${host}": what was not ` +
      "flushed is lost",
  );
}

function blockOf(
  { host, intervalMs = INTERVAL_MS }: OpenRemoteOptions,
  block: OwnerBlock | undefined,
  { uuid, owner, epoch }: Journal,
): OwnerBlock {
  return {
    componentUuid: owner.componentUuid,
    ownerUuid: crypto.randomUUID(),
    journalUuid: uuid,
    generation: owner.generation,
    epoch,
    beat: (block?.beat ?? 0) + 1,
    intervalMs,
    isInUse: true,
    host,
  };
}
