/**
 * Paths of control sockets that are as short as the system needs them.
 *
 * @module
 */

/** Every system takes a path of a socket of so many bytes. */
const SOCKET_PATH_SAFE = 103;

/**
 * Finds a short path to a control socket.
 *
 * @param path The path of the socket, absolute.
 * @returns The path itself, or a link; disposing of it removes the link.
 * @throws {VirstorError} `io` if a link is needed and cannot be made.
 */
export async function shortSocketPath(
  path: string,
): Promise<Disposable & { readonly path: string }> {
  const { length } = new TextEncoder().encode(path);
  if (length <= SOCKET_PATH_SAFE) return { path, [Symbol.dispose]: () => {} };
  // Loaded only here: most commands would wait for it in vain.
  const { shortPath } = await import("../../nbd/listen/mod.ts");
  return shortPath(path);
}
