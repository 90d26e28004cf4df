/**
 * Connects to the address of a URI.
 *
 * @module
 */

import { connect as connectSocket, type Socket } from "node:net";
import { messageOf, VirstorError } from "../../../errors.ts";
import { type ClientStream, NodeStream, PlainStream } from "./stream.ts";
import { connectToUnix } from "./unix_descriptors.ts";
import type { NbdUri } from "./uri.ts";

/**
 * Connects without encryption.
 *
 * @param uri The URI.
 * @param signal Gives up.
 * @returns The connection.
 * @throws {VirstorError} `io` if the server cannot be reached.
 */
export async function connectPlain(
  uri: NbdUri,
  signal: AbortSignal,
): Promise<ClientStream> {
  try {
    if (uri.socket !== "") {
      const { conn, descriptor } = await connectUnix(uri.socket, signal);
      return new PlainStream(conn, descriptor);
    }
    // The runtime's own sockets cannot reset a connection.
    return new NodeStream(await connectForTls(uri, signal));
  } catch (error) {
    throw unreachable(signal.aborted ? signal.reason : error);
  }
}

/** The runtime cannot give up connecting to a Unix socket. */
async function connectUnix(
  path: string,
  signal: AbortSignal,
): ReturnType<typeof connectToUnix> {
  signal.throwIfAborted();
  const connecting = connectToUnix(path);
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  try {
    return await Promise.race([connecting, promise]);
  } catch (error) {
    connecting.then(({ conn }) => conn.close(), () => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * Connects with a socket that the runtime's TLS can use.
 *
 * @param uri The URI.
 * @param signal Gives up.
 * @returns The socket, not encrypted yet.
 * @throws {VirstorError} `io` if the server cannot be reached.
 */
export async function connectForTls(
  uri: NbdUri,
  signal: AbortSignal,
): Promise<Socket> {
  const where = uri.socket !== ""
    ? { path: uri.socket }
    : { host: uri.host, port: uri.port };
  const socket = connectSocket({ ...where, allowHalfOpen: true });
  const onAbort = () => socket.destroy(signal.reason);
  signal.addEventListener("abort", onAbort);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", () => resolve());
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("the connection ended")));
    });
    socket.on("error", () => {});
    socket.setNoDelay(true);
    socket.setKeepAlive(true);
    return socket;
  } catch (error) {
    socket.destroy();
    throw unreachable(signal.aborted ? signal.reason : error);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** What the errors of the system mean here. */
const MEANINGS: Readonly<Record<string, string>> = {
  EACCES: "its permissions do not allow it",
  EAI_AGAIN: "the name of the host cannot be looked up now",
  ECONNREFUSED: "nothing listens there",
  EHOSTUNREACH: "no way leads to that host",
  ENETUNREACH: "no way leads to its network",
  ENOENT: "there is no such socket",
  ENOTFOUND: "no host has that name",
};

/** The caller adds where that was. */
function unreachable(error: unknown): VirstorError {
  if (error instanceof VirstorError) return error;
  const code = error instanceof Error && "code" in error ? `${error.code}` : "";
  const meaning = MEANINGS[code];
  const text = meaning === undefined
    ? messageOf(error)
    : `${meaning} (${code})`;
  return new VirstorError("io", text, { cause: error });
}
