/**
 * A claim to a file or a block device while it is open: the lock that keeps
 * other virstor processes away, and the look at what else has it open. The
 * claim comes first and the look second, so no other virstor slips in between.
 *
 * @module
 */

import fs from "node:fs";
import os from "node:os";
import { messageOf, VirstorError } from "../../errors.ts";
import { findFileUses, kernelUses } from "./file_users.ts";
import { attempt, identityOf } from "./files.ts";
import { lockHolder } from "./lock_holder.ts";
import {
  childrenState,
  claimBlockDevice,
  closeNative,
  lockNative,
  type OpenElsewhere,
  openElsewhere,
} from "../linux/mod.ts";

/** From `linux/errno.h`. */
const [EBADF, EAGAIN] = [9, 11];

/** How long a child of this process may take to start, milliseconds. */
const STARTING_MS = 500;
/** Milliseconds until it is looked at again. */
const STARTING_PAUSE_MS = 2;
/**
 * Looks at children that have all started: what they do not get is closed a
 * moment after their programs have begun.
 */
const STARTED_LOOKS = 10;

/** What other processes may do with the file meanwhile. */
export type FileLock =
  | "exclusive" // no other process may have it locked, or open for writing
  | "shared" // other processes may have it locked as shared
  | "none";

/** How a file is claimed. */
export interface ClaimOptions {
  /** The lock to take. */
  readonly lock: FileLock;
  /** Whether it may be opened for reading only. */
  readonly readOnly: boolean;
  /** Whether native calls may be used. */
  readonly native: boolean;
}

/** A file is in use elsewhere; by what, takes a while to find out. */
export class FileInUseError extends VirstorError {
  readonly #path: string;
  readonly #identity: string;
  readonly #how: "reading" | "writing";

  /**
   * Creates an error of code `busy`.
   *
   * @param path The file.
   * @param identity The file, as `FileDevice.identity` has it.
   * @param how What it is open for elsewhere.
   */
  constructor(path: string, identity: string, how: "reading" | "writing") {
    super("busy", messageFor(path, textOfUnknown(how)));
    this.#path = path;
    this.#identity = identity;
    this.#how = how;
  }

  /**
   * Looks for what has the file open, which takes a look at all processes.
   *
   * @returns The error to throw, which names it.
   */
  async named(): Promise<VirstorError> {
    const uses = await findFileUses(this.#identity);
    const use = uses.find(({ writes }) => writes) ?? uses[0];
    if (use === undefined) return this;
    const isReader = use.by === "process" && this.#how === "reading";
    const text = isReader ? `${use.text}, or use -f` : use.text;
    return new VirstorError("busy", messageFor(this.#path, text), {
      cause: this,
    });
  }
}

function messageFor(path: string, text: string): string {
  return `Cannot open "${path}": it is ${text}`;
}

function textOfUnknown(how: "reading" | "writing"): string {
  const [what, force] = how === "reading"
    ? ["", ", or use -f"]
    : [" for writing", ""];
  return `open${what} in a process that this user cannot see ` +
    `(another user's, or another container's), end that first${force}`;
}

/** A claim to a file. */
export class FileClaim {
  /** The file, as `FileDevice.identity` has it. */
  readonly identity: string;
  /** What else has it open; `unknown` if nothing was looked for. */
  readonly openElsewhere: OpenElsewhere;
  #file: Deno.FsFile | undefined;
  #descriptor = -1;
  #claimed = -1;

  /**
   * Claims a file, at once or not at all. The lock is its own open file's, so
   * it ends when that is closed.
   *
   * A child of this process that has not started its program yet has the file
   * open if this process had, a moment ago: such a child is waited for.
   *
   * @param path Where it is.
   * @param stat What the system says of it.
   * @param options How.
   * @throws {VirstorError} `busy`, naming the holder; `unsupported` if the file
   *   system has no locks; `io`.
   */
  constructor(path: string, stat: fs.Stats, options: ClaimOptions) {
    this.identity = identityOf(path, stat);
    const mayWait = waitsForChildren();
    for (;;) {
      try {
        this.openElsewhere = this.#take(path, stat, options);
        const isSeen = ["reading", "locked"].includes(this.openElsewhere);
        if (!isSeen || !mayWait()) return;
        this.release();
      } catch (error) {
        this.release();
        const isBusy = error instanceof VirstorError && error.code === "busy";
        if (!isBusy || !mayWait()) throw error;
      }
    }
  }

