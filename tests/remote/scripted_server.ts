/**
 * A server whose every byte a test decides, over a disk of a few blocks.
 *
 * @module
 */

import { NBD } from "../helpers/nbd_messages.ts";

/** A request as it was received. */
export interface ReceivedRequest {
  readonly flags: number;
  readonly command: number;
  readonly cookie: bigint;
  readonly offset: number;
  readonly length: number;
  readonly payload: Uint8Array;
}

/** What a server offers. */
export interface ScriptedExport {
  /** Bytes. */
  readonly size: number;
  /** Transmission flags. */
  readonly flags: number;
  /** Minimum, preferred, maximum; not sent by default. */
  readonly blockSizes?: readonly [number, number, number];
  /** Whether structured replies and `base:allocation` are offered. */
  readonly structured?: boolean;
}

/** HAS_FLAGS, FLUSH, FUA, TRIM, WRITE_ZEROES. */
export const USUAL_FLAGS: number = 1 | 4 | 8 | 0x20 | 0x40;
/** The id of `base:allocation` here. */
export const ALLOCATION_ID = 77;

/** One connection, as the server sees it. */
export class ScriptedConnection {
  readonly #conn: Deno.Conn;
  readonly #export: ScriptedExport;
  #sending: Promise<void> = Promise.resolve();

  /** Takes over a connection. */
  constructor(conn: Deno.Conn, about: ScriptedExport) {
    this.#conn = conn;
    this.#export = about;
  }

  /** Sends bytes, with nothing else in between. */
  async send(...parts: ArrayLike<number>[]): Promise<void> {
    const before = this.#sending;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#sending = promise;
    await before;
    let rest = Uint8Array.from(parts.flatMap((part) => Array.from(part)));
    try {
      while (rest.length > 0) {
        rest = rest.subarray(await this.#conn.write(rest));
      }
    } finally {
      resolve();
    }
  }

  /** Receives exactly so many bytes. */
  async receive(count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count);
    let done = 0;
    while (done < count) {
      const got = await this.#conn.read(bytes.subarray(done));
      if (got === null) throw new Error("The client has gone");
      done += got;
    }
    return bytes;
  }

  /** Negotiates until GO is answered. */
  async handshake(): Promise<void> {
    await this.send(ascii("NBDMAGICIHAVEOPT"), [0, 3]);
    await this.receive(4);
    for (;;) {
      const header = new DataView((await this.receive(16)).buffer);
      const option = header.getUint32(8);
      await this.receive(header.getUint32(12));
      if (await this.#answer(option)) return;
    }
  }

  /** Answers an option; true if it was GO. */
  async #answer(option: number): Promise<boolean> {
    const { size, flags, blockSizes, structured = false } = this.#export;
    if (option === NBD.OPT_STRUCTURED_REPLY && structured) {
      await this.reply(option, NBD.REP_ACK);
    } else if (option === NBD.OPT_SET_META_CONTEXT) {
      await this.reply(option, NBD.REP_META_CONTEXT, [
        ...u32(ALLOCATION_ID),
        ...ascii("base:allocation"),
      ]);
      await this.reply(option, NBD.REP_ACK);
    } else if (option === NBD.OPT_GO) {
      const about = [...u16(0), ...u64(size), ...u16(flags)];
      await this.reply(option, NBD.REP_INFO, about);
      if (blockSizes !== undefined) {
        const sizes = [...u16(3), ...blockSizes.flatMap(u32)];
        await this.reply(option, NBD.REP_INFO, sizes);
      }
      await this.reply(option, NBD.REP_ACK);
      return true;
    } else await this.reply(option, NBD.REP_ERR_UNSUP);
    return false;
  }

  /** Answers an option with one reply. */
  async reply(
    option: number,
    type: number,
    data: ArrayLike<number> = [],
  ): Promise<void> {
    await this.send(
      [0, 0x03, 0xe8, 0x89, 0x04, 0x55, 0x65, 0xa9],
      u32(option),
      u32(type),
      u32(data.length),
      data,
    );
  }

  /** Receives a compact request. */
  async request(): Promise<ReceivedRequest> {
    const view = new DataView((await this.receive(28)).buffer);
    if (view.getUint32(0) !== 0x25609513) throw new Error("No request");
    const command = view.getUint16(6);
    const length = view.getUint32(24);
    const hasPayload = command === NBD.CMD_WRITE;
    return {
      flags: view.getUint16(4),
      command,
      cookie: view.getBigUint64(8),
      offset: Number(view.getBigUint64(16)),
      length,
      payload: await this.receive(hasPayload ? length : 0),
    };
  }

