/**
 * Encodes the data of options, and decodes the data of their replies.
 *
 * Source: NBD `doc/proto.md`, sections "Option types" and "Option reply types".
 * All fields are big-endian.
 *
 * @module
 */

import { viewOf } from "../../../device/block/mod.ts";
import { inBytes } from "../../../errors.ts";
import {
  decodeString,
  getUint64,
  INFO_BLOCK_SIZE,
  INFO_DESCRIPTION,
  INFO_EXPORT,
  INFO_NAME,
} from "../../wire/mod.ts";
import { ProtocolFault } from "./export_info.ts";

/** The largest minimum block that the protocol allows, bytes. */
const MINIMUM_BLOCK_MAX = 65_536;
/** The longest payload without an announcement, bytes. */
export const PAYLOAD_DEFAULT: number = 32 * 1024 * 1024;

/** What INFO replies tell. */
export interface InfoFields {
  size: number | undefined;
  flags: number;
  canonicalName: string;
  description: string;
  tellsBlockSizes: boolean;
  minimumBlock: number;
  preferredBlock: number;
  maximumPayload: number;
}

/**
 * Creates the values that hold until the server tells others.
 *
 * @returns No size yet, and the block sizes of a server that tells none.
 */
export function createInfoFields(): InfoFields {
  return {
    size: undefined,
    flags: 0,
    canonicalName: "",
    description: "",
    tellsBlockSizes: false,
    minimumBlock: 1,
    preferredBlock: 4096,
    maximumPayload: PAYLOAD_DEFAULT,
  };
}

/**
 * Encodes the data of INFO and GO: u32 length of the name, name, u16 count,
 * count x u16 information type.
 *
 * @param name Name of the export.
 * @returns The data; it asks for all information.
 */
export function encodeInfoQuery(name: string): Uint8Array {
  const types = [INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE];
  const bytes = new TextEncoder().encode(name);
  const data = new Uint8Array(4 + bytes.length + 2 + 2 * types.length);
  const view = viewOf(data);
  view.setUint32(0, bytes.length);
  data.set(bytes, 4);
  const at = 4 + bytes.length;
  view.setUint16(at, types.length);
  types.forEach((type, i) => view.setUint16(at + 2 + 2 * i, type));
  return data;
}

/**
 * Encodes the data of LIST_META_CONTEXT and SET_META_CONTEXT: u32 length of the
 * export's name, name, u32 count, count x (u32 length, query).
 *
 * @param name Name of the export.
 * @param queries Names of contexts.
 * @returns The data.
 */
export function encodeContextQuery(
  name: string,
  queries: readonly string[],
): Uint8Array {
  const encoder = new TextEncoder();
  const strings = [name, ...queries].map((each) => encoder.encode(each));
  const length = strings.reduce((sum, each) => sum + 4 + each.length, 4);
  const data = new Uint8Array(length);
  const view = viewOf(data);
  let at = 0;
  for (const [index, string] of strings.entries()) {
    view.setUint32(at, string.length);
    data.set(string, at + 4);
    at += 4 + string.length;
    if (index > 0) continue;
    view.setUint32(at, queries.length);
    at += 4;
  }
  return data;
}

/**
 * Decodes the data of one INFO reply: u16 type, then fields of the type. Types
 * that the client does not know are no fault.
 *
 * @param data The data.
 * @param fields Receives what the reply tells.
 * @throws {ProtocolFault} If a length or a value is invalid.
 */
export function decodeInfo(data: Uint8Array, fields: InfoFields): void {
  const view = viewOf(data);
  if (data.length < 2) throw new ProtocolFault("INFO has no type");
  switch (view.getUint16(0)) {
    case INFO_EXPORT:
      expectLength(data, 12);
      fields.size = checkSize(getUint64(view, 2));
      fields.flags = view.getUint16(10);
      break;
    case INFO_NAME:
      fields.canonicalName = stringOf(data.subarray(2));
      break;
    case INFO_DESCRIPTION:
      fields.description = stringOf(data.subarray(2));
      break;
    case INFO_BLOCK_SIZE:
      expectLength(data, 14);
      decodeBlockSizes(view, fields);
      break;
  }
}

/** Decodes u32 minimum, u32 preferred, u32 maximum. */
function decodeBlockSizes(view: DataView, fields: InfoFields): void {
  const minimum = view.getUint32(2);
  const preferred = view.getUint32(6);
  const maximum = view.getUint32(10);
  const isPower = minimum > 0 && Number.isInteger(Math.log2(minimum));
  if (!isPower || minimum > MINIMUM_BLOCK_MAX || maximum < minimum) {
    throw new ProtocolFault(
      `the block sizes are ${minimum}, ${preferred} and ${maximum}`,
    );
  }
  fields.tellsBlockSizes = true;
  fields.minimumBlock = minimum;
  fields.preferredBlock = Math.max(preferred, minimum);
  fields.maximumPayload = maximum;
}

/**
 * Checks the size of an export.
 *
 * @param size Size as decoded, bytes.
 * @returns The size.
 * @throws {ProtocolFault} If it is more than this client counts with.
 */
export function checkSize(size: number): number {
  if (Number.isSafeInteger(size)) return size;
  throw new ProtocolFault("the size of the export is above 2^53 bytes");
}

/**
 * Decodes a string that is a whole field.
 *
 * @param bytes The bytes.
 * @returns The string.
 * @throws {ProtocolFault} If it is no string of the protocol.
 */
export function stringOf(bytes: Uint8Array): string {
  const text = decodeString(bytes);
  if (text === undefined) throw new ProtocolFault("a string is malformed");
  return text;
}

function expectLength(data: Uint8Array, length: number): void {
  if (data.length === length) return;
  throw new ProtocolFault(
    `INFO of type ${viewOf(data).getUint16(0)} has ${
      inBytes(data.length)
    }, not ` +
      `${length}`,
  );
}
