/**
 * The cleartext side of an encrypted connection, as a `ByteStream`.
 *
 * @module
 */

import type { TLSSocket } from "node:tls";
import { VirstorError } from "../../../errors.ts";
import { TLS_PIECE_SIZE } from "../../wire/mod.ts";
import type { Carrier } from "../stream/mod.ts";
import type { TlsWire } from "./tls_wire.ts";

/** How long `close` waits for the TLS close alert to be sent, milliseconds. */
const GOODBYE_MS = 500;

/** Receives and sends the cleartext of an encrypted connection. */
export class TlsStream implements Carrier {
  /** How the client is served. */
  readonly manner = " over TLS";
  /** Nothing is answered before it could be read here. */
  readonly activity = 0;
  readonly #inside: TLSSocket;
  readonly #wire: TlsWire;
  #ended = false;
  #closed = false;
  #failWrite: ((error: unknown) => void) | undefined;

  /**
   * Takes over an encrypted connection.
   *
   * @param inside The cleartext side of the runtime's TLS.
   * @param wire The encrypted side.
   */
  constructor(inside: TLSSocket, wire: TlsWire) {
    this.#inside = inside;
    this.#wire = wire;
    inside.on("readable", () => wire.notify());
    inside.on("end", () => {
      this.#ended = true;
      wire.notify();
    });
    inside.on("error", (error) => wire.fail(error));
    wire.on("data", () => wire.notify());
    wire.on("close", () => this.#failWrite?.(wire.failure));
  }

  /**
   * Whether all received bytes are decrypted and read. The socket may hold
   * more that is not received yet.
   */
  get isDrained(): boolean {
    return this.#inside.readableLength === 0 && this.#wire.isDrained;
  }

  /**
   * Receives cleartext.
   *
   * @param target The buffer that receives the bytes.
   * @returns Number of bytes, above 0; `null` after the client's TLS close
   *   alert.
   * @throws {VirstorError} If the connection has failed or is closed.
   */
  async read(target: Uint8Array): Promise<number | null> {
    const inside = this.#inside;
    for (;;) {
      const count = Math.min(inside.readableLength, target.length);
      const bytes: Uint8Array | null = count > 0 ? inside.read(count) : null;
      if (bytes !== null) {
        target.set(bytes);
        return bytes.length;
      }
      if (this.#ended) return null;
      if (this.#wire.failure !== undefined) throw this.#wire.failure;
      // `read(0)` makes the runtime decrypt more, which may succeed at once.
      inside.read(0);
      if (inside.readableLength === 0) await this.#wire.next();
    }
  }

  /**
   * Encrypts and sends bytes.
   *
   * @param source The cleartext.
   * @returns Number of bytes sent, at most `TLS_PIECE_SIZE`; the caller sends
   *   the rest. Rejects with a `VirstorError` if the connection has failed.
   */
  write(source: Uint8Array): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const { failure } = this.#wire;
    if (failure !== undefined) {
      reject(failure);
      return promise;
    }
    const piece = source.subarray(0, TLS_PIECE_SIZE);
    this.#failWrite = reject;
    this.#inside.write(piece, (error) => {
      if (!error) return resolve(piece.length);
      this.#wire.fail(error);
      reject(this.#wire.failure);
    });
    return promise;
  }

  /**
   * Nothing is encrypted at once.
   *
   * @returns 0: `write` has to be asked.
   */
  writeNow(): number {
    return 0;
  }

  /** Everything that comes can be read here already. */
  divert(): void {}

  /** The event loop answers everything, and counts it. */
  addCounts(): void {}

  /**
   * Sends the TLS close alert, if no write is in flight, and closes the
   * connection.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const wire = this.#wire;
    const isWriting = this.#inside.writableLength > 0;
    wire.fail(new VirstorError("cancelled", "The connection is closed"));
    if (isWriting || wire.destroyed) {
      wire.destroy();
      return;
    }
    const timer = setTimeout(() => wire.destroy(), GOODBYE_MS);
    wire.on("close", () => clearTimeout(timer));
    this.#inside.end(() => wire.destroy());
  }
}
