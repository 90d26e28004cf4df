/**
 * The inside of an encrypted connection, as the server uses connections.
 *
 * @module
 */

import type { TLSSocket } from "node:tls";
import { VirstorError } from "../../../errors.ts";
import { TLS_PIECE_SIZE } from "../../wire/mod.ts";
import type { Carrier } from "../stream/mod.ts";
import type { TlsWire } from "./tls_wire.ts";

/** How long a client may take to be told goodbye, milliseconds. */
const GOODBYE_MS = 500;

/** Bytes of a connection in the clear. */
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
   * Takes an encrypted connection over.
   *
   * @param inside Where bytes are in the clear.
   * @param wire Where they are not.
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

  /** Whether all that came was decrypted and read, as far as is known. */
  get isDrained(): boolean {
    return this.#inside.readableLength === 0 && this.#wire.isDrained;
  }

  /**
   * Waits for bytes.
   *
   * @param target Where they go.
   * @returns How many came, or `null` after the client's goodbye.
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
      // That makes it look for more, which it may find at once.
      inside.read(0);
      if (inside.readableLength === 0) await this.#wire.next();
    }
  }

  /**
   * Sends bytes.
   *
   * @param source The bytes.
   * @returns How many were taken; they have left.
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

  /** Says goodbye if the client listens, and ends the connection. */
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
