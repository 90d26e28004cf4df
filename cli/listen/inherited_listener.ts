/**
 * A listening socket that another process opened. The runtime takes it through
 * its Node interface only, so this file adapts its connections.
 *
 * @module
 */

import { createServer, type Server, type Socket } from "node:net";
import { messageOf, VirstorError } from "../../errors.ts";

/** A listener on an inherited descriptor, and its address. */
export interface InheritedListener {
  /** The listener; only `accept` and `close` work. */
  readonly listener: Deno.Listener;
  /** The TCP address; `undefined` for a Unix socket. */
  readonly address: { hostname: string; port: number } | undefined;
}

/**
 * Takes a listening socket over.
 *
 * @param descriptor The number of its descriptor.
 * @returns The listener; closing it leaves the path of a Unix socket alone.
 * @throws {VirstorError} `invalid` if the descriptor is not a listening socket.
 */
export async function inheritListener(
  descriptor: number,
): Promise<InheritedListener> {
  // The end of what a client sends is not the end of what it reads.
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  try {
    server.listen({ fd: descriptor }, resolve);
    await promise;
  } catch (error) {
    throw new VirstorError(
      "invalid",
      `Cannot listen on descriptor ${descriptor}: ${messageOf(error)}`,
      { cause: error },
    );
  }
  server.off("error", reject);
  const address = server.address();
  return {
    listener: listenerOf(server),
    address: address !== null && typeof address === "object"
      ? { hostname: address.address, port: address.port }
      : undefined,
  };
}

function listenerOf(server: Server): Deno.Listener {
  const stream = new ReadableStream<Deno.Conn | Error>({
    start(controller) {
      server.on("connection", (socket: Socket) => {
        controller.enqueue(connectionOf(socket));
      });
      server.on("error", (error) => controller.enqueue(error));
      server.on("close", () => controller.close());
    },
  });
  const reader = stream.getReader();
  return {
    accept: async () => {
      const { value } = await reader.read();
      if (value instanceof Error) throw value;
      if (value !== undefined) return value;
      throw new Deno.errors.BadResource("The listener is closed");
    },
    close: () => void server.close(),
  } as Deno.Listener;
}

/** Adapts a Node socket to the part of `Deno.Conn` that the server uses. */
function connectionOf(socket: Socket): Deno.Conn {
  const { remoteAddress, remotePort } = socket;
  let ended = false;
  let failure: Error | undefined;
  let wake = () => {};
  socket.on("readable", () => wake());
  socket.on("end", () => {
    ended = true;
    wake();
  });
  socket.on("error", (error) => failure = error);
  socket.on("close", () => {
    failure ??= new Deno.errors.BadResource("The connection is closed");
    wake();
  });
  const read = async (target: Uint8Array): Promise<number | null> => {
    for (;;) {
      const count = Math.min(socket.readableLength, target.length);
      const bytes: Uint8Array | null = count > 0 ? socket.read(count) : null;
      if (bytes !== null) {
        target.set(bytes);
        return bytes.length;
      }
      if (ended) return null;
      if (failure !== undefined) throw failure;
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      // A read of 0 bytes makes the socket receive.
      socket.read(0);
      await promise;
    }
  };
  const write = (source: Uint8Array): Promise<number> => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    // The caller uses its buffer again as soon as this is done.
    socket.write(
      source,
      (error) => error ? reject(error) : resolve(source.length),
    );
    return promise;
  };
  return {
    remoteAddr: remoteAddress === undefined
      ? { transport: "unix", path: "" }
      : { transport: "tcp", hostname: remoteAddress, port: remotePort ?? 0 },
    read,
    write,
    close: () => void socket.destroy(),
    setNoDelay: (noDelay?: boolean) => void socket.setNoDelay(noDelay),
    setKeepAlive: (keepAlive?: boolean) => void socket.setKeepAlive(keepAlive),
  } as Deno.TcpConn;
}
