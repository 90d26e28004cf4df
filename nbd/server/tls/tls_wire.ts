/**
 * The outside of an encrypted connection: what the runtime's TLS takes for a
 * socket. It reads only when it is told to.
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

/** Encrypted bytes, to and from a connection. */
export class TlsWire extends Duplex {
  readonly #stream: ByteStream;
  #buffer = new Uint8Array(TLS_RECEIVE_SIZE);
  #reading = false;
  #ended = false;
  #failure: VirstorError | undefined;
  #wake: (() => void) | undefined;

  /**
   * Creates the outside.
   *
   * @param stream The connection; closed when this is destroyed.
   */
  constructor(stream: ByteStream) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    this.on("error", (error) => this.fail(error));
  }

  /** Why nothing more comes or goes; `undefined` while all is well. */
  get failure(): VirstorError | undefined {
    return this.#failure;
  }

  /** Whether all that came was decrypted, as far as is known. */
  get isDrained(): boolean {
    return this.destroyed ||
      (this.readableLength === 0 && isDrained(this.#stream));
  }

  /** The client sends no more. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Notes that it is over, and wakes who waits.
   *
   * @param error Why; the first one counts. Whatever the runtime says of TLS
   *   or of a socket, a client or the network has caused it.
   */
  fail(error: unknown): void {
    this.#failure ??= error instanceof VirstorError ? error : new VirstorError(
      "invalid",
      `Cannot go on with TLS: ${messageOf(error)}`,
      { cause: error },
    );
    this.notify();
  }

  /** Wakes who waits in {@linkcode next}. */
  notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /**
   * Takes more bytes from the connection, unless some wait to be decrypted,
   * and waits until anything has changed, for whatever reason. One at a time.
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
    // Usually it has been decrypted, and the buffer can be used again.
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

  /** Asked for more: that comes when somebody waits for it. */
  override _read(): void {}

  /**
   * Sends encrypted bytes.
   *
   * @param bytes The bytes.
   * @param _encoding They are bytes.
   * @param done Called when the connection has taken them.
   */
  override _write(
    bytes: Uint8Array,
    _encoding: string,
    done: (error?: Error | null) => void,
  ): void {
    writeAll(this.#stream, bytes).then(() => done(), done);
  }

  /**
   * Ends the connection.
   *
   * @param error Why, if it failed.
   * @param done Called when that is done.
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
