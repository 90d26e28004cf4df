/**
 * Receives and sends on descriptors: calls the C library of Linux through
 * Deno's FFI. Threads wait for one connection each, which the runtime's own
 * calls cannot do, and no call needs a promise.
 *
 * @module
 */

import { addressOf } from "./native_io.ts";
import { WAITING_POLL } from "./native_poll.ts";
import { NativeWords } from "./native_words.ts";

const SYMBOLS = {
  recv: { parameters: ["i32", "usize", "usize", "i32"], result: "i32" },
  send: { parameters: ["i32", "usize", "usize", "i32"], result: "i32" },
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  poll: WAITING_POLL,
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  setsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "i32"],
    result: "i32",
  },
  getsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "buffer"],
    result: "i32",
  },
  ioctl: { parameters: ["i32", "usize", "buffer"], result: "i32" },
} as const;

// From the headers of Linux: `asm-generic/socket.h`, `asm-generic/ioctls.h`,
// `poll.h`, `sys/socket.h`; the same on x86-64 and arm64.
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_PEERCRED = 17;
/** Bytes of `struct ucred`: the process, its user and its group. */
const UCRED_SIZE = 12;
const MSG_PEEK = 0x02;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SHUT_RDWR = 2;
const FIONREAD = 0x541bn;
const TIOCOUTQ = 0x5411n;
const POLLOUT = 0x04;
const POLLERR_OR_HUP = 0x18;

/** A call that fails sooner than this has not waited, milliseconds. */
const NO_WAIT_MS = 10;
/**
 * Failures in a row that are final: after fewer, the call is repeated, since a
 * signal may have interrupted it.
 */
const TRIES = 3;

/** The most parts that leave with one call; the system takes up to 1024. */
const PARTS_MAX = 64;
/** Words of a `struct msghdr`, and which of them tell of its parts. */
const [MESSAGE_WORDS, MESSAGE_PARTS, MESSAGE_PART_COUNT] = [7, 2, 3];

/** A part of a buffer. */
export interface MemoryPart {
  /** The buffer. */
  readonly bytes: Uint8Array;
  /** Index of the first byte. */
  readonly start: number;
  /** Index behind the last byte. */
  readonly end: number;
}

/** Receives and sends on descriptors of this process. */
export class NativeSockets {
  readonly #libc: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  /** Calls in a row that have failed at once, and the time of the last one. */
  #failures = 0;
  #failedAt = 0;
  readonly #value = new Uint8Array(8);
  readonly #valueView: DataView = new DataView(this.#value.buffer);
  /** The arguments address and length. */
  readonly #args = new NativeWords(2);
  /** For each part a `struct iovec`: its address and its length. */
  readonly #parts = new NativeWords(2 * PARTS_MAX);
  readonly #message = new NativeWords(MESSAGE_WORDS);

  /**
   * Opens the C library.
   *
   * @throws {Error} If Deno cannot open it, or may not (`--allow-ffi`).
   */
  constructor() {
    this.#libc = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
    this.#message.unsigned(MESSAGE_PARTS, addressOf(this.#parts.bytes));
  }

  /**
   * Waits for bytes, up to the limit that `NativeConnections.takeAway` has set.
   *
   * @param descriptor A connection that was taken away from the runtime.
   * @param address Address of the buffer that receives the bytes.
   * @param length Bytes of the buffer, above 0.
   * @returns Bytes that arrived; 0 at the end, also of a broken connection; -1
   *   if none arrived in time.
   */
  receive(descriptor: number, address: number, length: number): number {
    const args = this.#args;
    const at = args.unsigned(0, address);
    const size = args.unsigned(1, length);
    const count = this.#libc.recv(descriptor, at, size, 0);
    return count >= 0 ? count : this.#failed();
  }

