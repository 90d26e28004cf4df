/**
 * A small raw NBD client for tests, in all dialects. It encodes every message
 * itself, checks what it receives, and can send malformed messages.
 *
 * ```ts ignore
 * const client = await NbdClient.connect({ path: "/run/disk.sock" });
 * await client.go("disk");
 * await client.write(0, new Uint8Array(4096));
 * await client.disconnect();
 * ```
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  type Dialect,
  encodeContextQuery,
  encodeExtendedRequest,
  encodeInfoData,
  encodeOption,
  encodeRequest,
  type ExportInfo,
  NBD,
  type NbdAddress,
  type OptionReply,
  type RawReply,
  type RawRequest,
} from "./nbd_messages.ts";
import { ReplyReader } from "./nbd_replies.ts";

export * from "./nbd_messages.ts";

/** A connection to an NBD server. */
export class NbdClient {
  /** The socket, for tests that close half of it. */
  readonly conn: Deno.Conn;
  readonly #replies: ReplyReader;
  #cookie = 1n;
  #noZeroes = true;
  #closed = false;

  private constructor(conn: Deno.Conn) {
    this.conn = conn;
    this.#replies = new ReplyReader((length) => this.receiveRaw(length));
  }

  /** How requests and replies look from GO on. */
  get dialect(): Dialect {
    return this.#replies.dialect;
  }

  /**
   * Connects, and does nothing else.
   *
   * @param address Where.
   * @returns The client.
   */
  static async connect(address: NbdAddress): Promise<NbdClient> {
    if ("path" in address) {
      const { path } = address;
      return new NbdClient(await Deno.connect({ transport: "unix", path }));
    }
    const conn = await Deno.connect({
      hostname: "127.0.0.1",
      port: address.port,
    });
    conn.setNoDelay(true);
    return new NbdClient(conn);
  }

  /**
   * Talks over a connection of another kind.
   *
   * @param conn It: bytes in, bytes out, and an end.
   * @returns The client.
   */
  static over(conn: Pick<Deno.Conn, "read" | "write" | "close">): NbdClient {
    return new NbdClient(conn as Deno.Conn);
  }

  /**
   * Connects and uses an export.
   *
   * @param address Where.
   * @param name The export.
   * @param dialect How to talk.
   * @returns The client, ready for requests.
   */
  static async open(
    address: NbdAddress,
    name = "",
    dialect: Dialect = "simple",
  ): Promise<NbdClient> {
    const client = await NbdClient.connect(address);
    await client.greet();
    await client.speak(dialect);
    await client.go(name);
    return client;
  }

  /**
   * Sends bytes as they are.
   *
   * @param bytes Any.
   */
  async sendRaw(bytes: Uint8Array): Promise<void> {
    let sent = 0;
    while (sent < bytes.length) {
      sent += await this.conn.write(bytes.subarray(sent));
    }
  }

  /**
   * Receives an exact number of bytes.
   *
   * @param length How many.
   * @returns The bytes.
   */
  async receiveRaw(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let got = 0;
    while (got < length) {
      const count = await this.conn.read(bytes.subarray(got));
      if (count === null) {
        throw new Error(`Connection ended after ${got} of ${length} bytes`);
      }
      got += count;
    }
    return bytes;
  }

  /**
   * Waits for the server to end the connection.
   *
   * @returns How many bytes came before the end.
   */
  async receiveEnd(): Promise<number> {
    const bytes = new Uint8Array(65536);
    let total = 0;
    for (;;) {
      let count: number | null;
      try {
        count = await this.conn.read(bytes);
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
        return total;
      }
      if (count === null) return total;
      total += count;
    }
  }

