/**
 * Messages of an NBD client as lists of fields, so that a mutation can change
 * one field and know what it is. Big-endian.
 *
 * @module
 */

/** A number in a message. */
export interface NumberField {
  readonly kind: "number";
  /** What it is: `length` and `count` say how much follows. */
  readonly name: string;
  /** Its bytes. */
  readonly size: 2 | 4 | 8;
  /** Its value, unsigned; truncated to what fits. */
  readonly value: bigint;
}

/** Bytes in a message that are no number: a name, a payload. */
export interface BytesField {
  readonly kind: "bytes";
  /** What they are. */
  readonly name: string;
  /** The bytes. */
  readonly bytes: Uint8Array;
}

/** A part of a message. */
export type Field = NumberField | BytesField;

/** What a client sends at once. */
export interface Message {
  /** What it is, for people. */
  readonly name: string;
  /** Its parts, in order. */
  readonly fields: readonly Field[];
}

/**
 * Makes a number.
 *
 * @param name What it is.
 * @param size Its bytes.
 * @param value Its value.
 * @returns The field.
 */
export function number(
  name: string,
  size: 2 | 4 | 8,
  value: number | bigint,
): NumberField {
  return { kind: "number", name, size, value: BigInt(value) };
}

/**
 * Makes a field of bytes.
 *
 * @param name What they are.
 * @param bytes The bytes, or a text.
 * @returns The field.
 */
export function raw(name: string, bytes: Uint8Array | string): BytesField {
  const content = typeof bytes === "string"
    ? new TextEncoder().encode(bytes)
    : bytes;
  return { kind: "bytes", name, bytes: content };
}

/**
 * Makes an option: `IHAVEOPT`, u32 option, u32 length, data.
 *
 * @param option Its number.
 * @param data What belongs to it.
 * @returns The message.
 */
export function optionMessage(
  option: number,
  data: readonly Field[] = [],
): Message {
  return {
    name: `option ${option}`,
    fields: [
      raw("magic", "IHAVEOPT"),
      number("option", 4, option),
      number("length", 4, sizeOf(data)),
      ...data,
    ],
  };
}

/**
 * Makes data that starts with a name: u32 length, name.
 *
 * @param name The name.
 * @returns The fields.
 */
export function nameFields(name: string): Field[] {
  const field = raw("name", name);
  return [number("length", 4, field.bytes.length), field];
}

/** A request's fields. */
export interface RequestFields {
  readonly command: number;
  readonly flags: number;
  readonly cookie: number;
  readonly offset: number | bigint;
  readonly length: number | bigint;
  readonly payload: Uint8Array | undefined;
}

/**
 * Makes a request, compact or extended.
 *
 * @param request What it holds.
 * @param extended Whether its header is extended.
 * @returns The message.
 */
export function requestMessage(
  request: RequestFields,
  extended: boolean,
): Message {
  const { command, flags, cookie, offset, length, payload } = request;
  return {
    name: `command ${command}`,
    fields: [
      number("magic", 4, extended ? 0x21e41c71 : 0x25609513),
      number("flags", 2, flags),
      number("command", 2, command),
      number("cookie", 8, cookie),
      number("offset", 8, offset),
      number("length", extended ? 8 : 4, length),
      ...payload === undefined ? [] : [raw("payload", payload)],
    ],
  };
}

/**
 * How long fields are together.
 *
 * @param fields The fields.
 * @returns Bytes.
 */
export function sizeOf(fields: readonly Field[]): number {
  return fields.reduce((sum, field) => sum + fieldSize(field), 0);
}

/**
 * Encodes messages one behind the other.
 *
 * @param messages The messages.
 * @returns Their bytes.
 */
export function encodeMessages(
  messages: readonly Message[],
): Uint8Array<ArrayBuffer> {
  const size = messages.reduce((sum, { fields }) => sum + sizeOf(fields), 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { fields } of messages) {
    for (const field of fields) {
      if (field.kind === "bytes") bytes.set(field.bytes, at);
      else if (field.size === 2) view.setUint16(at, Number(field.value));
      else if (field.size === 4) view.setUint32(at, Number(field.value));
      else view.setBigUint64(at, field.value);
      at += fieldSize(field);
    }
  }
  return bytes;
}

function fieldSize(field: Field): number {
  return field.kind === "bytes" ? field.bytes.length : field.size;
}
