/**
 * Clients that request as much work as they can, as fast as they can, and read
 * no replies: every kind of request in its most expensive form.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  type Dialect,
  encodeContextQuery,
  encodeExtendedRequest,
  encodeOption,
  encodeRequest,
  encodeStatusFilter,
  NBD,
  type NbdAddress,
  NbdClient,
  type RawRequest,
} from "./nbd_client.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
/** Chunks of the pools that are attacked: the smallest, so the most. */
export const HOSTILE_CHUNK: number = 64 * KIB;
/** The part of the disk that belongs to the good clients, bytes. */
export const GOOD_BYTES: number = MIB;

/**
 * The pool that a kind of attack works on:
 *
 * - `dense`: all chunks of the beginning of the disk are mapped and hold data
 * - `full`: small, and no chunk is free
 * - `roomy`: chunks for hundreds of GiB are free
 */
export type Stage = "dense" | "full" | "roomy";

/** How much of a `dense` disk is mapped, bytes. */
export const DENSE_BYTES: number = 256 * MIB;
/** Bytes of the virtual disk, on every stage. */
export const HOSTILE_DISK: number = 1024 * GIB;

/** What a hostile client knows of its connection. */
export interface Foothold {
  /** The ids of its metadata contexts. */
  readonly contexts: readonly number[];
  /** Its number among the hostile clients, from 0. */
  readonly client: number;
}

/** A kind of attack. */
export interface HostileKind {
  /** Short, without spaces. */
  readonly name: string;
  /** Where. */
  readonly stage: Stage;
  /** How the clients talk. */
  readonly dialect: Dialect;
  /** Metadata contexts that they select. */
  readonly contexts?: readonly string[];
  /** How many requests each client sends. */
  readonly count: number;
  /**
   * Makes one request.
   *
   * @param i Its number, from 0.
   * @param foothold The connection.
   * @returns The request, with the flags of its dialect.
   */
  request?(i: number, foothold: Foothold): RawRequest;
  /**
   * Makes one option, in place of requests: the handshake never ends.
   *
   * @param i Its number, from 0.
   * @returns The option.
   */
  option?(i: number): Uint8Array;
}

const ALL_CONTEXTS = ["base:allocation", "virstor:chunk", "virstor:pressure"];

/** 16 KiB of names, the most that is looked at. */
const NAMES = encodeContextQuery(
  "pool",
  Array.from({ length: 2700 }, () => "x:"),
);
const OPTIONS = [
  encodeOption(NBD.OPT_LIST),
  encodeOption(NBD.OPT_LIST_META_CONTEXT, NAMES),
  encodeOption(NBD.OPT_SET_META_CONTEXT, NAMES),
  encodeOption(NBD.OPT_SET_META_CONTEXT, NAMES),
];
const LONG_PAYLOAD = new Uint8Array(32 * MIB);

/** Requests that fit into a receive buffer of 256 KiB, and one buffer more. */
const PIPELINE = 9000;

/** A chunk of the unmapped part of the disk, another one each time. */
function freshChunk(i: number, client: number): number {
  return (2 * GIB / HOSTILE_CHUNK + client * 1_000_000 + i) * HOSTILE_CHUNK;
}

