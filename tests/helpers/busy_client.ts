/**
 * An NBD client with many requests in flight. Each request is a promise and
 * waits for no other.
 *
 * @module
 */

import {
  type Dialect,
  type ExportInfo,
  NBD,
  type NbdAddress,
  NbdClient,
  type RawRequest,
} from "./nbd_client.ts";

/** The error value of a request that the connection did not outlive. */
export const LOST = -1;

/** The answer to a request. */
export interface Reply {
  /** 0, the error value sent, or {@linkcode LOST}. */
  readonly errno: number;
  /** What was read; empty for anything else, and after an error. */
  readonly payload: Uint8Array;
}

const LOST_REPLY: Reply = { errno: LOST, payload: new Uint8Array(0) };

/** A connection to an NBD server. No request ever rejects. */
export class BusyClient implements Disposable {
  /** Bytes of the export. */
  readonly size: number;
  /** The transmission flags of the export. */
  readonly flags: number;
  readonly #client: NbdClient;
  readonly #pending = new Map<bigint, (reply: Reply) => void>();
  readonly #receiving: Promise<void>;
  #sending: Promise<unknown> = Promise.resolve();
  #cookie = 0n;
  #lost = false;

  private constructor(client: NbdClient, info: ExportInfo) {
    this.#client = client;
    this.size = Number(info.size);
    this.flags = info.flags;
    this.#receiving = this.#receive();
  }

  /**
   * Connects and uses an export.
   *
   * @param address Where the server listens.
   * @param name The export; the default one if left out.
   * @param dialect How to talk.
   * @returns The client, ready for requests.
   */
  static async open(
    address: NbdAddress,
    name = "",
    dialect: Dialect = "simple",
  ): Promise<BusyClient> {
    const client = await NbdClient.connect(address);
    await client.greet();
    await client.speak(dialect);
    return new BusyClient(client, await client.go(name));
  }

  /** How many requests have no answer yet. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /**
   * Reads.
   *
   * @param offset The first byte.
   * @param length How many.
   * @returns The answer.
   */
  read(offset: number, length: number): Promise<Reply> {
    return this.#request({ command: NBD.CMD_READ, offset, length });
  }

  /**
   * Writes.
   *
   * @param offset The first byte.
   * @param payload What to write.
   * @param flags Command flags.
   * @returns The answer.
   */
  write(offset: number, payload: Uint8Array, flags = 0): Promise<Reply> {
    return this.#request({ command: NBD.CMD_WRITE, offset, payload, flags });
  }

  /**
   * Writes zeroes.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param flags Command flags.
   * @returns The answer.
   */
  writeZeroes(offset: number, length: number, flags = 0): Promise<Reply> {
    const command = NBD.CMD_WRITE_ZEROES;
    return this.#request({ command, offset, length, flags });
  }

  /**
   * Gives space back.
   *
   * @param offset The first byte.
   * @param length How many.
   * @returns The answer.
   */
  trim(offset: number, length: number): Promise<Reply> {
    return this.#request({ command: NBD.CMD_TRIM, offset, length });
  }

  /**
   * Makes durable.
   *
   * @returns The answer.
   */
  flush(): Promise<Reply> {
    return this.#request({ command: NBD.CMD_FLUSH });
  }

  /** Says goodbye, and waits until the server has closed. */
  async disconnect(): Promise<void> {
    await this.#send({ command: NBD.CMD_DISC });
    await this.#receiving;
  }

  /** Waits until the server has closed. */
  async gone(): Promise<void> {
    await this.#receiving;
  }

  /** Leaves without a word. */
  [Symbol.dispose](): void {
    this.#client.close();
  }

  #request(request: RawRequest): Promise<Reply> {
    if (this.#lost) return Promise.resolve(LOST_REPLY);
    const { promise, resolve } = Promise.withResolvers<Reply>();
    const cookie = ++this.#cookie;
    this.#pending.set(cookie, resolve);
    void this.#send({ ...request, cookie });
    return promise;
  }

  #send(request: RawRequest): Promise<unknown> {
    this.#sending = this.#sending
      .then(() => this.#client.send(request))
      // The receiving side finds out too, and answers what is pending.
      .catch(() => {});
    return this.#sending;
  }

  async #receive(): Promise<void> {
    try {
      for (;;) {
        const { errno, cookie, payload } = await this.#client.receive();
        const resolve = this.#pending.get(cookie);
        if (resolve === undefined) throw new Error(`No request ${cookie}`);
        this.#pending.delete(cookie);
        resolve({ errno, payload });
      }
    } catch (error) {
      if (!isEnd(error)) throw error;
    } finally {
      this.#lost = true;
      this.#client.close();
      for (const resolve of this.#pending.values()) resolve(LOST_REPLY);
      this.#pending.clear();
    }
  }
}

/** Whether the connection ended, on whichever side. */
function isEnd(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.Interrupted ||
    (error instanceof Error && error.message.startsWith("Connection ended"));
}
