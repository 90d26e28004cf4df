/**
 * Sockets by their descriptors, from the C library of Linux through Deno's
 * FFI: for threads that wait for one connection each, which the runtime's own
 * calls cannot do, and to receive and send without a promise.
 *
 * Which descriptor a connection has the runtime does not tell. So after each
 * accept it is looked which socket of the listener is new.
 *
 * @module
 */

import { addressOf } from "./native_io.ts";
import { NativeWords } from "./native_words.ts";

const SYMBOLS = {
  recv: { parameters: ["i32", "usize", "usize", "i32"], result: "i32" },
  send: { parameters: ["i32", "usize", "usize", "i32"], result: "i32" },
  poll: {
    parameters: ["buffer", "usize", "i32"],
    result: "i32",
    nonblocking: true,
  },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  setsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "i32"],
    result: "i32",
  },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "usize"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "buffer"],
    result: "i32",
  },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  getdents64: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  readlink: { parameters: ["buffer", "buffer", "usize"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  ioctl: { parameters: ["i32", "usize", "buffer"], result: "i32" },
} as const;

// From the headers of Linux: `asm-generic/socket.h`, `asm-generic/ioctls.h`,
// `fcntl.h`, `sys/epoll.h`, `poll.h`, `sys/socket.h`; the same on x86-64 and arm64.
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVTIMEO = 20;
const SO_ACCEPTCONN = 30;
const SO_COOKIE = 57;
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const MSG_PEEK = 0x02;
const MSG_DONTWAIT = 0x40;
const MSG_WAITALL = 0x100;
const MSG_NOSIGNAL = 0x4000;
const SHUT_RDWR = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const EPOLL_CTL_DEL = 2;
const FIONREAD = 0x541bn;
const TIOCOUTQ = 0x5411n;
const POLLOUT = 0x04;
const POLLERR_OR_HUP = 0x18;

/**
 * For how long a connection that was taken away waits for bytes at most,
 * milliseconds: so often an idle thread looks whether a stop has begun.
 */
const WAIT_MS = 200;
/** Calls that fail sooner than this have not waited, milliseconds. */
const NO_WAIT_MS = 10;
/** Bytes of the longest socket address. */
const ADDRESS_SIZE = 128;
/** Bytes of a batch of directory entries, which is a thousand of them. */
const ENTRIES_SIZE = 32 * 1024;
/** What a descriptor for waiting is, as a link. */
const EVENT_POLL = "anon_inode:[eventpoll]";
/**
 * A call that a signal has interrupted is made again; one that fails so often
 * in a row fails for good.
 */
const TRIES = 3;

/** A connection that was just accepted. */
export interface AcceptedConnection {
  /** Where its listener listens: a path, or a port. */
  readonly local: string | number;
  /** The port at the other end, if it has one. */
  readonly remotePort: number | undefined;
}

/** Sockets by their descriptors. */
export class NativeSockets {
  readonly #libc: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  /** Cookies of the connections that were found and are still there. */
  #found = new Set<number>();
  /** How many calls in a row have failed at once, and when the last one did. */
  #failures = 0;
  #failedAt = 0;
  // Looked into after each accept, at every descriptor there is.
  readonly #entries = new Uint8Array(ENTRIES_SIZE);
  readonly #entriesView: DataView = new DataView(this.#entries.buffer);
  readonly #value = new Uint8Array(8);
  readonly #valueView: DataView = new DataView(this.#value.buffer);
  readonly #valueLength = new Uint32Array(1);
  /** The arguments address and length. */
  readonly #args = new NativeWords(2);

  /** Opens the C library; throws where there is none to be had. */
  constructor() {
    this.#libc = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  }

  /**
   * Waits for bytes, but not for longer than {@linkcode WAIT_MS}.
   *
   * @param descriptor A connection that was taken away from the runtime.
   * @param address Where they go.
   * @param length How many at most, above 0.
   * @param isWhole Whether to wait for all of them, for as long as some come.
   * @returns How many came; 0 at the end, also of a broken connection; -1 if
   *   none came in time.
   */
  receive(
    descriptor: number,
    address: number,
    length: number,
    isWhole = false,
  ): number {
    const args = this.#args;
    const at = args.unsigned(0, address);
    const flags = isWhole ? MSG_WAITALL : 0;
    const size = args.unsigned(1, length);
    const count = this.#libc.recv(descriptor, at, size, flags);
    return count >= 0 ? count : this.#failed();
  }

  /**
   * Waits as long until there is something to receive, and leaves it where it
   * is.
   *
   * @param descriptor A connection that was taken away from the runtime.
   * @returns As {@linkcode receive}, with 1 for whatever came.
   */
  awaitBytes(descriptor: number): number {
    const args = this.#args;
    const at = args.unsigned(0, addressOf(this.#value));
    const one = args.unsigned(1, 1);
    const count = this.#libc.recv(descriptor, at, one, MSG_PEEK);
    return count >= 0 ? count : this.#failed();
  }

  /**
   * Which error it was the runtime does not tell. A call that nothing came in
   * time for took its time, and one that a signal has interrupted is made again;
   * one that fails several times at once fails for good.
   */
  #failed(): number {
    const now = performance.now();
    const isSoon = now - this.#failedAt < NO_WAIT_MS;
    this.#failures = isSoon ? this.#failures + 1 : 0;
    this.#failedAt = now;
    return this.#failures < TRIES ? -1 : 0;
  }

  /**
   * Sends bytes, and waits until all are taken.
   *
   * @param descriptor A connection that waits.
   * @param address Where they are.
   * @param length How many.
   * @returns False if the connection takes no more.
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
   * Receives what is there, and waits for nothing.
   *
   * @param descriptor A connection.
   * @param memory Where the bytes go,
   * @param start from here,
   * @param end to here at most; behind `start`.
   * @returns How many came; 0 at the end; -1 if none, for whatever reason.
   */
  receiveNow(
    descriptor: number,
    memory: Uint8Array,
    start: number,
    end: number,
  ): number {
    const at = this.#args.unsigned(0, addressOf(memory) + start);
    const length = this.#args.unsigned(1, end - start);
    return this.#libc.recv(descriptor, at, length, MSG_DONTWAIT);
  }

  /**
   * The same, and asks again and again for a moment.
   *
   * @param descriptor A connection.
   * @param memory Where the bytes go,
   * @param start from here,
   * @param end to here at most; behind `start`.
   * @param ms How long, milliseconds; also less than one.
   * @returns As {@linkcode receiveNow}.
   */
  receiveSoon(
    descriptor: number,
    memory: Uint8Array,
    start: number,
    end: number,
    ms: number,
  ): number {
    const until = performance.now() + ms;
    for (;;) {
      const count = this.receiveNow(descriptor, memory, start, end);
      if (count >= 0 || performance.now() >= until) return count;
    }
  }

  /**
   * Sends what is taken without waiting.
   *
   * @param descriptor A connection.
   * @param memory Where the bytes are,
   * @param start from here,
   * @param end to here.
   * @returns How many were taken; -1 if none, for whatever reason.
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
   * Waits until a connection takes bytes, or is broken. Others go on.
   *
   * @param descriptor The connection.
   * @returns False if it is broken.
   */
  async writable(descriptor: number): Promise<boolean> {
    // A `struct pollfd`: i32 descriptor, i16 events, i16 what happened.
    const about = new Uint8Array(8);
    const view = new DataView(about.buffer);
    view.setInt32(0, descriptor, true);
    view.setInt16(4, POLLOUT, true);
    await this.#libc.poll(about, 1n, -1);
    return (view.getInt16(6, true) & POLLERR_OR_HUP) === 0;
  }

  /**
   * What the system holds of a connection.
   *
   * @param descriptor A connection that is open.
   * @param isTcp Whether it is one of TCP.
   * @returns Whether it holds nothing that came and was not received, nor, for
   *   TCP, anything that was sent and has not arrived. What was sent on a Unix
   *   socket has arrived.
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
   * Ends a connection in both directions: whoever waits for it is woken.
   *
   * @param descriptor The connection; it stays open.
   */
  shutdown(descriptor: number): void {
    this.#libc.shutdown(descriptor, SHUT_RDWR);
  }

  /**
   * Lets the system hold more of what was sent and not read yet.
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
   * Finds the descriptors of the connections of a listener that were not there
   * the last time. If this is called for every connection of a listener, before
   * the next one is accepted, it is one.
   *
   * @param accepted What is known of the one that was just accepted.
   * @returns Descriptors.
   */
  findNew(accepted: AcceptedConnection): number[] {
    const seen = new Set<number>();
    const found: number[] = [];
    for (const descriptor of this.#descriptors()) {
      const cookie = this.#cookie(descriptor);
      if (cookie === undefined) continue;
      if (this.#found.has(cookie)) seen.add(cookie);
      else if (this.#isOf(descriptor, accepted)) {
        seen.add(cookie);
        found.push(descriptor);
      }
    }
    this.#found = seen;
    return found;
  }

  /**
   * Takes a connection away from the runtime: it is not told any more what
   * happens to it, and must do nothing with it but close it, which it still
   * has to. From now on calls wait, for bytes {@linkcode WAIT_MS} at most.
   *
   * @param descriptor The connection.
   * @returns Whether it could be done; if not, nothing has changed.
   */
  takeAway(descriptor: number): boolean {
    const { epoll_ctl, fcntl, setsockopt } = this.#libc;
    // A `struct timeval`: i64 seconds, i64 microseconds.
    const wait = new Uint8Array(16);
    new DataView(wait.buffer).setUint32(8, WAIT_MS * 1000, true);
    const size = wait.length;
    if (setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, wait, size) !== 0) {
      return false;
    }
    const isForgotten = this.#descriptors().some((one) =>
      this.#link(one) === EVENT_POLL &&
      epoll_ctl(one, EPOLL_CTL_DEL, descriptor, 0n) === 0
    );
    if (!isForgotten) return false;
    const flags = fcntl(descriptor, F_GETFL, 0);
    fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK);
    return true;
  }

  /** All descriptors of this process. */
  #descriptors(): number[] {
    const { open, getdents64, close } = this.#libc;
    const directory = open(cString("/proc/self/fd"), 0);
    if (directory < 0) return [];
    const found: number[] = [];
    const entries = this.#entries;
    const length = BigInt(entries.length);
    for (;;) {
      const count = getdents64(directory, entries, length);
      if (count <= 0) break;
      // A `struct linux_dirent64`: u16 length at 16, the name at 19.
      for (let at = 0; at < count;) {
        const descriptor = numberAt(entries, at + 19);
        if (descriptor >= 0) found.push(descriptor);
        at += this.#entriesView.getUint16(at + 16, true);
      }
    }
    close(directory);
    return found.filter((descriptor) => descriptor !== directory);
  }

  /** What tells a socket from all others there ever were: they are counted. */
  #cookie(descriptor: number): number | undefined {
    if (!this.#option(descriptor, SO_COOKIE, 8)) return undefined;
    const view = this.#valueView;
    return view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  }

  #isOf(descriptor: number, accepted: AcceptedConnection): boolean {
    if (!this.#option(descriptor, SO_ACCEPTCONN, 4)) return false;
    if (this.#valueView.getInt32(0, true) !== 0) return false;
    const { getsockname, getpeername } = this.#libc;
    if (this.#address(descriptor, getsockname) !== accepted.local) return false;
    return accepted.remotePort === undefined ||
      this.#address(descriptor, getpeername) === accepted.remotePort;
  }

  /** Whether it is a socket that has this option, whose value is then known. */
  #option(descriptor: number, name: number, size: number): boolean {
    const { getsockopt } = this.#libc;
    const [value, length] = [this.#value, this.#valueLength];
    length[0] = size;
    return getsockopt(descriptor, SOL_SOCKET, name, value, length) === 0;
  }

  /** The path or the port of one end of a socket. */
  #address(
    descriptor: number,
    get: (
      descriptor: number,
      address: Uint8Array<ArrayBuffer>,
      length: Uint8Array<ArrayBuffer>,
    ) => number,
  ): string | number | undefined {
    const address = new Uint8Array(ADDRESS_SIZE);
    if (get(descriptor, address, lengthOf(ADDRESS_SIZE)) !== 0) return;
    const view = new DataView(address.buffer);
    switch (view.getUint16(0, true)) {
      case AF_UNIX:
        return textOf(address.subarray(2));
      case AF_INET:
      case AF_INET6:
        return view.getUint16(2);
    }
  }

  #link(descriptor: number): string {
    const target = new Uint8Array(64);
    const path = cString(`/proc/self/fd/${descriptor}`);
    this.#libc.readlink(path, target, BigInt(target.length - 1));
    return textOf(target);
  }
}

/** The number that is written there, or -1. */
function numberAt(bytes: Uint8Array, start: number): number {
  let number = 0;
  for (let at = start;; at++) {
    const digit = (bytes[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) {
      return at > start && bytes[at] === 0 ? number : -1;
    }
    number = number * 10 + digit;
  }
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

/** The text up to the first NUL. */
function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** A `socklen_t`. */
function lengthOf(size: number): Uint8Array<ArrayBuffer> {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, size, true);
  return length;
}