/** The kinds. */
export const HOSTILE_KINDS: readonly HostileKind[] = [
  {
    name: "read-short",
    stage: "dense",
    dialect: "simple",
    count: PIPELINE,
    request: (i) => ({
      command: NBD.CMD_READ,
      offset: GOOD_BYTES + (i * 4096) % (DENSE_BYTES - GOOD_BYTES - 4096),
      length: 512,
    }),
  },
  {
    name: "read-32m",
    stage: "dense",
    dialect: "simple",
    count: 500,
    request: () => ({ command: NBD.CMD_READ, length: 32 * MIB }),
  },
  {
    name: "read-32m-holes",
    stage: "dense",
    dialect: "structured",
    count: PIPELINE,
    request: (i) => ({
      command: NBD.CMD_READ,
      offset: GIB + (i % 64) * 32 * MIB,
      length: 32 * MIB,
    }),
  },
  {
    name: "write-first",
    stage: "roomy",
    dialect: "simple",
    count: PIPELINE,
    request: (i, { client }) => ({
      command: NBD.CMD_WRITE,
      offset: freshChunk(i, client),
      payload: new Uint8Array(1),
    }),
  },
  {
    name: "write-first-fua",
    stage: "roomy",
    dialect: "simple",
    count: PIPELINE,
    request: (i, { client }) => ({
      command: NBD.CMD_WRITE,
      flags: NBD.CMD_FLAG_FUA,
      offset: freshChunk(i, client),
      payload: new Uint8Array(1),
    }),
  },
  {
    name: "write-32m",
    stage: "roomy",
    dialect: "simple",
    count: 4,
    request: (i, { client }) => ({
      command: NBD.CMD_WRITE,
      offset: freshChunk(0, client) + (i % 4) * 32 * MIB,
      payload: LONG_PAYLOAD,
    }),
  },
  {
    name: "write-delayed",
    stage: "full",
    dialect: "simple",
    count: PIPELINE,
    request: (i, { client }) => ({
      command: NBD.CMD_WRITE,
      offset: freshChunk(i, client),
      payload: new Uint8Array(1),
    }),
  },
  {
    name: "flush",
    stage: "dense",
    dialect: "simple",
    count: PIPELINE,
    request: (i) =>
      i % 4 === 0
        ? {
          command: NBD.CMD_WRITE,
          offset: GOOD_BYTES + i * 4096,
          payload: new Uint8Array(1),
        }
        : { command: NBD.CMD_FLUSH },
  },
  {
    name: "trim-parts",
    stage: "dense",
    dialect: "simple",
    count: PIPELINE,
    request: (i) => ({
      command: NBD.CMD_TRIM,
      offset: GOOD_BYTES + (i * 8192) % (DENSE_BYTES - GOOD_BYTES - 4096),
      length: 4096,
    }),
  },
  {
    name: "trim-disk",
    stage: "dense",
    dialect: "extended",
    count: PIPELINE,
    request: () => ({
      command: NBD.CMD_TRIM,
      offset: GOOD_BYTES,
      length: HOSTILE_DISK - GOOD_BYTES,
    }),
  },
  {
    name: "zeroes-parts",
    stage: "dense",
    dialect: "simple",
    count: PIPELINE,
    request: (i) => ({
      command: NBD.CMD_WRITE_ZEROES,
      flags: i % 2 === 0 ? NBD.CMD_FLAG_FAST_ZERO : 0,
      offset: GOOD_BYTES + (i * 8192) % (DENSE_BYTES - GOOD_BYTES - 4096),
      length: 4096,
    }),
  },
  {
    name: "zeroes-no-hole-dense",
    stage: "dense",
    dialect: "simple",
    count: 40,
    request: () => ({
      command: NBD.CMD_WRITE_ZEROES,
      flags: NBD.CMD_FLAG_NO_HOLE | NBD.CMD_FLAG_FUA,
      offset: GOOD_BYTES,
      length: DENSE_BYTES - GOOD_BYTES,
    }),
  },
  {
    name: "zeroes-no-hole-full",
    stage: "full",
    dialect: "simple",
    count: 40,
    request: (i) => ({
      command: NBD.CMD_WRITE_ZEROES,
      flags: NBD.CMD_FLAG_NO_HOLE,
      offset: 4 * GIB * (1 + i),
      length: 4 * GIB - HOSTILE_CHUNK,
    }),
  },
  {
    name: "zeroes-no-hole-roomy",
    stage: "roomy",
    dialect: "simple",
    count: 20,
    request: (i, { client }) => ({
      command: NBD.CMD_WRITE_ZEROES,
      flags: NBD.CMD_FLAG_NO_HOLE,
      offset: 4 * GIB * (1 + i + 20 * client),
      length: 4 * GIB - HOSTILE_CHUNK,
    }),
  },
  {
    name: "cache",
    stage: "dense",
    dialect: "simple",
    count: PIPELINE,
    request: () => ({ command: NBD.CMD_CACHE, length: 32 * MIB }),
  },
  {
    name: "status",
    stage: "dense",
    dialect: "extended",
    contexts: ["base:allocation"],
    count: PIPELINE,
    request: () => ({ command: NBD.CMD_BLOCK_STATUS, length: HOSTILE_DISK }),
  },
  {
    name: "status-payload",
    stage: "dense",
    dialect: "extended",
    contexts: ALL_CONTEXTS,
    count: PIPELINE,
    request: (_, { contexts }) => ({
      command: NBD.CMD_BLOCK_STATUS,
      flags: NBD.CMD_FLAG_PAYLOAD_LEN | NBD.CMD_FLAG_REQ_ONE,
      payload: encodeStatusFilter(HOSTILE_DISK, contexts),
    }),
  },
  {
    name: "status-delayed",
    stage: "full",
    dialect: "extended",
    contexts: ALL_CONTEXTS,
    count: PIPELINE,
    request: (i, { client }) =>
      i < 2000
        ? {
          command: NBD.CMD_WRITE,
          flags: NBD.CMD_FLAG_PAYLOAD_LEN,
          offset: freshChunk(2 * i, client),
          payload: new Uint8Array(1),
        }
        : { command: NBD.CMD_BLOCK_STATUS, length: HOSTILE_DISK },
  },
  {
    name: "refused",
    stage: "dense",
    dialect: "structured",
    count: PIPELINE,
    request: (i) => ({ command: i % 2 === 0 ? 99 : NBD.CMD_READ, length: 0 }),
  },
  {
    name: "options",
    stage: "dense",
    dialect: "structured",
    count: 1000,
    option: (i) => OPTIONS[i % OPTIONS.length] ?? new Uint8Array(0),
  },
];

