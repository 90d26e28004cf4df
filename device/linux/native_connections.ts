/**
 * Which descriptors connections have, and how to take one away from the
 * runtime: through the C library of Linux and Deno's FFI.
 *
 * The runtime does not tell which descriptor a connection has. So after each
 * accept the caller looks which socket of the listener is new.
 *
 * @module
 */

const SYMBOLS = {
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
} as const;

// From the headers of Linux: `asm-generic/socket.h`, `fcntl.h`, `sys/epoll.h`,
// `sys/socket.h`; the same on x86-64 and arm64.
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_ACCEPTCONN = 30;
const SO_COOKIE = 57;
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const EPOLL_CTL_DEL = 2;

/** Bytes of the longest socket address. */
const ADDRESS_SIZE = 128;
/** Bytes of a batch of directory entries: about a thousand entries. */
const ENTRIES_SIZE = 32 * 1024;
/** The link target of an `epoll` descriptor. */
const EVENT_POLL = "anon_inode:[eventpoll]";

/** A connection that was just accepted. */
export interface AcceptedConnection {
  /** Where its listener listens: a path, or a port. */
  readonly local: string | number;
  /** The port at the other end, if it has one. */
  readonly remotePort: number | undefined;
}

/** The connections of this process. */
export class NativeConnections {
  readonly #libc: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  /** Cookies of the open connections that were found earlier. */
  #found = new Set<number>();
  // One buffer for all calls: they look at every descriptor after each accept.
  readonly #entries = new Uint8Array(ENTRIES_SIZE);
  readonly #entriesView: DataView = new DataView(this.#entries.buffer);
  readonly #value = new Uint8Array(8);
  readonly #valueView: DataView = new DataView(this.#value.buffer);
  readonly #valueLength = new Uint32Array(1);

  /**
   * Opens the C library.
   *
   * @throws {Error} If Deno cannot open it, or may not (`--allow-ffi`).
   */
  constructor() {
    this.#libc = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  }

  /**
   * Finds the connections of a listener that are new since the last call. If
   * the caller asks after each accept, before the next one, there is exactly
   * one.
   *
   * @param accepted The connection that was just accepted.
   * @returns The descriptors of the new connections.
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
   * Finds the connections of this process to a Unix socket.
   *
   * @param path The path, as its server has bound it.
   * @returns Their descriptors, by a number that no other connection ever has.
   */
  connectedTo(path: string): Map<number, number> {
    const found = new Map<number, number>();
    const { getpeername } = this.#libc;
    for (const descriptor of this.#descriptors()) {
      const cookie = this.#cookie(descriptor);
      if (cookie === undefined) continue;
      if (this.#address(descriptor, getpeername) !== path) continue;
      found.set(cookie, descriptor);
    }
    return found;
  }

  /**
   * Takes a connection away from the runtime, which learns nothing of it any
   * more. From now on calls on the descriptor wait.
   *
   * *Requires*: the runtime does nothing with the connection but close it.
   *
   * @param descriptor The connection.
   * @param waitMs The longest wait for bytes, milliseconds, below 1000.
   * @returns Whether the connection was taken away; if not, nothing has changed.
   */
  takeAway(descriptor: number, waitMs: number): boolean {
    const { epoll_ctl, fcntl, setsockopt } = this.#libc;
    // A `struct timeval`: i64 seconds, i64 microseconds.
    const wait = new Uint8Array(16);
    new DataView(wait.buffer).setUint32(8, waitMs * 1000, true);
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

  /** The number of a socket that no other socket ever has. */
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

  /** Reads an option into `#value`; false if the descriptor has none. */
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

/** Parses the number at a place, up to a NUL; -1 if there is none. */
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
