/**
 * Encodes the messages that the server sends in a handshake. No I/O, no state.
 *
 * Source: NBD `doc/proto.md`, sections "Newstyle negotiation", "Fixed newstyle
 * negotiation", "Option reply types" and "Information types". All fields are
 * big-endian.
 *
 * @module
 */

import type { ExportProperties, NbdExport } from "../export/mod.ts";
import {
  EXPORT_NAME_ZEROES,
  GREETING_SIZE,
  HANDSHAKE_FIXED_NEWSTYLE,
  HANDSHAKE_NO_ZEROES,
  INFO_BLOCK_SIZE,
  INFO_EXPORT,
  NBD_MAGIC_HIGH,
  NBD_MAGIC_LOW,
  OPTION_MAGIC_HIGH,
  OPTION_MAGIC_LOW,
  OPTION_REPLY_HEADER_SIZE,
  OPTION_REPLY_MAGIC_HIGH,
  OPTION_REPLY_MAGIC_LOW,
  PAYLOAD_SIZE_MAX,
  REPLY_INFO,
  REPLY_META_CONTEXT,
  REPLY_SERVER,
} from "../../wire/mod.ts";

const ENCODER = new TextEncoder();

/**
 * Encodes the greeting: `NBDMAGIC`, `IHAVEOPT`, u16 handshake flags.
 *
 * @returns The message, 18 bytes.
 */
export function encodeGreeting(): Uint8Array {
  const bytes = new Uint8Array(GREETING_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, NBD_MAGIC_HIGH);
  view.setUint32(4, NBD_MAGIC_LOW);
  view.setUint32(8, OPTION_MAGIC_HIGH);
  view.setUint32(12, OPTION_MAGIC_LOW);
  view.setUint16(16, HANDSHAKE_FIXED_NEWSTYLE | HANDSHAKE_NO_ZEROES);
  return bytes;
}

/**
 * Encodes the reply to EXPORT_NAME: u64 size, u16 transmission flags, then 124
 * zeroes unless NO_ZEROES is negotiated.
 *
 * @param properties The negotiated properties of the export.
 * @param zeroes Whether to append the zeroes.
 * @returns The message, 10 or 134 bytes.
 */
export function encodeExportName(
  properties: ExportProperties,
  zeroes: boolean,
): Uint8Array {
  const bytes = new Uint8Array(10 + (zeroes ? EXPORT_NAME_ZEROES : 0));
  const view = new DataView(bytes.buffer);
  setSize(view, 0, properties.size);
  view.setUint16(8, properties.flags);
  return bytes;
}

/**
 * Encodes an option reply: u64 magic, u32 option, u32 type, u32 length, data.
 *
 * @param option Number of the option that the client sent.
 * @param type One of the `REPLY_` constants.
 * @param data Data of the reply type, or the text of an error; empty by
 *   default.
 * @returns The message.
 */
export function encodeOptionReply(
  option: number,
  type: number,
  data: Uint8Array | string = "",
): Uint8Array {
  const content = typeof data === "string" ? ENCODER.encode(data) : data;
  const bytes = new Uint8Array(OPTION_REPLY_HEADER_SIZE + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, OPTION_REPLY_MAGIC_HIGH);
  view.setUint32(4, OPTION_REPLY_MAGIC_LOW);
  view.setUint32(8, option);
  view.setUint32(12, type);
  view.setUint32(16, content.length);
  bytes.set(content, OPTION_REPLY_HEADER_SIZE);
  return bytes;
}

/**
 * Encodes one export in a reply to LIST: u32 length of the name, name,
 * description.
 *
 * @param option Number of the option that the client sent.
 * @param nbdExport The export.
 * @returns The message.
 */
export function encodeServer(option: number, nbdExport: NbdExport): Uint8Array {
  const name = ENCODER.encode(nbdExport.name);
  const description = ENCODER.encode(nbdExport.description);
  const data = new Uint8Array(4 + name.length + description.length);
  new DataView(data.buffer).setUint32(0, name.length);
  data.set(name, 4);
  data.set(description, 4 + name.length);
  return encodeOptionReply(option, REPLY_SERVER, data);
}

/**
 * Encodes INFO_EXPORT: u16 type, u64 size, u16 transmission flags.
 *
 * @param option Number of the option that the client sent.
 * @param properties The negotiated properties of the export.
 * @returns The message.
 */
export function encodeInfoExport(
  option: number,
  properties: ExportProperties,
): Uint8Array {
  const data = new Uint8Array(12);
  const view = new DataView(data.buffer);
  view.setUint16(0, INFO_EXPORT);
  setSize(view, 2, properties.size);
  view.setUint16(10, properties.flags);
  return encodeOptionReply(option, REPLY_INFO, data);
}

/**
 * Encodes INFO_BLOCK_SIZE: u16 type, u32 minimum block size, u32 preferred
 * block size, u32 maximum payload; bytes.
 *
 * @param option Number of the option that the client sent.
 * @param properties The negotiated properties of the export.
 * @returns The message.
 */
export function encodeInfoBlockSize(
  option: number,
  properties: ExportProperties,
): Uint8Array {
  const data = new Uint8Array(14);
  const view = new DataView(data.buffer);
  view.setUint16(0, INFO_BLOCK_SIZE);
  view.setUint32(2, properties.minimumBlockSize);
  view.setUint32(6, properties.preferredBlockSize);
  view.setUint32(10, PAYLOAD_SIZE_MAX);
  return encodeOptionReply(option, REPLY_INFO, data);
}

/**
 * Encodes INFO_NAME or INFO_DESCRIPTION: u16 type, text.
 *
 * @param option Number of the option that the client sent.
 * @param type The information type.
 * @param text The name or the description.
 * @returns The message.
 */
export function encodeInfoText(
  option: number,
  type: number,
  text: string,
): Uint8Array {
  const content = ENCODER.encode(text);
  const data = new Uint8Array(2 + content.length);
  new DataView(data.buffer).setUint16(0, type);
  data.set(content, 2);
  return encodeOptionReply(option, REPLY_INFO, data);
}

/**
 * Encodes a metadata context: u32 id, name.
 *
 * @param option Number of the option that the client sent.
 * @param id Id of the context in BLOCK_STATUS; 0 in a reply to
 *   LIST_META_CONTEXT, which selects nothing.
 * @param name Name of the context.
 * @returns The message.
 */
export function encodeMetaContext(
  option: number,
  id: number,
  name: string,
): Uint8Array {
  const content = ENCODER.encode(name);
  const data = new Uint8Array(4 + content.length);
  new DataView(data.buffer).setUint32(0, id);
  data.set(content, 4);
  return encodeOptionReply(option, REPLY_META_CONTEXT, data);
}

function setSize(view: DataView, at: number, size: number): void {
  view.setUint32(at, Math.floor(size / 2 ** 32));
  view.setUint32(at + 4, size % 2 ** 32);
}