  /** Tries once. What it has opened stays open when it throws. */
  #take(path: string, stat: fs.Stats, options: ClaimOptions): OpenElsewhere {
    const { lock, readOnly, native } = options;
    const isExclusive = lock === "exclusive" && !readOnly;
    if (lock !== "none") this.#lock(path, options);
    if (isExclusive && native && stat.isBlockDevice()) this.#claim(path);
    const found = isExclusive && native && stat.isFile()
      ? openElsewhere(this.#descriptor)
      : "unknown";
    if (found !== "writing") return found;
    throw new FileInUseError(path, this.identity, "writing");
  }

  /** Gives it back. */
  release(): void {
    this.#file?.close();
    this.#file = undefined;
    if (this.#descriptor >= 0) fs.closeSync(this.#descriptor);
    this.#descriptor = -1;
    if (this.#claimed >= 0) closeNative(this.#claimed);
    this.#claimed = -1;
  }

  #lock(path: string, { lock, readOnly, native }: ClaimOptions): void {
    const isExclusive = lock === "exclusive";
    // For reading only, so that it does not count as one that writes. Over NFS
    // that gives no exclusive lock.
    let error = 0;
    for (const flags of isExclusive && !readOnly ? ["r", "r+"] : ["r"]) {
      this.release();
      this.#descriptor = attempt(path, () => fs.openSync(path, flags));
      const result = native
        ? lockNative(this.#descriptor, isExclusive)
        : undefined;
      if (result === undefined) return this.#lockPortably(path, isExclusive);
      error = result;
      if (error !== EBADF) break;
    }
    if (error === 0) return;
    throw error === EAGAIN
      ? this.#lockedError(path)
      : lockError(path, nameOf(error), undefined);
  }

  #lockPortably(path: string, isExclusive: boolean): void {
    this.release();
    const file = attempt(
      path,
      () => Deno.openSync(path, { read: true, write: isExclusive }),
    );
    this.#file = file;
    try {
      if (file.tryLockSync(isExclusive)) return;
    } catch (error) {
      const number = /\(os error (\d+)\)/.exec(messageOf(error))?.[1];
      throw lockError(path, nameOf(Number(number)), error);
    }
    throw this.#lockedError(path);
  }

  #lockedError(path: string): VirstorError {
    const holder = lockHolder(this.identity.replace(/^\w+ /, ""));
    return new VirstorError(
      "busy",
      `Cannot open "${path}": it is in use by ${holder}`,
    );
  }

  #claim(path: string): void {
    const claim = claimBlockDevice(path);
    if (typeof claim === "number") this.#claimed = claim;
    if (claim !== "busy") return;
    const [use] = kernelUses(this.identity);
    const text = use?.text ??
      "in use by the system (mounted, swap, or part of another device)";
    throw new VirstorError("busy", messageFor(path, text));
  }
}

/** Each call waits a moment, and says whether to try again. */
function waitsForChildren(): () => boolean {
  const end = performance.now() + STARTING_MS;
  let looks = STARTED_LOOKS;
  return () => {
    const state = childrenState();
    // Without children once more: the last one may just have ended.
    if (state !== "starting") looks -= state === "none" ? STARTED_LOOKS : 1;
    if (looks < 0 || performance.now() >= end) return false;
    sleep(STARTING_PAUSE_MS);
    return true;
  };
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Errors that say that a file system has no locks. */
const NO_LOCKS = ["EINVAL", "ENOLCK", "ENOSYS", "ENOTSUP"];

/** The name of an error of the system, or its number. */
function nameOf(error: number): string {
  const { errno } = os.constants;
  const entry = Object.entries(errno).find(([, number]) => number === error);
  return entry?.[0] ?? `error ${error}`;
}

function lockError(path: string, name: string, cause: unknown): VirstorError {
  const options = { cause };
  if (!NO_LOCKS.includes(name)) {
    const message = `Cannot lock "${path}": ${name}`;
    return new VirstorError("io", message, options);
  }
  return new VirstorError(
    "unsupported",
    `Cannot lock "${path}": its file system has no locks (${name}), and ` +
      "without them two processes could write one pool; put it on another " +
      "file system (NFS has locks from version 4 on, or with lockd)",
    options,
  );
}
