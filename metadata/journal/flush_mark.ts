/**
 * The flush mark of a remote component: up to which record of the journal the
 * far side has been flushed. docs/format.md tables the offsets.
 *
 * The mark lies on the component itself, in the sector behind the owner block,
 * so a flush of the component makes it durable with what it covers. It fills one
 * sector, so a power cut leaves the old mark or the new one.
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
  beginBlock,
  blockFault,
  type BlockKind,
  sealBlock,
} from "./block_start.ts";
import { OWNER_BLOCK_SIZE, ownerBlockPosition } from "./owner_block.ts";

/** Bytes of a flush mark. */
export const FLUSH_MARK_SIZE = 512;
/** The offset of each field, bytes from the start of the mark. */
export const FLUSH_MARK_OFFSET: Readonly<
  Record<
    | "magic"
    | "checksum"
    | "version"
    | "position"
    | "componentUuid"
    | "ownerUuid"
    | "journalUuid"
    | "epoch"
    | "sequence",
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
  epoch: 80,
  sequence: 88,
};

/** Where the last field ends. */
const FIELDS_END = FLUSH_MARK_OFFSET.sequence + 8;

/** The result of {@linkcode decodeFlushMark} for a sector of zeroes. */
export const NO_MARK = "it was never written";
/** The result for a sector that begins otherwise. */
export const OTHER_THAN_MARK = "it holds no flush mark";

const KIND: BlockKind = {
  magic: new TextEncoder().encode("VIRSTOR::MARK\0\0\0"),
  version: 1,
  never: NO_MARK,
  other: OTHER_THAN_MARK,
};

/** Up to which record the far side has been flushed. */
export interface FlushMark {
  /** The component, as in its owner block. */
  readonly componentUuid: string;
  /** The opening that wrote the mark. */
  readonly ownerUuid: string;
  /** The journal of that opening. */
  readonly journalUuid: string;
  /** The epoch of the journal at that opening. */
  readonly epoch: number;
  /** The number of the last record that the flush covers; 0 before the first. */
  readonly sequence: number;
}

/**
 * Where the flush mark lies: behind the owner block, on the same page.
 *
 * @param size Bytes of the component.
 * @returns Bytes from its start; below 512 if it is too small for one.
 */
export function flushMarkPosition(size: number): number {
  return ownerBlockPosition(size) + OWNER_BLOCK_SIZE;
}

/**
 * Encodes a flush mark.
 *
 * @param mark The mark.
 * @param position Where the mark will lie.
 * @returns 512 bytes.
 */
export function encodeFlushMark(mark: FlushMark, position: number): Uint8Array {
  const at = FLUSH_MARK_OFFSET;
  const bytes = new Uint8Array(FLUSH_MARK_SIZE);
  const view = viewOf(bytes);
  beginBlock(bytes, KIND, position);
  encodeUuid(mark.componentUuid, bytes, at.componentUuid);
  encodeUuid(mark.ownerUuid, bytes, at.ownerUuid);
  encodeUuid(mark.journalUuid, bytes, at.journalUuid);
  setUint64(view, at.epoch, mark.epoch);
  setUint64(view, at.sequence, mark.sequence);
  sealBlock(bytes);
  const fault = faultOf(mark);
  assert(fault === "", `a flush mark to write is sound: ${fault}`);
  return bytes;
}

/**
 * Decodes a flush mark, and checks it.
 *
 * @param bytes 512 bytes.
 * @param position Where they lie.
 * @returns The mark; or what is wrong, {@linkcode NO_MARK} for zeroes and
 *   {@linkcode OTHER_THAN_MARK} for other bytes.
 */
export function decodeFlushMark(
  bytes: Uint8Array,
  position: number,
): FlushMark | string {
  assert(bytes.length === FLUSH_MARK_SIZE, "a flush mark has 512 bytes");
  const at = FLUSH_MARK_OFFSET;
  const fault = blockFault(bytes, KIND, position);
  if (fault !== "") return fault;
  if (!areZeroes(bytes, FIELDS_END, bytes.length)) {
    return "its reserved bytes are not zero";
  }
  const view = viewOf(bytes);
  const mark = {
    componentUuid: decodeUuid(bytes, at.componentUuid),
    ownerUuid: decodeUuid(bytes, at.ownerUuid),
    journalUuid: decodeUuid(bytes, at.journalUuid),
    epoch: getUint64(view, at.epoch),
    sequence: getUint64(view, at.sequence),
  };
  return faultOf(mark) || mark;
}

/** What is out of range in a mark; "" if nothing is. */
function faultOf(mark: FlushMark): string {
  const { epoch, sequence, componentUuid, ownerUuid, journalUuid } = mark;
  if (!Number.isSafeInteger(epoch) || epoch < 1) {
    return "its epoch is out of range";
  }
  if (!Number.isSafeInteger(sequence) || sequence < 0) {
    return "its sequence is out of range";
  }
  return [componentUuid, ownerUuid, journalUuid].includes(NIL_UUID)
    ? "it has no UUID"
    : "";
}
