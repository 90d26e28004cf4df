/**
 * The encrypted side of a connection: the runtime's TLS uses it as its socket.
 * It receives only when `next` is called.
 *
 * @module
 */

import { Duplex } from "node:stream";
import { messageOf, VirstorError } from "../../../errors.ts";
import {
  type ByteStream,
  closeQuietly,
  isDrained,
  writeAll,
} from "../stream/mod.ts";
import { TLS_RECEIVE_SIZE } from "../../wire/mod.ts";

/** Receives and sends the encrypted bytes of a connection. */
export class TlsWire extends Duplex {
  readonly #stream: ByteStream;
  #buffer = new Uint8Array(TLS_RECEIVE_SIZE);
  #reading = false;
  #ended = false;
  #failure: VirstorError | undefined;
  #wake: (() => void) | undefined;

  /**
   * Wraps a connection.
   *
   * @param stream The connection. `destroy` closes it.
   */
  constructor(stream: ByteStream) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    this.on("error", (error) => this.fail(error));
  }

  /** Why the connection is unusable; `undefined` while it works. */
  get failure(): VirstorError | undefined {
    return this.#failure;
  }

  /** Whether all received bytes are decrypted; true once it is destroyed. */
  get isDrained(): boolean {
    return this.destroyed ||
      (this.readableLength === 0 && isDrained(this.#stream));
  }

  /** Whether the client has ended its sending side. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Marks the connection as failed, and resumes the caller of
   * {@linkcode next}.
   *
   * @param error The reason; the first one is kept. An error of the runtime's
   *   TLS or sockets becomes `invalid`: a client or the network has caused it.
   */
  fail(error: unknown): void {
    this.#failure ??= error instanceof VirstorError ? error : new VirstorError(
      "invalid",
      `Cannot continue the TLS connection: ${messageOf(error)}`,
      { cause: error },
    );
    this.notify();
  }

  /** Resumes the caller that waits in {@linkcode next}. */
  notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /**
   * Receives more bytes, unless some wait to be decrypted, and waits for the
   * next change of state.
   *
   * *Requires:* no other call of `next` is pending.
   *
   * @returns Fulfilled when bytes arrive, the connection fails, or
   *   {@linkcode notify} is called.
   */
  next(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    if (!this.#reading && !this.#ended && this.readableLength === 0) {
      this.#reading = true;
      this.#stream.read(this.#buffer).then(this.#onRead)
        .catch(this.#onReadFailed);
    }
    return promise;
  }

  readonly #onRead = (count: number | null): void => {
    this.#reading = false;
    this.#ended = count === null;
    this.push(count === null ? null : this.#buffer.subarray(0, count));
    // Usually the runtime has decrypted the bytes, and the buffer is free again.
    if (this.readableLength > 0) {
      this.#buffer = new Uint8Array(TLS_RECEIVE_SIZE);
    }
    this.notify();
  };

  readonly #onReadFailed = (error: unknown): void => {
    this.#reading = false;
    this.#ended = true;
    this.fail(error);
  };

  /** Does nothing: {@linkcode next} receives the bytes. */
  override _read(): void {}

  /**
   * Sends encrypted bytes.
   *
   * @param bytes The encrypted bytes.
   * @param _encoding Unused, because `bytes` is no string.
   * @param done Called when the connection has accepted all bytes, or with the
   *   error.
   */
  override _write(
    bytes: Uint8Array,
    _encoding: string,
    done: (error?: Error | null) => void,
  ): void {
    writeAll(this.#stream, bytes).then(() => done(), done);
  }

  /**
   * Closes the connection.
   *
   * @param error The failure; `null` for a regular close.
   * @param done Called when the connection is closed.
   */
  override _destroy(
    error: Error | null,
    done: (error?: Error | null) => void,
  ): void {
    closeQuietly(this.#stream);
    this.fail(
      error ?? new VirstorError("cancelled", "The connection is closed"),
    );
    done();
  }
}
