/**
 * A Unix socket of this process that the runtime does not know, for transfers
 * of many bytes: through the C library of Linux and Deno's FFI. Bytes of files
 * go from the page cache to the socket without a copy in this process.
 *
 * A call waits on the event loop for a few milliseconds at most, as long as
 * bytes move: a thread to wait in costs more than most waits take. While none
 * move, a thread of the runtime waits.
 *
 * @module
 */

import { WAITING_POLL } from "./native_poll.ts";
import { NativeWords } from "./native_words.ts";

const BYTES = ["i32", "buffer", "usize", "i32"] as const;

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: {
    parameters: ["i32", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  setsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "u32"],
    result: "i32",
  },
  send: { parameters: BYTES, result: "i32" },
  recv: { parameters: BYTES, result: "i32" },
  // Results are below 2^31; a 64-bit type would be returned as a BigInt.
  sendfile: {
    parameters: ["i32", "i32", "buffer", "usize"],
    result: "i32",
  },
  poll: WAITING_POLL,
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

// From the headers of Linux: `bits/socket.h`, `asm-generic/socket.h`,
// `sys/un.h`; the same on x86-64 and arm64.
const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 0o2000001;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const MSG_DONTWAIT = 0x40;
const MSG_WAITALL = 0x100;
const MSG_NOSIGNAL = 0x4000;
const SHUT_WR = 1;
const SHUT_RDWR = 2;
/** Bytes of the longest path in a `struct sockaddr_un`, without the NUL. */
const PATH_MAX = 107;

const POLLIN = 0x01;
const POLLOUT = 0x04;

/** What the system may hold of what was sent and not read yet, bytes. */
const SEND_BUFFER_SIZE = 1024 * 1024;
/** The longest wait on the event loop, milliseconds, below 1000. */
const WAIT_MS = 4;
/**
 * Failures in a row after which a connection is broken; before, none of the
 * bytes may have moved in time. The runtime does not tell the error.
 */
const TRIES = 3;

type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
let library: Libc | null | undefined;

function native(): Libc | null {
  if (library !== undefined) return library;
  library = null;
  try {
    if (Deno.build.os === "linux") {
      library = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
    }
  } catch {
    // Not permitted, or another C library: callers do without.
  }
  return library;
}

/** When something else of the event loop last had its turn. */
let turnedAt = 0;

function isTurnDue(): boolean {
  return performance.now() - turnedAt >= WAIT_MS;
}

/** Lets everything else of the event loop have its turn, if that is due. */
async function turn(): Promise<void> {
  if (!isTurnDue()) return;
  await new Promise((resolve) => globalThis.setImmediate(resolve));
  turnedAt = performance.now();
}

/** A connection over a Unix socket. */
export class NativeSocket {
  readonly #libc: Libc;
  readonly #descriptor: number;
  readonly #waitMs: number;
  readonly #length = new NativeWords(1);
  /** The place in the file of `sendFile`: an i64, the lower half first. */
  readonly #place = new Uint32Array(2);
  /** Calls that have not returned: the descriptor stays open until then. */
  #calls = 0;
  #isClosed = false;

  private constructor(libc: Libc, descriptor: number, waitMs: number) {
    this.#libc = libc;
    this.#descriptor = descriptor;
    this.#waitMs = waitMs;
  }

  /** Whether this process can make such connections. */
  static get isAvailable(): boolean {
    return native() !== null;
  }

  /**
   * Connects.
   *
   * @param path The path of the socket.
   * @param waitMs The longest wait for bytes, or for room, milliseconds.
   * @returns The connection; undefined if there is none to be had.
   */
  static async connect(
    path: string,
    waitMs: number,
  ): Promise<NativeSocket | undefined> {
    const libc = native();
    const name = new TextEncoder().encode(path);
    if (libc === null || name.length > PATH_MAX) return undefined;
    const descriptor = libc.socket(AF_UNIX, SOCK_STREAM_CLOEXEC, 0);
    if (descriptor < 0) return undefined;
    const set = (option: number, value: Uint8Array<ArrayBuffer>) =>
      libc.setsockopt(descriptor, SOL_SOCKET, option, value, value.length);
    // A `struct timeval`: i64 seconds, i64 microseconds.
    const wait = new Uint8Array(16);
    new DataView(wait.buffer).setUint32(8, WAIT_MS * 1000, true);
    set(SO_RCVTIMEO, wait);
    set(SO_SNDTIMEO, wait);
    const size = new Uint8Array(4);
    new DataView(size.buffer).setUint32(0, SEND_BUFFER_SIZE, true);
    set(SO_SNDBUF, size);
    // A `struct sockaddr_un`: u16 family, the path, a NUL.
    const address = new Uint8Array(name.length + 3);
    new DataView(address.buffer).setUint16(0, AF_UNIX, true);
    address.set(name, 2);
    const failed = await libc.connect(descriptor, address, address.length);
    if (failed === 0) return new NativeSocket(libc, descriptor, waitMs);
    libc.close(descriptor);
    return undefined;
  }

