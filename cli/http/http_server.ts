/**
 * A small HTTP server with fixed limits, for pages that are read now and then.
 * It answers one request a connection. The runtime's own HTTP server has no
 * limit of connections, and takes no listener that was opened before.
 *
 * @module
 */

import { Slice, turns } from "../../device/block/mod.ts";
import { messageOf } from "../../errors.ts";
import { Pace } from "../../nbd/server/export/mod.ts";
import { closeQuietly, writeAll } from "../../nbd/server/stream/mod.ts";
import { log } from "../terminal/mod.ts";
import { receiveHead, type RequestHead } from "./request_head.ts";

/** The most connections at once. */
const CONNECTIONS_MAX = 16;
/**
 * How long a connection may last, milliseconds: Prometheus gives up after as
 * long by default.
 */
const CONNECTION_MS = 10_000;
/** The pause after a failed accept, milliseconds. */
const ACCEPT_RETRY_MS = 100;

/** The status codes that the server answers, with their names. */
const STATUS_NAMES = {
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
} as const;

/** A page. */
export interface Page {
  /** The type of the content. */
  readonly type: string;
  /** The content. */
  readonly body: Uint8Array;
}

/** What the server does with a request. */
export interface HttpServerOptions {
  /** The functions that make the pages, by path. */
  readonly pages: ReadonlyMap<string, () => Promise<Page>>;
  /**
   * Called with what a page's function has thrown. The client gets status 500.
   *
   * @param error The thrown value.
   */
  onBug(error: unknown): void;
}

/** A server of a few pages. */
export class HttpServer {
  readonly #listener: Deno.Listener;
  readonly #options: HttpServerOptions;
  /** The open connections, the oldest first. */
  readonly #connections = new Set<Deno.Conn>();
  readonly #failedAccepts = new Pace();
  #isClosed = false;

  /**
   * Starts to serve.
   *
   * @param listener An open listener; the server closes it.
   * @param options The pages.
   */
  constructor(listener: Deno.Listener, options: HttpServerOptions) {
    this.#listener = listener;
    this.#options = options;
    void this.#accept();
  }

  /** Closes the listener and all connections. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeQuietly(this.#listener);
    for (const connection of this.#connections) closeQuietly(connection);
  }

  /** Never rejects. */
  async #accept(): Promise<void> {
    const slice = new Slice(1);
    while (!this.#isClosed) {
      try {
        const connection = await this.#listener.accept();
        if (this.#isClosed) return closeQuietly(connection);
        void this.#serve(connection);
      } catch (error) {
        if (this.#isClosed) return;
        // Mostly the process is out of descriptors, which passes.
        const message = this.#failedAccepts.tell(
          `Cannot accept a client of the metrics: ${messageOf(error)}`,
        );
        if (message !== undefined) log("accept-failed", message);
        await new Promise((done) => setTimeout(done, ACCEPT_RETRY_MS));
      }
      if (slice.spend(1)) {
        await turns.next(this);
        slice.begin();
      }
    }
  }

  /** Never rejects. */
  async #serve(connection: Deno.Conn): Promise<void> {
    const [oldest] = this.#connections;
    if (oldest !== undefined && this.#connections.size >= CONNECTIONS_MAX) {
      this.#end(oldest);
    }
    this.#connections.add(connection);
    const timer = setTimeout(() => this.#end(connection), CONNECTION_MS);
    try {
      const head = await receiveHead(connection);
      if (head === undefined) return;
      const reply = typeof head === "number"
        ? refusal(head, true)
        : await this.#replyTo(head);
      await writeAll(connection, reply);
    } catch {
      // The client has left, or its time is over.
    } finally {
      clearTimeout(timer);
      this.#end(connection);
    }
  }

  #end(connection: Deno.Conn): void {
    this.#connections.delete(connection);
    closeQuietly(connection);
  }

  async #replyTo({ method, path }: RequestHead): Promise<Uint8Array> {
    const hasBody = method !== "HEAD";
    if (method !== "GET" && method !== "HEAD") return refusal(405, true);
    const makePage = this.#options.pages.get(path);
    if (makePage === undefined) return refusal(404, hasBody);
    try {
      return replyOf(200, await makePage(), hasBody);
    } catch (error) {
      this.#options.onBug(error);
      return refusal(500, hasBody);
    }
  }
}

function refusal(
  status: keyof typeof STATUS_NAMES,
  hasBody: boolean,
): Uint8Array {
  const text = `${status} ${STATUS_NAMES[status]}\n`;
  const body = new TextEncoder().encode(text);
  return replyOf(status, { type: "text/plain; charset=utf-8", body }, hasBody);
}

function replyOf(
  status: keyof typeof STATUS_NAMES,
  { type, body }: Page,
  hasBody: boolean,
): Uint8Array {
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_NAMES[status]}`,
    `date: ${new Date().toUTCString()}`,
    `content-type: ${type}`,
    `content-length: ${body.length}`,
    ...status === 405 ? ["allow: GET, HEAD"] : [],
    "connection: close",
  ];
  const head = new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
  const reply = new Uint8Array(head.length + (hasBody ? body.length : 0));
  reply.set(head);
  if (hasBody) reply.set(body, head.length);
  return reply;
}
