/**
 * One connection for transfers of many bytes. Several requests are in flight,
 * with simple replies. It ends at the first fault; nothing is sent again.
 *
 * @module
 */

import type { Completion } from "../../../device/block/mod.ts";
import { NativeSocket } from "../../../device/linux/mod.ts";
import { asVirstorError, VirstorError } from "../../../errors.ts";
import {
  COMMAND_DISCONNECT,
  COMMAND_FLUSH,
  COMMAND_READ,
  COMMAND_WRITE,
  REQUEST_MAGIC,
  REQUEST_SIZE,
  SIMPLE_REPLY_MAGIC,
  SIMPLE_REPLY_SIZE,
} from "../../wire/mod.ts";
import {
  type NbdExportInfo,
  type NbdUri,
  negotiate,
} from "../connection/mod.ts";
import { NativeStream } from "./native_stream.ts";

/** Takes the bytes of a read, before they are overwritten by those of the next. */
export type Store = (bytes: Uint8Array, offset: number) => Completion;

/** A request in flight. */
interface Request {
  readonly offset: number;
  /** Bytes of the reply's payload. */
  readonly length: number;
  readonly store: Store | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A request to send. */
interface Sending {
  readonly command: number;
  readonly offset: number;
  readonly length: number;
  /** Descriptor of the file that has the payload, at the same offset. */
  readonly file?: number;
  /** Takes the payload of the reply. */
  readonly store?: Store;
}

/** One connection. */
export class BulkLink {
  readonly #socket: NativeSocket;
  readonly #request = new Uint8Array(REQUEST_SIZE);
  readonly #requestView = new DataView(this.#request.buffer);
  readonly #reply = new Uint8Array(SIMPLE_REPLY_SIZE);
  readonly #replyView = new DataView(this.#reply.buffer);
  #buffer = new Uint8Array();
  readonly #requests = new Map<number, Request>();
  #cookies = 0;
  #failure: VirstorError | undefined;
  #receiving = Promise.resolve();
  /** Ends when everything of earlier calls has been sent. */
  #sending = Promise.resolve();

  private constructor(socket: NativeSocket) {
    this.#socket = socket;
  }