  /** Sends a simple reply. */
  async simple(
    cookie: bigint,
    errno = 0,
    data: ArrayLike<number> = [],
  ): Promise<void> {
    await this.send(u32(0x67446698), u32(errno), u64(cookie), data);
  }

  /** Sends a structured chunk. */
  async chunk(
    cookie: bigint,
    type: number,
    data: ArrayLike<number> = [],
    flags = 1,
  ): Promise<void> {
    await this.send(
      ...[u32(0x668e33ef), u16(flags), u16(type), u64(cookie)],
      ...[u32(data.length), data],
    );
  }

  /** Ends the connection. */
  close(): void {
    try {
      this.#conn.close();
    } catch {
      // It has ended.
    }
  }
}

/** A server that runs a script for each connection. */
export class ScriptedServer implements AsyncDisposable {
  readonly #listener: Deno.Listener;
  /** The URI of the export `disk`. */
  readonly uri: string;
  readonly #serving: Promise<void>;
  readonly #conns: ScriptedConnection[] = [];
  readonly #scripts: Promise<void>[] = [];

  /**
   * Listens.
   *
   * @param path The Unix socket; "" for TCP.
   * @param about What is offered, also per connection, from 0.
   * @param script Serves a connection; the connection ends with it.
   */
  constructor(
    path: string,
    about: ScriptedExport | ((index: number) => ScriptedExport),
    script: (conn: ScriptedConnection, index: number) => Promise<void>,
  ) {
    if (path === "") {
      const tcp = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      this.uri = `nbd://127.0.0.1:${tcp.addr.port}/disk`;
      this.#listener = tcp;
    } else {
      this.uri = `nbd+unix:///disk?socket=${path}`;
      this.#listener = Deno.listen({ transport: "unix", path });
    }
    this.#serving = this.#serve(about, script);
  }

  /** How many connections there were. */
  get count(): number {
    return this.#conns.length;
  }

  /** Ends all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
    for (const conn of this.#conns) conn.close();
    await Promise.allSettled(this.#scripts);
  }

  async #serve(
    about: ScriptedExport | ((index: number) => ScriptedExport),
    script: (conn: ScriptedConnection, index: number) => Promise<void>,
  ): Promise<void> {
    for await (const raw of this.#listener) {
      const index = this.#conns.length;
      const offer = typeof about === "function" ? about(index) : about;
      const conn = new ScriptedConnection(raw, offer);
      this.#conns.push(conn);
      const running = script(conn, index)
        .catch(() => {})
        .finally(() => conn.close());
      this.#scripts.push(running);
    }
  }
}

/**
 * Serves requests over some bytes, in order, with simple replies.
 *
 * @param conn The connection, after its handshake.
 * @param disk The bytes.
 * @param before Called before each request is executed; true if it is answered.
 */
export async function serveBytes(
  conn: ScriptedConnection,
  disk: Uint8Array,
  before: (request: ReceivedRequest) => Promise<boolean> = () =>
    Promise.resolve(false),
): Promise<void> {
  for (;;) {
    const request = await conn.request();
    const { command, cookie, offset, length, payload } = request;
    if (command === NBD.CMD_DISC) return;
    if (await before(request)) continue;
    const range = disk.subarray(offset, offset + length);
    if (command === NBD.CMD_WRITE) disk.set(payload, offset);
    if (command === NBD.CMD_WRITE_ZEROES) range.fill(0);
    await conn.simple(cookie, 0, command === NBD.CMD_READ ? range : []);
  }
}

/** Big-endian bytes. */
export function u16(value: number): number[] {
  return [value >> 8 & 0xff, value & 0xff];
}

/** Big-endian bytes. */
export function u32(value: number): number[] {
  return [...u16(value >>> 16), ...u16(value & 0xffff)];
}

/** Big-endian bytes. */
export function u64(value: bigint | number): number[] {
  const whole = BigInt(value);
  return [
    ...u32(Number(whole >> 32n & 0xffffffffn)),
    ...u32(Number(whole & 0xffffffffn)),
  ];
}

/** Bytes of a text. */
export function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