  /**
   * Waits for bytes in the same way, and leaves them in the system.
   *
   * @param descriptor A connection that was taken away from the runtime.
   * @returns 1 if bytes have arrived; else as {@linkcode receive}.
   */
  awaitBytes(descriptor: number): number {
    const args = this.#args;
    const at = args.unsigned(0, addressOf(this.#value));
    const one = args.unsigned(1, 1);
    const count = this.#libc.recv(descriptor, at, one, MSG_PEEK);
    return count >= 0 ? count : this.#failed();
  }

  /**
   * Tells failures apart by time, since the runtime does not tell the error: a
   * call without bytes in time has taken that time, and a call that a signal
   * has interrupted succeeds when it is repeated.
   */
  #failed(): number {
    const now = performance.now();
    const isSoon = now - this.#failedAt < NO_WAIT_MS;
    this.#failures = isSoon ? this.#failures + 1 : 0;
    this.#failedAt = now;
    return this.#failures < TRIES ? -1 : 0;
  }

  /**
   * Sends bytes, and waits until the system has taken all.
   *
   * @param descriptor A connection that was taken away from the runtime.
   * @param address Address of the bytes.
   * @param length Number of bytes.
   * @returns False if the connection is broken.
   */
  send(descriptor: number, address: number, length: number): boolean {
    const { send } = this.#libc;
    const args = this.#args;
    let sent = 0;
    let tries = 0;
    while (sent < length) {
      const at = args.unsigned(0, address + sent);
      const rest = args.unsigned(1, length - sent);
      const count = send(descriptor, at, rest, MSG_NOSIGNAL);
      if (count > 0) {
        sent += count;
        tries = 0;
      } else if (++tries === TRIES) return false;
    }
    return true;
  }

  /**
   * Receives without waiting.
   *
   * @param descriptor A connection.
   * @param address Address of the buffer that receives the bytes.
   * @param length Bytes of the buffer, above 0.
   * @returns Bytes that were received; 0 at the end; -1 if there are none, or
   *   after an error.
   */
  receiveNow(descriptor: number, address: number, length: number): number {
    const at = this.#args.unsigned(0, address);
    const size = this.#args.unsigned(1, length);
    return this.#libc.recv(descriptor, at, size, MSG_DONTWAIT);
  }

  /**
   * Busy-polls for bytes.
   *
   * @param descriptor A connection.
   * @param address Address of the buffer that receives the bytes.
   * @param length Bytes of the buffer, above 0.
   * @param ms How long, milliseconds; also less than one.
   * @returns As {@linkcode receiveNow}.
   */
  receiveSoon(
    descriptor: number,
    address: number,
    length: number,
    ms: number,
  ): number {
    const until = performance.now() + ms;
    for (;;) {
      const count = this.receiveNow(descriptor, address, length);
      if (count >= 0 || performance.now() >= until) return count;
    }
  }

  /**
   * Sends without waiting.
   *
   * @param descriptor A connection.
   * @param memory The buffer that holds the bytes.
   * @param start Index of the first byte.
   * @param end Index behind the last byte.
   * @returns Bytes that the system has taken; -1 if none.
   */
  sendNow(
    descriptor: number,
    memory: Uint8Array,
    start: number,
    end: number,
  ): number {
    const at = this.#args.unsigned(0, addressOf(memory) + start);
    const length = this.#args.unsigned(1, end - start);
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    return this.#libc.send(descriptor, at, length, flags);
  }

  /**
   * Sends parts of buffers, one behind the other, without waiting.
   *
   * @param descriptor A connection.
   * @param parts The parts, at least one; only the first 64 are sent.
   * @returns Bytes that the system has taken; -1 if none.
   */
  sendPartsNow(descriptor: number, parts: readonly MemoryPart[]): number {
    const [words, message] = [this.#parts, this.#message];
    let count = 0;
    for (const { bytes, start, end } of parts) {
      if (count === PARTS_MAX) break;
      words.unsigned(2 * count, addressOf(bytes) + start);
      words.unsigned(2 * count + 1, end - start);
      count++;
    }
    message.unsigned(MESSAGE_PART_COUNT, count);
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    return this.#libc.sendmsg(descriptor, message.bytes, flags);
  }

  /**
   * Waits until a connection takes bytes, or is broken, without blocking the
   * event loop.
   *
   * @param descriptor The connection.
   * @returns False if it is broken.
   */
  async writable(descriptor: number): Promise<boolean> {
    // A `struct pollfd`: i32 descriptor, i16 events, i16 returned events.
    const about = new Uint8Array(8);
    const view = new DataView(about.buffer);
    view.setInt32(0, descriptor, true);
    view.setInt16(4, POLLOUT, true);
    await this.#libc.poll(about, 1n, -1);
    return (view.getInt16(6, true) & POLLERR_OR_HUP) === 0;
  }

  /**
   * Tells whether the system holds no bytes of a connection.
   *
   * @param descriptor An open connection.
   * @param isTcp Whether the connection is one of TCP.
   * @returns Whether all that arrived was received and, for TCP, all that was
   *   sent has arrived. What was sent on a Unix socket has arrived.
   */
  isDrained(descriptor: number, isTcp: boolean): boolean {
    return this.#queued(descriptor, FIONREAD) === 0 &&
      (!isTcp || this.#queued(descriptor, TIOCOUTQ) === 0);
  }

  /** Bytes in a queue of a socket; 0 if the system does not tell. */
  #queued(descriptor: number, queue: bigint): number {
    const failed = this.#libc.ioctl(descriptor, queue, this.#value) !== 0;
    return failed ? 0 : this.#valueView.getInt32(0, true);
  }

  /**
   * Ends a connection in both directions; a thread that waits for bytes wakes
   * up.
   *
   * @param descriptor The connection; the descriptor stays open.
   */
  shutdown(descriptor: number): void {
    this.#libc.shutdown(descriptor, SHUT_RDWR);
  }

  /**
   * Sets how much the system may hold of what was sent and not read yet.
   *
   * @param descriptor The connection.
   * @param size Bytes; the system may allow less, and takes twice as many for
   *   its own use.
   */
  setSendBuffer(descriptor: number, size: number): void {
    const value = new Int32Array([size]);
    this.#libc.setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, value, 4);
  }

  /**
   * Finds the process that has connected.
   *
   * @param descriptor A connection on a Unix socket.
   * @returns Its number; undefined if the system does not tell, or the process
   *   lies in another container.
   */
  peerProcess(descriptor: number): number | undefined {
    const found = new Int32Array(UCRED_SIZE / Int32Array.BYTES_PER_ELEMENT);
    const size = new Int32Array([UCRED_SIZE]);
    const failed = this.#libc.getsockopt(
      ...[descriptor, SOL_SOCKET, SO_PEERCRED, found, size] as const,
    );
    const [pid = 0] = found;
    return failed === 0 && pid > 0 ? pid : undefined;
  }
}
