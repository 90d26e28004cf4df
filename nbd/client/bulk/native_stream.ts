/**
 * A native socket as the stream of a handshake.
 *
 * @module
 */

import type { NativeSocket } from "../../../device/linux/mod.ts";
import { VirstorError } from "../../../errors.ts";
import type { ClientStream } from "../connection/mod.ts";

/** The stream of a handshake. */
export class NativeStream implements ClientStream {
  readonly #socket: NativeSocket;

  /**
   * Takes over a connection.
   *
   * @param socket The connection.
   */
  constructor(socket: NativeSocket) {
    this.#socket = socket;
  }

  /**
   * Receives bytes.
   *
   * @param target The buffer that receives the bytes.
   * @returns Number of bytes, or `null` at the end.
   */
  async read(target: Uint8Array): Promise<number | null> {
    const bytes = new Uint8Array(target.length);
    const count = await this.#socket.receive(bytes);
    if (count < 0) throw broken();
    target.set(bytes.subarray(0, count));
    return count === 0 ? null : count;
  }

  /**
   * Sends bytes.
   *
   * @param source The bytes.
   * @returns Number of bytes sent: all.
   */
  async write(source: Uint8Array): Promise<number> {
    if (await this.#socket.send(source.slice()) === false) throw broken();
    return source.length;
  }

  /** Ends the sending side. */
  closeWrite(): Promise<void> {
    this.#socket.closeWrite();
    return Promise.resolve();
  }

  /** Closes the connection. */
  close(): void {
    this.#socket.close();
  }

  /** Closes the connection: nothing is left to deliver. */
  abort(): void {
    this.#socket.close();
  }
}

function broken(): VirstorError {
  return new VirstorError("io", "The connection is broken");
}
