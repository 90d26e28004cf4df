/**
 * Sends datagrams to Unix sockets, which the runtime's stable interface cannot.
 *
 * @module
 */

import { LIBC_NAMES, openLibrary } from "./native_library.ts";

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  sendto: {
    parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"],
    result: "isize",
  },
  close: { parameters: ["i32"], result: "i32" },
} as const;

// From the headers of Linux: `sys/socket.h`, `asm-generic/fcntl.h`.
const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
const MSG_DONTWAIT_NOSIGNAL = 0x4040;
/** From `linux/un.h`: bytes of a path, with the zero at its end. */
const PATH_BYTES = 108;

/**
 * Sends a datagram to a Unix socket, without waiting.
 *
 * @param target The absolute path of the socket; or the name of an abstract
 *   socket behind an `@`.
 * @param text The text of the datagram.
 * @returns Whether the system has taken it. False also on another system,
 *   without permission (`--allow-ffi`), and while the receiver's queue is full.
 */
export function sendDatagram(target: string, text: string): boolean {
  const address = addressOf(target);
  if (address === undefined) return false;
  const library = openLibrary(LIBC_NAMES, SYMBOLS);
  if (library === null) return false;
  const { socket, sendto, close } = library.symbols;
  try {
    const descriptor = socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
    if (descriptor < 0) return false;
    const bytes = new TextEncoder().encode(text);
    const sent = sendto(
      descriptor,
      bytes,
      BigInt(bytes.length),
      MSG_DONTWAIT_NOSIGNAL,
      address,
      address.length,
    );
    close(descriptor);
    return Number(sent) === bytes.length;
  } finally {
    library.close();
  }
}

/** A `struct sockaddr_un`: u16 family, then the path or the abstract name. */
function addressOf(target: string): Uint8Array<ArrayBuffer> | undefined {
  const isAbstract = target.startsWith("@");
  if (!isAbstract && !target.startsWith("/")) return undefined;
  const name = new TextEncoder().encode(target);
  // The zero at the end of a path would belong to an abstract name.
  const length = name.length + (isAbstract ? 0 : 1);
  if (length > PATH_BYTES) return undefined;
  const address = new Uint8Array(2 + length);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  if (isAbstract) address[2] = 0;
  return address;
}
