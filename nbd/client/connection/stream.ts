/**
 * A connection of the client as a stream of bytes.
 *
 * @module
 */

import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { addressOf, socketCalls } from "../../../device/linux/mod.ts";
import { messageOf, VirstorError } from "../../../errors.ts";

/** A connection to a server. */
export interface ClientStream {
  /**
   * Receives bytes.
   *
   * @param target The buffer that receives the bytes.
   * @returns Number of bytes, above 0; `null` at the end.
   */
  read(target: Uint8Array): Promise<number | null>;
  /**
   * Busy-polls for bytes.
   *
   * *Requires*: no `read` is under way, which could get what comes later.
   *
   * @param target The buffer that receives the bytes.
   * @param ms How long, milliseconds; also less than one.
   * @returns Number of bytes; 0 if none came, or at the end.
   */
  readSoon?(target: Uint8Array, ms: number): number;
  /**
   * Sends bytes.
   *
   * @param source The bytes.
   * @returns Number of bytes sent; the caller sends the rest.
   */
  write(source: Uint8Array): Promise<number>;
  /**
   * Sends what the system takes at once.
   *
   * @param memory Where the bytes are,
   * @param start from here,
   * @param end to here; behind `start`.
   * @returns How many were taken; if not all, `write` has to be asked.
   */
  writeNow?(memory: Uint8Array, start: number, end: number): number;
  /** Ends the sending side; the server may still send. Never fails. */
  closeWrite(): Promise<void>;
  /** Closes the connection. Idempotent, never fails. */
  close(): void;
  /**
   * Closes the connection at once: the system forgets what it has not delivered.
   * After a plain close TCP goes on delivering, for minutes if the network is
   * down, and the server would execute those requests after later ones.
   * Idempotent, never fails.
   */
  abort(): void;
}

/**
 * Sends all of some bytes.
 *
 * @param stream The connection.
 * @param bytes The bytes.
 */
export async function sendAll(
  stream: ClientStream,
  bytes: Uint8Array,
): Promise<void> {
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(await stream.write(rest));
}

/**
 * A Unix socket of the runtime, without encryption. It delivers at once what
 * is sent.
 */
export class PlainStream implements ClientStream {
  readonly #conn: Deno.Conn;
  readonly #descriptor: number | undefined;
  readonly #sockets = socketCalls()?.sockets;
  #closed = false;

  /**
   * Takes over a connection.
   *
   * @param conn The connection.
   * @param descriptor The connection's descriptor, if it is known.
   */
  constructor(conn: Deno.Conn, descriptor?: number) {
    this.#conn = conn;
    this.#descriptor = descriptor;
  }

  /**
   * Receives bytes.
   *
   * @param target The buffer that receives the bytes.
   * @returns Number of bytes, or `null` at the end.
   */
  read(target: Uint8Array): Promise<number | null> {
    return this.#conn.read(target);
  }

  /**
   * Busy-polls for bytes, with native calls.
   *
   * *Requires*: no `read` is under way.
   *
   * @param target The buffer that receives the bytes.
   * @param ms How long, milliseconds; also less than one.
   * @returns Number of bytes; 0 if none came, or the descriptor is not known.
   */
  readSoon(target: Uint8Array, ms: number): number {
    const [descriptor, sockets] = [this.#descriptor, this.#sockets];
    if (this.#closed || descriptor === undefined || sockets === undefined) {
      return 0;
    }
    const { length } = target;
    const at = addressOf(target);
    return Math.max(0, sockets.receiveSoon(descriptor, at, length, ms));
  }

  /**
   * Sends bytes.
   *
   * @param source The bytes.
   * @returns Number of bytes sent.
   */
  write(source: Uint8Array): Promise<number> {
    return this.#conn.write(source);
  }

  /**
   * Sends what the system takes at once, with a native call.
   *
   * @param memory Where the bytes are,
   * @param start from here,
   * @param end to here; behind `start`.
   * @returns How many were taken; 0 if the descriptor is not known.
   */
  writeNow(memory: Uint8Array, start: number, end: number): number {
    const descriptor = this.#descriptor;
    // After the close the number may be that of another connection.
    if (this.#closed || descriptor === undefined) return 0;
    const sent = this.#sockets?.sendNow(descriptor, memory, start, end) ?? 0;
    return Math.max(0, sent);
  }

  /** Ends the sending side. */
  async closeWrite(): Promise<void> {
    try {
      await this.#conn.closeWrite();
    } catch {
      // The connection has ended.
    }
  }

  /** Closes the connection. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#conn.close();
    } catch {
      // The connection has ended.
    }
  }

  /** Closes the connection: nothing is left to deliver. */
  abort(): void {
    this.close();
  }
}

/** A stream of `node:net` or `node:tls`. */
export class NodeStream implements ClientStream {
  readonly #socket: Duplex;
  readonly #below: Duplex;
  #ended = false;
  #failure: unknown;
  #wake: () => void = () => {};

  /**
   * Takes over a stream.
   *
   * @param socket The cleartext side.
   * @param below The socket that carries it; `socket` itself by default.
   */
  constructor(socket: Duplex, below: Duplex = socket) {
    this.#socket = socket;
    this.#below = below;
    const notify = () => this.#wake();
    socket.on("readable", notify);
    socket.on("end", () => {
      this.#ended = true;
      notify();
    });
    for (const each of new Set([socket, below])) {
      each.on("error", (error) => {
        this.#failure ??= error;
        notify();
      });
      each.on("close", notify);
    }
  }

  /** Bytes that have arrived and are not read. */
  get pending(): number {
    return this.#socket.readableLength;
  }

  /**
   * Receives bytes.
   *
   * @param target The buffer that receives the bytes.
   * @returns Number of bytes, or `null` at the end.
   */
  async read(target: Uint8Array): Promise<number | null> {
    for (;;) {
      const count = Math.min(this.#socket.readableLength, target.length);
      const bytes: Uint8Array | null = count > 0
        ? this.#socket.read(count)
        : null;
      if (bytes !== null) {
        target.set(bytes);
        return bytes.length;
      }
      if (this.#failure !== undefined) throw this.#error();
      if (this.#ended || this.#socket.destroyed) return null;
      // `read(0)` makes the runtime receive more, which may succeed inline.
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      this.#socket.read(0);
      if (this.#socket.readableLength === 0) await promise;
    }
  }

  /**
   * Sends bytes.
   *
   * @param source The bytes.
   * @returns Number of bytes sent: all.
   */
  write(source: Uint8Array): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    if (this.#failure !== undefined || this.#socket.destroyed) {
      reject(this.#error());
      return promise;
    }
    // A destroyed socket calls back never.
    const onClose = () => reject(this.#error());
    this.#below.once("close", onClose);
    this.#socket.write(source, (error) => {
      this.#below.off("close", onClose);
      if (error) reject(error);
      else resolve(source.length);
    });
    return promise;
  }

  /** Ends the sending side. */
  closeWrite(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#socket.destroyed) return Promise.resolve();
    this.#below.once("close", () => resolve());
    this.#socket.end(() => resolve());
    return promise;
  }

  /** Closes the connection. */
  close(): void {
    this.#socket.destroy();
    this.#below.destroy();
  }

  /** Resets the connection. */
  abort(): void {
    const below = this.#below;
    if (below instanceof Socket && !below.destroyed) below.resetAndDestroy();
    this.close();
  }

  #error(): VirstorError {
    const reason = this.#failure === undefined
      ? "it is closed"
      : messageOf(this.#failure);
    return new VirstorError("io", `Cannot use the connection: ${reason}`, {
      cause: this.#failure,
    });
  }
}
