/**
 * Joined URIs are several paths to one disk. A disk fails over to another path
 * only if that leads to the same disk; here a command refuses paths that do not,
 * before it uses any of them.
 *
 * What the paths show is compared first, and changes nothing. Two disks that are
 * equal, such as two new ones, differ only once a command has taken the
 * ownership of one: the other paths have to show the same owner block then.
 *
 * @module
 */

import { abandon, joinParts } from "../../device/block/mod.ts";
import { inBytes, shownPath, splitUris, VirstorError } from "../../errors.ts";
import {
  decodeOwnerBlock,
  OWNER_BLOCK_SIZE,
  type OwnerBlock,
  ownerBlockPosition,
} from "../../metadata/journal/mod.ts";
import type { FarOwner } from "./far_owner.ts";
import type { ConnectedDisk, RemoteComponents } from "./remote_components.ts";
import { Signal } from "./signal.ts";

/** How long one path is tried, milliseconds: another one is in use already. */
const PATIENCE_MS = 3000;
/** Bytes at the start of a disk, with most signatures, that are compared. */
const START_BYTES = 68 * 1024;
/** Bytes at the end of a disk, with the labels, that are compared. */
const END_BYTES = 132 * 1024;

/** What a path shows. */
interface Marks {
  readonly size: number;
  /** The owner block, or why there is none. */
  readonly block: OwnerBlock | string;
}

/** Paths of a joined URI lead to different disks. */
class OtherDiskError extends VirstorError {}

/** The paths of a joined URI beside the one in use. */
export class JoinedPaths {
  readonly #path: string;
  readonly #used: string;
  readonly #others: readonly string[];
  readonly #remote: RemoteComponents;
  /** The paths that have answered. */
  readonly #seen = new Set<string>();

  /**
   * Creates the set of paths.
   *
   * @param uris The URIs, joined.
   * @param far The disk, connected by one of them.
   * @param remote How to connect by the others.
   */
  constructor(uris: string, far: ConnectedDisk, remote: RemoteComponents) {
    const all = splitUris(uris);
    this.#path = shownPath(uris);
    this.#used = far.status?.().path ?? shownPath(all[0] ?? "");
    this.#others = all.filter((uri) => shownPath(uri) !== this.#used);
    this.#remote = remote;
  }

  /**
   * Compares what all paths show. A path that does not answer is passed over:
   * the disk compares it when it connects by that path.
   *
   * @param far The disk, by the path in use.
   * @throws {VirstorError} `invalid` if a path leads to another disk.
   */
  async compare(far: ConnectedDisk): Promise<void> {
    await joinParts(this.#others, (uri) =>
      this.#look(uri, async (disk) => {
        const difference = await differenceOf(far, disk);
        if (difference !== "") throw this.#otherDisk(uri, difference);
        this.#seen.add(uri);
      }));
  }

  /**
   * Proves that the paths that have answered lead to the disk that was taken.
   *
   * @param owner The ownership, just taken.
   * @throws {VirstorError} `invalid` if a path leads to another disk.
   */
  async prove(owner: FarOwner): Promise<void> {
    await joinParts(this.#seen, (uri) =>
      this.#look(uri, async (disk) => {
        if (await isOwned(owner, disk)) return;
        throw this.#otherDisk(
          uri,
          "what is written by the first path does not appear by the second",
        );
      }));
  }

  #otherDisk(uri: string, difference: string): OtherDiskError {
    return new OtherDiskError(
      "invalid",
      `Cannot use "${this.#path}": its paths "${this.#used}" and ` +
        `"${shownPath(uri)}" lead to different disks (${difference}); join ` +
        "URIs of one disk only",
    );
  }

  /** Connects by a path, and does something there, within a time. */
  async #look(
    uri: string,
    act: (disk: ConnectedDisk) => Promise<void>,
  ): Promise<void> {
    const limit = new AbortController();
    const expired = new Signal();
    const isExpired = expired.next();
    const timer = setTimeout(() => {
      limit.abort(new VirstorError("io", "The path does not answer"));
      expired.raise();
    }, PATIENCE_MS);
    let disk: ConnectedDisk | undefined;
    try {
      disk = await this.#remote.connect([uri], {
        readOnly: true,
        stallTimeoutMs: PATIENCE_MS,
        signal: limit.signal,
        identify: () => Promise.resolve(""),
        onEvent: () => {},
      });
      const done = act(disk);
      abandon(done);
      await Promise.race([done, isExpired]);
    } catch (error) {
      const isAway = error instanceof VirstorError &&
        !(error instanceof OtherDiskError);
      if (!isAway) throw error;
    } finally {
      clearTimeout(timer);
      const closed = Promise.resolve(disk?.close());
      // With requests in flight a disk takes long to close.
      if (limit.signal.aborted) abandon(closed);
      else await closed;
    }
  }
}

/** How two disks differ; "" if no difference is found. */
async function differenceOf(
  far: ConnectedDisk,
  other: ConnectedDisk,
): Promise<string> {
  if (far.size !== other.size) {
    return `of ${inBytes(far.size)} and ${inBytes(other.size)}`;
  }
  const [one, two] = [await marksOf(far), await marksOf(other)];
  if (typeof one.block === "string" && typeof two.block === "string") {
    return await endsDiffer(far, other) && await endsDiffer(far, other)
      ? "with different contents"
      : "";
  }
  const [first, second] = [one, two].map(({ block }) => componentIn(block));
  if (first !== second) return `with ${first} and ${second}`;
  return isOlder(one.block, two.block) || isOlder(two.block, one.block)
    ? `with different states of ${first}`
    : "";
}

async function marksOf(disk: ConnectedDisk): Promise<Marks> {
  const position = ownerBlockPosition(disk.size);
  if (position < 0) return { size: disk.size, block: "it is too small" };
  const bytes = new Uint8Array(OWNER_BLOCK_SIZE);
  await disk.read(bytes, position);
  return { size: disk.size, block: decodeOwnerBlock(bytes, position) };
}

function componentIn(block: OwnerBlock | string): string {
  return typeof block === "string"
    ? "no component"
    : `component ${block.componentUuid}`;
}

/**
 * Whether a block is older than another one, which was read at the same time. An
 * owner that is alive rewrites its block, and keeps the generation.
 */
function isOlder(
  block: OwnerBlock | string,
  other: OwnerBlock | string,
): boolean {
  if (typeof block === "string" || typeof other === "string") return false;
  return block.generation < other.generation ||
    block.ownerUuid !== other.ownerUuid && !block.isInUse && !other.isInUse;
}

/** Whether two disks without owners differ where labels and signatures are. */
async function endsDiffer(
  far: ConnectedDisk,
  other: ConnectedDisk,
): Promise<boolean> {
  const start = Math.min(START_BYTES, far.size);
  const end = Math.max(start, far.size - END_BYTES);
  const ranges = [[0, start], [end, far.size - end]] as const;
  for (const [offset, length] of ranges) {
    const [one, two] = [new Uint8Array(length), new Uint8Array(length)];
    await far.read(one, offset);
    await other.read(two, offset);
    if (one.some((byte, i) => byte !== two[i])) return true;
  }
  return false;
}

async function isOwned(
  owner: FarOwner,
  disk: ConnectedDisk,
): Promise<boolean> {
  const read = async (offset: number, length: number) => {
    const bytes = new Uint8Array(length);
    await disk.read(bytes, offset);
    return bytes;
  };
  try {
    return await owner.identify(read) === "";
  } catch (error) {
    if (error instanceof VirstorError && error.code === "busy") return false;
    throw error;
  }
}
