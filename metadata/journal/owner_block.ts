/**
 * The owner block of a remote component: which process writes to it, and which
 * journal holds what it may lack. docs/format.md tables the offsets.
 *
 * The block lies on the component itself, in a part of the superblock area that
 * no superblock uses. It fills one sector, so a power cut leaves the old block
 * or the new one.
 *
 * @module
 */

import { viewOf } from "../../device/block/mod.ts";
import { assert } from "../../errors.ts";
import {
  areZeroes,
  decodeUuid,
  encodeUuid,
  getUint64,
  NIL_UUID,
  setUint64,
} from "../common/mod.ts";
import {
  NATIVE_PAGE_SIZE,
  SUPERBLOCK_SLOT_SIZE,
  superblockPosition,
} from "../native/mod.ts";
import {
  beginBlock,
  blockFault,
  type BlockKind,
  sealBlock,
} from "./block_start.ts";

/** Bytes of an owner block. */
export const OWNER_BLOCK_SIZE = 512;
/** Bytes that are kept for it: a page. */
export const OWNER_BLOCK_ROOM: number = NATIVE_PAGE_SIZE;
/** Bytes of the name of a host, UTF-8. */
export const OWNER_HOST_SIZE = 64;
/** The offset of each field, bytes from the start of the block. */
export const OWNER_BLOCK_OFFSET: Readonly<
  Record<
    | "magic"
    | "checksum"
    | "version"
    | "position"
    | "componentUuid"
    | "ownerUuid"
    | "journalUuid"
    | "generation"
    | "epoch"
    | "beat"
    | "intervalMs"
    | "isInUse"
    | "host",
    number
  >
> = {
  magic: 0,
  checksum: 16,
  version: 20,
  position: 24,
  componentUuid: 32,
  ownerUuid: 48,
  journalUuid: 64,
  generation: 80,
  epoch: 88,
  beat: 96,
  intervalMs: 104,
  isInUse: 108,
  host: 112,
};

/** Reserved bytes behind `isInUse`. */
const RESERVED = OWNER_BLOCK_OFFSET.isInUse + 1;
/** Where the last field ends. */
const FIELDS_END = OWNER_BLOCK_OFFSET.host + OWNER_HOST_SIZE;
/** The longest interval, milliseconds: a day. */
const INTERVAL_MAX = 86_400_000;

/** The result of {@linkcode decodeOwnerBlock} for a block of zeroes. */
export const NO_OWNER = "it was never written";

const KIND: BlockKind = {
  magic: new TextEncoder().encode("VIRSTOR::OWNER\0\0"),
  version: 1,
  never: NO_OWNER,
  other: "it holds no owner block",
};

/** Which process writes to a remote component. */
export interface OwnerBlock {
  /** The component; random when its first owner came. */
  readonly componentUuid: string;
  /** The opening that writes, or wrote last; random. */
  readonly ownerUuid: string;
  /** The journal of that opening. */
  readonly journalUuid: string;
  /** Counts the journals of the component, from 1. */
  readonly generation: number;
  /** The epoch of the journal at that opening. */
  readonly epoch: number;
  /** Counts the writes of the block, from 1. */
  readonly beat: number;
  /** Milliseconds between two writes of the block, 1 to a day. */
  readonly intervalMs: number;
  /** Whether the owner has not given the component up. */
  readonly isInUse: boolean;
  /** The owner's host, for messages. */
  readonly host: string;
}

/**
 * Where the owner block lies: on the last page of the first superblock slot.
 *
 * @param size Bytes of the component.
 * @returns Bytes from its start; below 0 if it is too small for one.
 */
export function ownerBlockPosition(size: number): number {
  return superblockPosition(size, 0) + SUPERBLOCK_SLOT_SIZE - OWNER_BLOCK_ROOM;
}

/**
 * Encodes an owner block.
 *
 * @param block The block. A host that is too long is cut.
 * @param position Where the block will lie.
 * @returns 512 bytes.
 */
export function encodeOwnerBlock(
  block: OwnerBlock,
  position: number,
): Uint8Array {
  const at = OWNER_BLOCK_OFFSET;
  const bytes = new Uint8Array(OWNER_BLOCK_SIZE);
  const view = viewOf(bytes);
  beginBlock(bytes, KIND, position);
  encodeUuid(block.componentUuid, bytes, at.componentUuid);
  encodeUuid(block.ownerUuid, bytes, at.ownerUuid);
  encodeUuid(block.journalUuid, bytes, at.journalUuid);
  setUint64(view, at.generation, block.generation);
  setUint64(view, at.epoch, block.epoch);
  setUint64(view, at.beat, block.beat);
  view.setUint32(at.intervalMs, block.intervalMs, true);
  view.setUint8(at.isInUse, block.isInUse ? 1 : 0);
  // Whole characters only.
  new TextEncoder().encodeInto(block.host, bytes.subarray(at.host, FIELDS_END));
  sealBlock(bytes);
  const fault = faultOf(block);
  assert(fault === "", `an owner block to write is sound: ${fault}`);
  return bytes;
}

/**
 * Decodes an owner block, and checks it.
 *
 * @param bytes 512 bytes.
 * @param position Where they lie.
 * @returns The block; or what is wrong, {@linkcode NO_OWNER} for zeroes.
 */
export function decodeOwnerBlock(
  bytes: Uint8Array,
  position: number,
): OwnerBlock | string {
  assert(bytes.length === OWNER_BLOCK_SIZE, "an owner block has 512 bytes");
  const at = OWNER_BLOCK_OFFSET;
  const view = viewOf(bytes);
  const fault = blockFault(bytes, KIND, position);
  if (fault !== "") return fault;
  const state = view.getUint8(at.isInUse);
  if (
    state > 1 || !areZeroes(bytes, RESERVED, at.host) ||
    !areZeroes(bytes, FIELDS_END, bytes.length)
  ) return "its reserved bytes are not zero";
  const name = bytes.subarray(at.host, FIELDS_END);
  const end = name.indexOf(0);
  const block = {
    componentUuid: decodeUuid(bytes, at.componentUuid),
    ownerUuid: decodeUuid(bytes, at.ownerUuid),
    journalUuid: decodeUuid(bytes, at.journalUuid),
    generation: getUint64(view, at.generation),
    epoch: getUint64(view, at.epoch),
    beat: getUint64(view, at.beat),
    intervalMs: view.getUint32(at.intervalMs, true),
    isInUse: state === 1,
    host: new TextDecoder().decode(end < 0 ? name : name.subarray(0, end)),
  };
  return faultOf(block) || block;
}

/** What is out of range in a block; "" if nothing is. */
function faultOf(block: OwnerBlock): string {
  const { generation, epoch, beat, intervalMs } = block;
  for (const [name, value] of Object.entries({ generation, epoch, beat })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      return `its ${name} is out of range`;
    }
  }
  if (!(intervalMs >= 1 && intervalMs <= INTERVAL_MAX)) {
    return "its interval is out of range";
  }
  const { componentUuid, ownerUuid, journalUuid } = block;
  return [componentUuid, ownerUuid, journalUuid].includes(NIL_UUID)
    ? "it has no UUID"
    : "";
}