/** Hostile clients at work. To be used with `using`. */
export class Attack implements Disposable {
  readonly #clients: NbdClient[] = [];
  readonly #sending: Promise<void>[] = [];
  #isOver = false;

  private constructor() {}

  /**
   * Connects clients and lets them send.
   *
   * @param address The server.
   * @param kind What they do.
   * @param clients How many.
   * @param repeats Whether they begin again when they have sent everything.
   * @returns The attack, which has begun.
   */
  static async begin(
    address: NbdAddress,
    kind: HostileKind,
    clients: number,
    repeats = false,
  ): Promise<Attack> {
    const attack = new Attack();
    for (let client = 0; client < clients; client++) {
      const one = await NbdClient.connect(address);
      attack.#clients.push(one);
      await one.greet();
      await one.speak(kind.dialect);
      const { contexts = [] } = kind;
      const ids = contexts.length === 0
        ? []
        : [...(await one.contexts("pool", [...contexts])).values()];
      if (kind.request !== undefined) await one.go("pool");
      attack.#sending.push(
        attack.#send(one, kind, { contexts: ids, client }, repeats),
      );
    }
    return attack;
  }

  /** Waits until all clients have sent all of their requests. */
  async sent(): Promise<void> {
    await Promise.all(this.#sending);
  }

  /** The clients, to read what they have got after all. */
  get clients(): readonly NbdClient[] {
    return this.#clients;
  }

  async #send(
    client: NbdClient,
    kind: HostileKind,
    foothold: Foothold,
    repeats: boolean,
  ): Promise<void> {
    try {
      do {
        for (const batch of batchesOf(kind, foothold)) {
          if (this.#isOver) break;
          await client.sendRaw(batch);
        }
      } while (repeats && !this.#isOver);
    } catch (error) {
      // The server may end it, and so may the test.
      if (!this.#isOver && !isLost(error)) throw error;
    }
  }

  /** Ends it: the clients go without a word. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    for (const client of this.#clients) client.close();
  }
}

/** Whole conversations of one batch that were encoded before. */
const encoded = new Map<string, Uint8Array>();

/** What a client sends, about 1 MiB at a time. */
function* batchesOf(
  kind: HostileKind,
  foothold: Foothold,
): Generator<Uint8Array> {
  const { name, count, dialect } = kind;
  const isOwn = (kind.request?.length ?? 0) > 1;
  const key = `${name} ${isOwn ? JSON.stringify(foothold) : ""}`;
  const known = encoded.get(key);
  if (known !== undefined) return yield known;
  const encode = dialect === "extended" ? encodeExtendedRequest : encodeRequest;
  let batch: Uint8Array[] = [];
  let bytes = 0;
  for (let i = 0; i < count; i++) {
    const message = kind.option?.(i) ?? encode({
      cookie: BigInt(i),
      ...kind.request?.(i, foothold) ?? { command: 0 },
    });
    batch.push(message);
    bytes += message.length;
    if (bytes < MIB && i + 1 < count) continue;
    const whole = Buffer.concat(batch, bytes);
    if (batch.length === count) encoded.set(key, whole);
    yield whole;
    [batch, bytes] = [[], 0];
  }
}

function isLost(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.Interrupted;
}