  /**
   * Connects to an export that is in use already.
   *
   * @param uri The URI, of a Unix socket, without encryption.
   * @param isSame Whether what is found there is that export.
   * @param waitMs The longest wait for a reply, milliseconds.
   * @param signal Gives up.
   * @returns The connection; undefined if there is none to be had, or if it
   *   leads elsewhere.
   */
  static async open(
    uri: NbdUri,
    isSame: (found: NbdExportInfo) => boolean,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<BulkLink | undefined> {
    const socket = await NativeSocket.connect(uri.socket, waitMs);
    if (socket === undefined) return undefined;
    const stream = new NativeStream(socket);
    try {
      const found = await negotiate(uri, { signal, stream, isSimple: true });
      const isQuiet = found.reader.available === 0;
      if (isQuiet && isSame(found.info)) return new BulkLink(socket);
    } catch {
      // The remote disk will tell what is wrong, if it concerns it, too.
    }
    socket.close();
    return undefined;
  }

  /** Requests that are sent, or about to leave. */
  get inFlight(): number {
    return this.#requests.size;
  }

  /** Why the connection has ended; undefined while it works. */
  get failure(): VirstorError | undefined {
    return this.#failure;
  }

  /**
   * Writes bytes of a file to the same place of the export.
   *
   * @param file Descriptor of the file.
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @throws {VirstorError} If the connection ends, or the server fails it.
   */
  write(file: number, offset: number, length: number): Promise<void> {
    return this.#run({ command: COMMAND_WRITE, offset, length, file });
  }

  /**
   * Reads bytes.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @param store Takes the bytes.
   * @throws If the connection ends, the server fails it, or `store` does.
   */
  read(offset: number, length: number, store: Store): Promise<void> {
    return this.#run({ command: COMMAND_READ, offset, length, store });
  }

  /**
   * Makes durable what this connection has written.
   *
   * @throws {VirstorError} If the connection ends, or the server fails it.
   */
  flush(): Promise<void> {
    return this.#run({ command: COMMAND_FLUSH, offset: 0, length: 0 });
  }

  /**
   * Ends the connection, with all requests in flight. Idempotent.
   *
   * @returns Whether the server has ended it, too: then it executes nothing of
   *   it any more.
   */
  async end(): Promise<boolean> {
    this.#fail(new VirstorError("cancelled", "The connection is closed"));
    await this.#receiving;
    const scratch = new Uint8Array(64 * 1024);
    let count = 1;
    while (count > 0) count = await this.#socket.receive(scratch);
    this.#socket.close();
    return count === 0;
  }

  /** Ends the connection in order, when no request is in flight. */
  async close(): Promise<void> {
    if (this.#failure === undefined) {
      this.#encode(COMMAND_DISCONNECT, 0, 0, 0);
      await this.#socket.send(this.#request);
    }
    await this.end();
  }

  async #run(sending: Sending): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const cookie = this.#cookies = (this.#cookies + 1) >>> 0;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const isRead = sending.store !== undefined;
    this.#requests.set(cookie, {
      offset: sending.offset,
      length: isRead ? sending.length : 0,
      store: sending.store,
      resolve,
      reject,
    });
    // It may fail while earlier ones are sent.
    promise.catch(() => {});
    if (this.#requests.size === 1) {
      const earlier = this.#receiving;
      this.#receiving = earlier.then(() => this.#receive());
    }
    // One after the other: a payload follows its header.
    const earlier = this.#sending;
    this.#sending = earlier.then(() => this.#send(cookie, sending));
    await promise;
  }

  async #send(cookie: number, sending: Sending): Promise<void> {
    const { command, offset, length, file } = sending;
    if (this.#failure !== undefined) return;
    this.#encode(command, cookie, offset, length);
    const header = this.#socket.send(this.#request);
    let isSent = header === undefined || await header;
    if (isSent && file !== undefined) {
      const payload = this.#socket.sendFile(file, offset, length);
      isSent = payload === undefined || await payload;
    }
    if (!isSent) this.#fail(new VirstorError("io", "The connection is broken"));
  }

  #encode(
    command: number,
    cookie: number,
    offset: number,
    length: number,
  ): void {
    const view = this.#requestView;
    view.setUint32(0, REQUEST_MAGIC);
    view.setUint16(4, 0);
    view.setUint16(6, command);
    view.setUint32(8, 0);
    view.setUint32(12, cookie);
    view.setUint32(16, Math.floor(offset / 2 ** 32));
    view.setUint32(20, offset % 2 ** 32);
    view.setUint32(24, length);
  }

  /** Receives while requests are in flight. */
  async #receive(): Promise<void> {
    try {
      while (this.#requests.size > 0) await this.#receiveOne();
    } catch (error) {
      this.#fail(asVirstorError(error));
    }
  }

  async #receiveOne(): Promise<void> {
    await this.#fill(this.#reply);
    const view = this.#replyView;
    const cookie = view.getUint32(12);
    const request = this.#requests.get(cookie);
    if (
      view.getUint32(0) !== SIMPLE_REPLY_MAGIC || view.getUint32(8) !== 0 ||
      request === undefined
    ) {
      throw new VirstorError("io", "The server breaks the protocol");
    }
    const errno = view.getUint32(4);
    if (errno !== 0) {
      throw new VirstorError("io", `The server reports error ${errno}`);
    }
    const { offset, length, store } = request;
    if (this.#buffer.length < length) this.#buffer = new Uint8Array(length);
    const bytes = this.#buffer.subarray(0, length);
    if (length > 0) await this.#fill(bytes);
    // By now it may have been read in another way.
    if (this.#failure !== undefined) throw this.#failure;
    try {
      await store?.(bytes, offset);
      request.resolve();
    } catch (error) {
      request.reject(error);
    }
    this.#requests.delete(cookie);
  }

  async #fill(target: Uint8Array<ArrayBuffer>): Promise<void> {
    const filling = this.#socket.fill(target);
    if (filling === undefined || await filling) return;
    throw new VirstorError("io", "The connection is broken");
  }

  #fail(error: VirstorError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    for (const { reject } of this.#requests.values()) reject(error);
    this.#requests.clear();
    this.#socket.closeWrite();
  }
}
