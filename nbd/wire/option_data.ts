/**
 * Decodes the data of options. Lengths inside the data come from the client:
 * the decoder never reads past the end of the data, and rejects bytes that
 * are left over.
 *
 * Source: NBD `doc/proto.md`, section "Option types". All fields are
 * big-endian.
 *
 * @module
 */

import { viewOf } from "../../device/block/mod.ts";
import { STRING_SIZE_MAX } from "./protocol.ts";

/** The data of INFO and GO. */
export interface InfoQuery {
  /** Name of the export, or "" for the default one. */
  readonly name: string;
  /** The information types that the client asks for. */
  readonly types: ReadonlySet<number>;
}

/** The data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export interface ContextQuery {
  /** Name of the export, or "" for the default one. */
  readonly name: string;
  /** Names of contexts, and wildcards of the form `namespace:`. */
  readonly queries: readonly string[];
}

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Decodes fields in order. A field that reaches past the end of the data is
 * `undefined`.
 */
class Fields {
  readonly #data: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
    this.#view = viewOf(data);
  }

  /** Whether all bytes of the data are decoded. */
  get ended(): boolean {
    return this.#at === this.#data.length;
  }

  u16(): number | undefined {
    const at = this.#take(2);
    return at === undefined ? undefined : this.#view.getUint16(at);
  }

  u32(): number | undefined {
    const at = this.#take(4);
    return at === undefined ? undefined : this.#view.getUint32(at);
  }

  /** Decodes u32 length, then a string of that many bytes. */
  string(): string | undefined {
    const length = this.u32();
    const at = length === undefined ? undefined : this.#take(length);
    return at === undefined
      ? undefined
      : decodeString(this.#data.subarray(at, this.#at));
  }

  #take(length: number): number | undefined {
    if (length > this.#data.length - this.#at) return undefined;
    const at = this.#at;
    this.#at += length;
    return at;
  }
}

/**
 * Decodes a string of the protocol (section "Conventions").
 *
 * @param bytes The encoded string, without a length.
 * @returns The string; `undefined` if it is longer than 4096 bytes, contains
 *   NUL, or is not UTF-8.
 */
export function decodeString(bytes: Uint8Array): string | undefined {
  if (bytes.length > STRING_SIZE_MAX || bytes.includes(0)) return undefined;
  try {
    return DECODER.decode(bytes);
  } catch {
    return undefined; // Not UTF-8.
  }
}

/**
 * Decodes the data of INFO and GO: u32 length of the name, name, u16 count,
 * count x u16 information type.
 *
 * @param data The option's data.
 * @returns The query; `undefined` if a length or a string is invalid, or bytes
 *   are left over.
 */
export function decodeInfoQuery(data: Uint8Array): InfoQuery | undefined {
  const fields = new Fields(data);
  const name = fields.string();
  const count = fields.u16();
  if (name === undefined || count === undefined) return undefined;
  const types = new Set<number>();
  for (let i = 0; i < count; i++) {
    const type = fields.u16();
    if (type === undefined) return undefined;
    types.add(type);
  }
  return fields.ended ? { name, types } : undefined;
}

/**
 * Decodes the data of LIST_META_CONTEXT and SET_META_CONTEXT: u32 length of
 * the export's name, name, u32 count, count x (u32 length, query).
 *
 * @param data The option's data.
 * @returns The query; `undefined` if a length or a string is invalid, or bytes
 *   are left over.
 */
export function decodeContextQuery(data: Uint8Array): ContextQuery | undefined {
  const fields = new Fields(data);
  const name = fields.string();
  const count = fields.u32();
  if (name === undefined || count === undefined) return undefined;
  const queries: string[] = [];
  for (let i = 0; i < count; i++) {
    const query = fields.string();
    if (query === undefined) return undefined;
    queries.push(query);
  }
  return fields.ended ? { name, queries } : undefined;
}
