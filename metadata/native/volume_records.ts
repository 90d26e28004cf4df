/**
 * The records of the volume table of format 2, which lie behind the members of a
 * superblock. docs/format.md tables the offsets; a test compares them with
 * {@linkcode VOLUME_RECORD_OFFSET}, {@linkcode SNAPSHOT_RECORD_OFFSET} and
 * {@linkcode DEAD_RANGE_OFFSET}.
 *
 * A record of a volume is followed by its name, its snapshots (each followed by
 * its name) and its dead ranges. Nothing is aligned: a slot is small.
 *
 * @module
 */

import { viewOf } from "../../device/block/mod.ts";
import { assert } from "../../errors.ts";
import {
  getUint64,
  getUtf8,
  putUtf8,
  setUint64,
  utf8Size,
} from "../common/mod.ts";
import type {
  EpochRange,
  SnapshotRecord,
  VolumeFullPolicy,
  VolumeRecord,
} from "./volume_table.ts";

/** The offset of each field of a volume's record, bytes from its start. */
export const VOLUME_RECORD_OFFSET: Readonly<
  Record<
    | "id"
    | "flags"
    | "onFull"
    | "epoch"
    | "size"
    | "created"
    | "quota"
    | "reserve"
    | "parentEpoch"
    | "parentVolume"
    | "nameSize"
    | "snapshotCount"
    | "deadCount",
    number
  >
> = {
  id: 0,
  flags: 2,
  onFull: 3,
  epoch: 4,
  size: 8,
  created: 16,
  quota: 24,
  reserve: 32,
  parentEpoch: 40,
  parentVolume: 44,
  nameSize: 46,
  snapshotCount: 48,
  deadCount: 52,
};
/** Bytes of a volume's record without its name, snapshots and dead ranges. */
export const VOLUME_RECORD_SIZE = 56;
/** The offset of each field of a snapshot's record, bytes from its start. */
export const SNAPSHOT_RECORD_OFFSET: Readonly<
  Record<"epoch" | "nameSize" | "size" | "created", number>
> = { epoch: 0, nameSize: 4, size: 8, created: 16 };
/** Bytes of a snapshot's record without its name. */
export const SNAPSHOT_RECORD_SIZE = 24;
/** The offset of each field of a dead range, bytes from its start. */
export const DEAD_RANGE_OFFSET: Readonly<Record<"first" | "last", number>> = {
  first: 0,
  last: 4,
};
/** Bytes of a dead range. */
export const DEAD_RANGE_SIZE = 8;

/** Flag of a volume: clients may only read it. */
const READ_ONLY = 1;
/** Flag of a volume: it has a parent. */
const CLONE = 2;
/** The policies for a full pool, each at its number on disk. */
const POLICIES: readonly VolumeFullPolicy[] = ["", "delay", "error"];
/** A reserved u16 of a snapshot's record. */
const SNAPSHOT_RESERVED = 6;

/** Sizes that were asked for: all members have the same list, which is long. */
const SIZES = new WeakMap<readonly VolumeRecord[], number>();

/**
 * The size of the records of a volume table.
 *
 * @param volumes The volumes; the list does not change afterwards.
 * @returns Bytes.
 */
export function volumeRecordsSize(volumes: readonly VolumeRecord[]): number {
  const known = SIZES.get(volumes);
  if (known !== undefined) return known;
  let size = 0;
  for (const volume of volumes) {
    size += VOLUME_RECORD_SIZE + utf8Size(storedName(volume)) +
      volume.dead.length * DEAD_RANGE_SIZE;
    for (const { name } of volume.snapshots) {
      size += SNAPSHOT_RECORD_SIZE + utf8Size(name);
    }
  }
  SIZES.set(volumes, size);
  return size;
}

/**
 * Writes the records of a volume table.
 *
 * *Requires*: `findingInVolumes()` finds nothing.
 *
 * @param volumes The volumes.
 * @param bytes As many bytes as {@linkcode volumeRecordsSize} returns; all are
 *   overwritten.
 */
export function encodeVolumeRecords(
  volumes: readonly VolumeRecord[],
  bytes: Uint8Array,
): void {
  const view = viewOf(bytes);
  bytes.fill(0);
  let end = 0;
  for (const volume of volumes) {
    const start = end + VOLUME_RECORD_SIZE;
    const size = putUtf8(storedName(volume), bytes, start);
    encodeVolume(volume, size, view, end);
    end = start + size;
    for (const snapshot of volume.snapshots) {
      const at = SNAPSHOT_RECORD_OFFSET;
      const start = end + SNAPSHOT_RECORD_SIZE;
      const size = putUtf8(snapshot.name, bytes, start);
      view.setUint32(end + at.epoch, snapshot.epoch, true);
      view.setUint16(end + at.nameSize, size, true);
      setUint64(view, end + at.size, snapshot.size);
      setUint64(view, end + at.created, snapshot.created);
      end = start + size;
    }
    for (const { first, last } of volume.dead) {
      view.setUint32(end + DEAD_RANGE_OFFSET.first, first, true);
      view.setUint32(end + DEAD_RANGE_OFFSET.last, last, true);
      end += DEAD_RANGE_SIZE;
    }
  }
  assert(end === bytes.length, "the records fill their bytes");
}