  /**
   * Takes the greeting and sends the client flags.
   *
   * @param flags The client flags; fixed newstyle and no zeroes by default.
   * @returns The handshake flags of the server.
   */
  async greet(flags = 3): Promise<number> {
    const greeting = await this.receiveRaw(18);
    const magic = new TextDecoder().decode(greeting.subarray(0, 16));
    if (magic !== "NBDMAGICIHAVEOPT") throw new Error(`Greeting is ${magic}`);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, flags);
    await this.sendRaw(bytes);
    this.#noZeroes = (flags & 2) !== 0;
    return new DataView(greeting.buffer).getUint16(16);
  }

  /**
   * Receives one reply to an option.
   *
   * @returns The reply.
   */
  async receiveOptionReply(): Promise<OptionReply> {
    const header = new DataView((await this.receiveRaw(20)).buffer);
    const magic = header.getBigUint64(0);
    if (magic !== 0x3e889045565a9n) throw new Error(`Reply magic is ${magic}`);
    return {
      option: header.getUint32(8),
      type: header.getUint32(12),
      data: await this.receiveRaw(header.getUint32(16)),
    };
  }

  /**
   * Sends an option and receives its replies, the last one included.
   *
   * @param option Its number.
   * @param data What belongs to it.
   * @returns All replies.
   */
  async option(option: number, data?: Uint8Array): Promise<OptionReply[]> {
    await this.sendRaw(encodeOption(option, data));
    const replies: OptionReply[] = [];
    for (;;) {
      const reply = await this.receiveOptionReply();
      if (reply.option !== option) {
        throw new Error(`Reply is to option ${reply.option}, not ${option}`);
      }
      replies.push(reply);
      if (reply.type === NBD.REP_ACK || reply.type >= 0x80000000) {
        return replies;
      }
    }
  }

  /**
   * Agrees on a dialect.
   *
   * @param dialect Which one; nothing is sent for `simple`.
   */
  async speak(dialect: Dialect): Promise<void> {
    if (dialect !== "simple") {
      const replies = await this.option(
        dialect === "extended"
          ? NBD.OPT_EXTENDED_HEADERS
          : NBD.OPT_STRUCTURED_REPLY,
      );
      if (replies[0]?.type !== NBD.REP_ACK) {
        throw new Error(`The dialect is refused: ${replies[0]?.type}`);
      }
    }
    this.#replies.dialect = dialect;
  }

  /**
   * Asks for metadata contexts.
   *
   * @param name The export.
   * @param queries Names and wildcards.
   * @param option LIST_META_CONTEXT or SET_META_CONTEXT.
   * @returns Their ids by name, in the order of the answer.
   */
  async contexts(
    name: string,
    queries: string[],
    option: number = NBD.OPT_SET_META_CONTEXT,
  ): Promise<Map<string, number>> {
    const data = encodeContextQuery(name, queries);
    const replies = await this.option(option, data);
    const last = replies.pop();
    if (last?.type !== NBD.REP_ACK) {
      throw new Error(`Option ${option} failed: ${last?.type}`);
    }
    return new Map(replies.map(({ type, data }) => {
      if (type !== NBD.REP_META_CONTEXT) throw new Error(`Reply is ${type}`);
      const context = new TextDecoder().decode(data.subarray(4));
      return [context, new DataView(data.buffer).getUint32(0)];
    }));
  }

  /**
   * Names all exports.
   *
   * @returns Their names.
   */
  async list(): Promise<string[]> {
    const replies = await this.option(NBD.OPT_LIST);
    return replies.filter(({ type }) => type === NBD.REP_SERVER).map(
      ({ data }) => {
        const length = new DataView(data.buffer).getUint32(0);
        return new TextDecoder().decode(data.subarray(4, 4 + length));
      },
    );
  }

  /**
   * Asks about an export.
   *
   * @param name The export.
   * @param types Which information.
   * @param option INFO or GO.
   * @returns What the server sent.
   */
  async info(
    name: string,
    types: number[] = [],
    option: number = NBD.OPT_INFO,
  ): Promise<ExportInfo> {
    const replies = await this.option(option, encodeInfoData(name, types));
    const last = replies.at(-1);
    if (last?.type !== NBD.REP_ACK) {
      const text = new TextDecoder().decode(last?.data);
      throw new Error(`Option ${option} failed: ${last?.type} ${text}`);
    }
    const info: ExportInfo = {
      size: 0n,
      flags: 0,
      blockSizes: undefined,
      name: undefined,
      description: undefined,
    };
    for (const { type, data } of replies) {
      if (type !== NBD.REP_INFO) continue;
      const view = new DataView(data.buffer);
      const text = new TextDecoder().decode(data.subarray(2));
      const kind = view.getUint16(0);
      if (kind === NBD.INFO_EXPORT) {
        info.size = view.getBigUint64(2);
        info.flags = view.getUint16(10);
      } else if (kind === NBD.INFO_BLOCK_SIZE) {
        info.blockSizes = [2, 6, 10].map((at) => view.getUint32(at));
      } else if (kind === NBD.INFO_NAME) info.name = text;
      else if (kind === NBD.INFO_DESCRIPTION) info.description = text;
    }
    return info;
  }

  /**
   * Uses an export from now on.
   *
   * @param name The export.
   * @param types Which information.
   * @returns What the server sent.
   */
  go(name: string, types: number[] = []): Promise<ExportInfo> {
    return this.info(name, types, NBD.OPT_GO);
  }

  /**
   * Uses an export from now on, in the old way.
   *
   * @param name The export.
   * @returns What the server sent.
   */
  async exportName(name: string): Promise<ExportInfo> {
    const data = new TextEncoder().encode(name);
    await this.sendRaw(encodeOption(NBD.OPT_EXPORT_NAME, data));
    const bytes = await this.receiveRaw(this.#noZeroes ? 10 : 134);
    const view = new DataView(bytes.buffer);
    return {
      size: view.getBigUint64(0),
      flags: view.getUint16(8),
      blockSizes: undefined,
      name: undefined,
      description: undefined,
    };
  }

  /**
   * Sends a request and does not wait.
   *
   * @param request The request.
   * @returns Its cookie.
   */
  async send(request: RawRequest): Promise<bigint> {
    const cookies = await this.sendAll([request]);
    return cookies[0] ?? 0n;
  }

  /**
   * Sends requests with one write, and does not wait.
   *
   * @param requests The requests.
   * @returns Their cookies.
   */
  async sendAll(requests: RawRequest[]): Promise<bigint[]> {
    const parts = requests.map((request) => {
      const cookie = request.cookie ?? this.#cookie++;
      this.#replies.expect(cookie, request);
      return { cookie, bytes: this.#encode({ ...request, cookie }) };
    });
    await this.sendRaw(Buffer.concat(parts.map(({ bytes }) => bytes)));
    return parts.map(({ cookie }) => cookie);
  }

  /** In the dialect; an extended one with a payload says so. */
  #encode(request: RawRequest): Uint8Array {
    if (this.dialect !== "extended") return encodeRequest(request);
    const { flags = 0, payload } = request;
    const more = payload === undefined ? 0 : NBD.CMD_FLAG_PAYLOAD_LEN;
    return encodeExtendedRequest({ ...request, flags: flags | more });
  }

  /**
   * Receives the next reply that is complete, whichever request it answers.
   *
   * @returns The reply.
   */
  receive(): Promise<RawReply> {
    return this.#replies.receive();
  }

  /**
   * Receives several replies.
   *
   * @param count How many.
   * @returns The replies by cookie, in the order of arrival.
   */
  async receiveAll(count: number): Promise<Map<bigint, RawReply>> {
    const replies = new Map<bigint, RawReply>();
    for (let i = 0; i < count; i++) {
      const reply = await this.receive();
      if (replies.has(reply.cookie)) {
        throw new Error(`Two replies have the cookie ${reply.cookie}`);
      }
      replies.set(reply.cookie, reply);
    }
    return replies;
  }

  /**
   * Sends a request and waits for its reply, with no other under way.
   *
   * @param request The request.
   * @returns The reply.
   */
  async call(request: RawRequest): Promise<RawReply> {
    const cookie = await this.send(request);
    const reply = await this.receive();
    if (reply.cookie !== cookie) {
      throw new Error(`Reply is to ${reply.cookie}, not to ${cookie}`);
    }
    return reply;
  }

  /**
   * Reads, with no other request under way.
   *
   * @param offset The first byte.
   * @param length How many.
   * @returns The bytes.
   */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const reply = await this.call({ command: NBD.CMD_READ, offset, length });
    return checked(reply, "READ").payload;
  }

  /**
   * Writes, with no other request under way.
   *
   * @param offset The first byte.
   * @param payload The bytes.
   * @param flags Command flags.
   */
  async write(offset: number, payload: Uint8Array, flags = 0): Promise<void> {
    const command = NBD.CMD_WRITE;
    checked(await this.call({ command, offset, payload, flags }), "WRITE");
  }

  /** Flushes, with no other request under way. */
  async flush(): Promise<void> {
    checked(await this.call({ command: NBD.CMD_FLUSH }), "FLUSH");
  }

  /** Says goodbye and waits for the end of the connection. */
  async disconnect(): Promise<void> {
    await this.sendRaw(this.#encode({ command: NBD.CMD_DISC }));
    await this.receiveEnd();
    this.close();
  }

  /** Closes the socket, without a word; may be called again. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.conn.close();
  }

  /** Closes the socket. */
  [Symbol.dispose](): void {
    this.close();
  }
}

function checked(reply: RawReply, what: string): RawReply {
  if (reply.errno !== 0) {
    throw new Error(`${what} failed: ${reply.errno} ${reply.text}`);
  }
  return reply;
}
