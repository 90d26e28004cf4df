/**
 * A small NBD client of the tests' own, for what other clients do not let
 * happen: to leave a write waiting while others go on.
 *
 * @module
 */

/** The commands, as in the protocol. */
const COMMANDS = { read: 0, write: 1, flush: 3 } as const;
const DEFAULT_EXPORT_OPTION = 1;
const NO_ZEROES_FLAG = 2;
const FIXED_NEWSTYLE_FLAG = 1;

/** What became of a request. */
export interface Reply {
  /** 0, or the number of an error, as Linux has them. */
  readonly error: number;
  /** What was read. */
  readonly data: Uint8Array;
}

/** Space ran out. */
export const ENOSPC = 28;
/** The server is shutting down. */
export const ESHUTDOWN = 108;

/** A connection to the default export of a server. */
export class RawClient implements AsyncDisposable {
  /** Bytes of the disk. */
  readonly size: number;
  readonly #connection: Deno.Conn;
  readonly #waiting = new Map<
    number,
    { length: number; resolve: (reply: Reply) => void }
  >();
  readonly #ended: Promise<void>;
  #last = 0;

  private constructor(connection: Deno.Conn, size: number) {
    this.#connection = connection;
    this.size = size;
    this.#ended = this.#receive();
  }

  /**
   * Connects.
   *
   * @param address Where the server listens.
   * @returns The connection, ready for requests.
   */
  static async connect(
    address: { port: number } | { path: string },
  ): Promise<RawClient> {
    const { connection, size } = await shakeHands(address);
    return new RawClient(connection, size);
  }

  /**
   * Reads.
   *
   * @param offset The first byte.
   * @param length How many.
   * @returns The reply.
   */
  read(offset: number, length: number): Promise<Reply> {
    return this.#request("read", offset, length);
  }

  /**
   * Writes.
   *
   * @param offset The first byte.
   * @param data What.
   * @returns The reply.
   */
  write(offset: number, data: Uint8Array): Promise<Reply> {
    return this.#request("write", offset, data.length, data);
  }

  /**
   * Makes durable.
   *
   * @returns The reply.
   */
  flush(): Promise<Reply> {
    return this.#request("flush", 0, 0);
  }

  /** Waits until the server has closed the connection. */
  async ended(): Promise<void> {
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#connection.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
    await this.#ended;
  }

  async #request(
    command: keyof typeof COMMANDS,
    offset: number,
    length: number,
    data: Uint8Array = new Uint8Array(0),
  ): Promise<Reply> {
    const cookie = ++this.#last;
    const { promise, resolve } = Promise.withResolvers<Reply>();
    this.#waiting.set(cookie, {
      length: command === "read" ? length : 0,
      resolve,
    });
    const request = encodeRequest(command, cookie, offset, length);
    await writeFull(this.#connection, request);
    await writeFull(this.#connection, data);
    return await promise;
  }

  async #receive(): Promise<void> {
    try {
      while (true) {
        const header = await readFull(this.#connection, 16);
        const view = new DataView(header.buffer);
        const error = view.getUint32(4);
        const request = this.#waiting.get(view.getUint32(12));
        if (request === undefined) throw new Error("A reply to nothing");
        this.#waiting.delete(view.getUint32(12));
        const data = await readFull(
          this.#connection,
          error === 0 ? request.length : 0,
        );
        request.resolve({ error, data });
      }
    } catch (error) {
      // The end of the connection, on either side.
      if (
        !(error instanceof Deno.errors.UnexpectedEof) &&
        !(error instanceof Deno.errors.BadResource) &&
        !(error instanceof Deno.errors.Interrupted) &&
        !(error instanceof Deno.errors.ConnectionReset)
      ) throw error;
    }
  }
}

/**
 * Connects to the default export of a server, and reads no further.
 *
 * @param address Where the server listens.
 * @returns The connection, and the size of the disk in bytes.
 */
export async function shakeHands(
  address: { port: number } | { path: string },
): Promise<{ connection: Deno.Conn; size: number }> {
  const connection = "path" in address
    ? await Deno.connect({ transport: "unix", path: address.path })
    : await Deno.connect({ hostname: "127.0.0.1", port: address.port });
  await readFull(connection, 18);
  const hello = new DataView(new ArrayBuffer(20));
  hello.setUint32(0, FIXED_NEWSTYLE_FLAG | NO_ZEROES_FLAG);
  hello.setBigUint64(4, 0x49484156454f5054n);
  hello.setUint32(12, DEFAULT_EXPORT_OPTION);
  await writeFull(connection, new Uint8Array(hello.buffer));
  const answer = await readFull(connection, 10);
  const size = new DataView(answer.buffer).getBigUint64(0);
  return { connection, size: Number(size) };
}

/**
 * Makes the header of a request.
 *
 * @param command Its name.
 * @param cookie Comes back with the reply.
 * @param offset The first byte.
 * @param length How many.
 * @returns 28 bytes.
 */
export function encodeRequest(
  command: keyof typeof COMMANDS,
  cookie: number,
  offset: number,
  length: number,
): Uint8Array {
  const view = new DataView(new ArrayBuffer(28));
  view.setUint32(0, 0x25609513);
  view.setUint16(6, COMMANDS[command]);
  view.setUint32(12, cookie);
  view.setBigUint64(16, BigInt(offset));
  view.setUint32(24, length);
  return new Uint8Array(view.buffer);
}

async function readFull(
  connection: Deno.Conn,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const count = await connection.read(bytes.subarray(done));
    if (count === null) {
      throw new Deno.errors.UnexpectedEof("The connection ended");
    }
    done += count;
  }
  return bytes;
}

async function writeFull(
  connection: Deno.Conn,
  bytes: Uint8Array,
): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += await connection.write(bytes.subarray(done));
  }
}
