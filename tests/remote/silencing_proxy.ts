/**
 * A network that lets so many messages of a server pass, and holds what comes
 * after that, until it is let go.
 *
 * @module
 */

/** Bytes to receive at once; what a server sends at once counts as a message. */
const BUFFER_SIZE = 256 * 1024;

/** A proxy on a Unix socket. */
export class SilencingProxy implements AsyncDisposable {
  /** Whether a message was held. */
  hasHeld = false;
  readonly #path: string;
  readonly #upstream: string;
  readonly #listener: Deno.Listener;
  readonly #conns = new Set<Deno.Conn>();
  readonly #work: Promise<void>[] = [];
  #left = Infinity;
  #goesOn = Promise.withResolvers<void>();

  /**
   * Listens.
   *
   * @param path The Unix socket.
   * @param upstream The socket of the server.
   */
  constructor(path: string, upstream: string) {
    this.#path = path;
    this.#upstream = upstream;
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#work.push(this.#serve());
  }

  /** The URI of the export `far`. */
  get uri(): string {
    return `nbd+unix:///far?socket=${this.#path}`;
  }

  /**
   * Lets some messages pass, and no further ones.
   *
   * @param messages How many.
   */
  silenceAfter(messages: number): void {
    this.#left = messages;
  }

  /** Lets everything pass, also what was held. */
  goOn(): void {
    this.#left = Infinity;
    this.#goesOn.resolve();
    this.#goesOn = Promise.withResolvers();
  }

  /** Ends all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.goOn();
    for (const conn of this.#conns) conn.close();
    this.#conns.clear();
    await Promise.allSettled(this.#work);
  }

  async #serve(): Promise<void> {
    for await (const client of this.#listener) {
      const server = await Deno.connect({
        transport: "unix",
        path: this.#upstream,
      });
      this.#conns.add(client).add(server);
      this.#work.push(
        this.#pump(client, server, () => undefined),
        this.#pump(server, client, () => this.#hold()),
      );
    }
  }

  /** Waits while it is silent, and counts a message. */
  #hold(): Promise<void> | undefined {
    this.#left -= 1;
    if (this.#left >= 0) return undefined;
    this.hasHeld = true;
    return this.#goesOn.promise;
  }

  async #pump(
    from: Deno.Conn,
    to: Deno.Conn,
    hold: () => Promise<void> | undefined,
  ): Promise<void> {
    const buffer = new Uint8Array(BUFFER_SIZE);
    try {
      for (;;) {
        const count = await from.read(buffer);
        if (count === null) break;
        await hold();
        let rest = buffer.subarray(0, count);
        while (rest.length > 0) rest = rest.subarray(await to.write(rest));
      }
      await to.closeWrite();
    } catch {
      // A side has gone: the other one has to notice.
      for (const conn of [from, to]) if (this.#conns.delete(conn)) conn.close();
    }
  }
}