  /**
   * Sends bytes.
   *
   * @param bytes The bytes; the caller leaves them alone until all are sent.
   * @returns Whether all were sent; undefined if that was so at once.
   */
  send(bytes: Uint8Array<ArrayBuffer>): Promise<boolean> | undefined {
    return this.#move(bytes.length, POLLOUT, (done, flags) =>
      this.#libc.send(
        this.#descriptor,
        bytes.subarray(done),
        this.#length.unsigned(0, bytes.length - done),
        flags | MSG_NOSIGNAL,
      ));
  }

  /**
   * Sends bytes of a file.
   *
   * @param file Descriptor of the file, open until the call is done.
   * @param offset First byte of the range.
   * @param length Bytes of the range, below 2^31.
   * @returns Whether all were sent, else a part may be; undefined if all were
   *   sent at once.
   */
  sendFile(
    file: number,
    offset: number,
    length: number,
  ): Promise<boolean> | undefined {
    return this.#move(length, POLLOUT, (done) => {
      const place = offset + done;
      this.#place[0] = place % 2 ** 32;
      this.#place[1] = Math.floor(place / 2 ** 32);
      return this.#libc.sendfile(
        this.#descriptor,
        file,
        this.#place,
        this.#length.unsigned(0, length - done),
      );
    });
  }

  /**
   * Fills a buffer.
   *
   * @param target The buffer, not empty.
   * @returns Whether it is full; undefined if that was so at once.
   */
  fill(target: Uint8Array<ArrayBuffer>): Promise<boolean> | undefined {
    return this.#move(target.length, POLLIN, (done, flags) =>
      this.#libc.recv(
        this.#descriptor,
        target.subarray(done),
        this.#length.unsigned(0, target.length - done),
        flags | MSG_WAITALL,
      ));
  }

  /**
   * Receives what there is, and waits for the first byte.
   *
   * @param target The buffer, not empty.
   * @returns Number of bytes; 0 at the end; -1 after a failure.
   */
  async receive(target: Uint8Array<ArrayBuffer>): Promise<number> {
    for (let tries = 0; tries < TRIES && !this.#isClosed; tries++) {
      const count = this.#libc.recv(
        this.#descriptor,
        target,
        this.#length.unsigned(0, target.length),
        MSG_DONTWAIT,
      );
      if (count >= 0) return count;
      if (!await this.#ready(POLLIN)) break;
    }
    return -1;
  }

  /** Ends the sending side: the server finishes what it has received. */
  closeWrite(): void {
    if (!this.#isClosed) this.#libc.shutdown(this.#descriptor, SHUT_WR);
  }

  /** Closes the connection; calls that wait fail. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#libc.shutdown(this.#descriptor, SHUT_RDWR);
    this.#release();
  }

  #release(): void {
    if (this.#isClosed && this.#calls === 0) this.#libc.close(this.#descriptor);
  }

  /**
   * Calls until all bytes have moved: the first time without waiting if that is
   * possible.
   */
  #move(
    length: number,
    events: number,
    call: (done: number, flags: number) => number,
  ): Promise<boolean> | undefined {
    if (this.#isClosed) return Promise.resolve(false);
    const done = Math.max(0, call(0, MSG_DONTWAIT));
    return done === length && !isTurnDue()
      ? undefined
      : this.#moveRest(done, length, events, call);
  }

  async #moveRest(
    start: number,
    length: number,
    events: number,
    call: (done: number, flags: number) => number,
  ): Promise<boolean> {
    let done = start;
    let isReady = done > 0;
    let failures = 0;
    while (done < length) {
      if (isReady) await turn();
      else if (!await this.#ready(events)) return false;
      if (this.#isClosed) return false;
      const count = call(done, 0);
      if (count === 0) return false;
      isReady = count > 0;
      failures = isReady ? 0 : failures + 1;
      if (failures === TRIES) return false;
      done += Math.max(0, count);
    }
    await turn();
    return true;
  }

  /** Waits in a thread; false if nothing happens for too long. */
  async #ready(events: number): Promise<boolean> {
    // A `struct pollfd`: i32 descriptor, i16 events, i16 returned events.
    const about = new Uint8Array(8);
    const view = new DataView(about.buffer);
    view.setInt32(0, this.#descriptor, true);
    view.setInt16(4, events, true);
    this.#calls += 1;
    const count = await this.#libc.poll(about, 1n, this.#waitMs);
    turnedAt = performance.now();
    this.#calls -= 1;
    this.#release();
    // After a signal, too: the next call tells.
    return count !== 0;
  }
}