function encodeVolume(
  volume: VolumeRecord,
  nameSize: number,
  view: DataView,
  start: number,
): void {
  const at = VOLUME_RECORD_OFFSET;
  const { parent } = volume;
  const flags = (volume.isReadOnly ? READ_ONLY : 0) |
    (parent === undefined ? 0 : CLONE);
  const onFull = POLICIES.indexOf(volume.onFull);
  assert(onFull >= 0, "a policy has a number");
  view.setUint16(start + at.id, volume.id, true);
  view.setUint8(start + at.flags, flags);
  view.setUint8(start + at.onFull, onFull);
  view.setUint32(start + at.epoch, volume.epoch, true);
  setUint64(view, start + at.size, volume.size);
  setUint64(view, start + at.created, volume.created);
  setUint64(view, start + at.quota, volume.quota);
  setUint64(view, start + at.reserve, volume.reserve);
  view.setUint32(start + at.parentEpoch, parent?.epoch ?? 0, true);
  view.setUint16(start + at.parentVolume, parent?.volume ?? 0, true);
  view.setUint16(start + at.nameSize, nameSize, true);
  view.setUint32(start + at.snapshotCount, volume.snapshots.length, true);
  view.setUint32(start + at.deadCount, volume.dead.length, true);
}

/**
 * Reads the records of a volume table. Its caller checks what they say with
 * `findingInVolumes()`.
 *
 * @param bytes The records, any bytes.
 * @param poolName The pool's name, which is that of volume 0.
 * @returns The volumes; a text that says what is wrong if these bytes are no
 *   records.
 */
export function decodeVolumeRecords(
  bytes: Uint8Array,
  poolName: string,
): readonly VolumeRecord[] | string {
  const reader = new RecordReader(bytes);
  const volumes: VolumeRecord[] = [];
  while (reader.finding === "" && reader.at < bytes.length) {
    volumes.push(decodeVolume(reader, poolName));
  }
  return reader.finding === "" ? volumes : reader.finding;
}

/** Decodes a volume; the reader has a finding if that cannot be done. */
function decodeVolume(reader: RecordReader, poolName: string): VolumeRecord {
  const at = VOLUME_RECORD_OFFSET;
  reader.what = `the volume record at byte ${reader.at}`;
  const view = reader.take(VOLUME_RECORD_SIZE);
  const id = view.getUint16(at.id, true);
  if (reader.finding === "") reader.what = `the record of volume ${id}`;
  const flags = view.getUint8(at.flags);
  const onFull = POLICIES[view.getUint8(at.onFull)];
  const nameSize = view.getUint16(at.nameSize, true);
  const parent = {
    volume: view.getUint16(at.parentVolume, true),
    epoch: view.getUint32(at.parentEpoch, true),
  };
  const isClone = (flags & CLONE) !== 0;
  if ((flags & ~(READ_ONLY | CLONE)) !== 0) reader.fail("has unknown flags");
  if (onFull === undefined) reader.fail("has an unknown policy");
  if (!isClone && (parent.volume | parent.epoch) !== 0) {
    reader.fail("has a parent but no flag for one");
  }
  if (id === 0 && nameSize !== 0) reader.fail("has a name of its own");
  const name = reader.text(nameSize);
  return {
    id,
    name: id === 0 ? poolName : name,
    size: getUint64(view, at.size),
    epoch: view.getUint32(at.epoch, true),
    created: getUint64(view, at.created),
    parent: isClone ? parent : undefined,
    quota: getUint64(view, at.quota),
    reserve: getUint64(view, at.reserve),
    isReadOnly: (flags & READ_ONLY) !== 0,
    onFull: onFull ?? "",
    snapshots: reader.list(
      view.getUint32(at.snapshotCount, true),
      SNAPSHOT_RECORD_SIZE,
      decodeSnapshot,
    ),
    dead: reader.list(
      view.getUint32(at.deadCount, true),
      DEAD_RANGE_SIZE,
      decodeDead,
    ),
  };
}

function decodeSnapshot(view: DataView, reader: RecordReader): SnapshotRecord {
  const at = SNAPSHOT_RECORD_OFFSET;
  if (view.getUint16(SNAPSHOT_RESERVED, true) !== 0) {
    reader.fail("has a snapshot whose reserved bytes are not zero");
  }
  return {
    name: reader.text(view.getUint16(at.nameSize, true)),
    epoch: view.getUint32(at.epoch, true),
    size: getUint64(view, at.size),
    created: getUint64(view, at.created),
  };
}

function decodeDead(view: DataView): EpochRange {
  return {
    first: view.getUint32(DEAD_RANGE_OFFSET.first, true),
    last: view.getUint32(DEAD_RANGE_OFFSET.last, true),
  };
}

/** Volume 0 has the name of the pool, which the superblock stores already. */
function storedName({ id, name }: VolumeRecord): string {
  return id === 0 ? "" : name;
}

/** Reads records one after the other. After a finding it returns zeroes. */
class RecordReader {
  /** The next byte to read. */
  at = 0;
  /** The record being read, for findings. */
  what = "";
  /** The first finding; "" if there is none. */
  finding = "";
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  fail(what: string): void {
    if (this.finding === "") this.finding = `${this.what} ${what}`;
  }

  /** The next bytes; as many zeroes if there are not enough. */
  take(size: number): DataView {
    return viewOf(this.#take(size));
  }

  /** A text; "" if it is no UTF-8. */
  text(size: number): string {
    const text = getUtf8(this.#take(size));
    if (text === undefined) this.fail("has a name that is not UTF-8");
    return text ?? "";
  }

  /** As many records as `count` says; none if there cannot be so many. */
  list<T>(
    count: number,
    size: number,
    decode: (view: DataView, reader: RecordReader) => T,
  ): T[] {
    if (count * size > this.#bytes.length - this.at) this.fail("is cut short");
    const found: T[] = [];
    while (this.finding === "" && found.length < count) {
      found.push(decode(this.take(size), this));
    }
    return found;
  }

  #take(size: number): Uint8Array {
    const end = this.at + size;
    if (end > this.#bytes.length) this.fail("is cut short");
    if (this.finding !== "") return new Uint8Array(size);
    const bytes = this.#bytes.subarray(this.at, end);
    this.at = end;
    return bytes;
  }
}
