/**
 * Decodes the data of options. Whatever lengths it holds, nothing is taken
 * from behind its end, and nothing may be left over.
 *
 * Source: NBD `doc/proto.md`, section "Option types". Big-endian.
 *
 * @module
 */

import { viewOf } from "../../device/block/mod.ts";
import { STRING_SIZE_MAX } from "./protocol.ts";

/** What INFO and GO ask. */
export interface InfoQuery {
  /** The export. */
  readonly name: string;
  /** The information types that are wanted. */
  readonly types: ReadonlySet<number>;
}

/** What LIST_META_CONTEXT and SET_META_CONTEXT ask. */
export interface ContextQuery {
  /** The export. */
  readonly name: string;
  /** Names and wildcards. */
  readonly queries: readonly string[];
}

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Takes fields one after the other; after one that is not there, nothing. */
class Fields {
  readonly #data: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
    this.#view = viewOf(data);
  }

  /** All were taken. */
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

  /** u32 length, then the string. */
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
 * Decodes a string.
 *
 * @param bytes Its bytes.
 * @returns The string, or `undefined` if the protocol forbids it.
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
 * Decodes what INFO and GO ask: u32 length of the name, name, u16 count,
 * count x u16 information type.
 *
 * @param data The option's data.
 * @returns The query, or `undefined` if it makes no sense.
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
 * Decodes what LIST_META_CONTEXT and SET_META_CONTEXT ask: u32 length of the
 * export's name, name, u32 count, count x (u32 length, query).
 *
 * @param data The option's data.
 * @returns The query, or `undefined` if it makes no sense.
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
