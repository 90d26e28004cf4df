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
import { receiveBody, receiveHead, type RequestHead } from "./request_head.ts";

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
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  411: "Length Required",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
} as const;

/** The status codes that the server answers. */
export type HttpStatus = keyof typeof STATUS_NAMES;

/** A page. */
export interface Page {
  /** The type of the content. */
  readonly type: string;
  /** The content. */
  readonly body: Uint8Array;
}

/** Makes a page for a request. */
export type MakePage = (head: RequestHead) => Promise<Page | undefined>;

/**
 * Carries out a request that changes something.
 *
 * @param head The request.
 * @param body Its body.
 * @returns The status and the content of the answer.
 */
export type Act = (
  head: RequestHead,
  body: string,
) => Promise<readonly [HttpStatus, Page]>;

/** What the server does with a request. */
export interface HttpServerOptions {
  /** What the pages are, for the log; for instance `metrics`. */
  readonly name: string;
  /**
   * The functions that make the pages, by path; a page that is not there is
   * undefined.
   */
  readonly pages: ReadonlyMap<string, MakePage>;
  /** The functions that carry out `POST`, by path; none by default. */
  readonly actions?: ReadonlyMap<string, Act>;
  /** Fields of every answer, for instance `x-content-type-options: nosniff`. */
  readonly fields?: readonly string[];
  /**
   * Decides whether a request is answered; every request by default.
   *
   * @param head The request.
   * @returns The status to refuse it with; undefined if it may be answered.
   */
  readonly refusalOf?: (head: RequestHead) => HttpStatus | undefined;
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
          `Cannot accept a client of the ${this.#options.name}: ` +
            messageOf(error),
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
    let timer = setTimeout(() => this.#end(connection), CONNECTION_MS);
    try {
      const head = await receiveHead(connection);
      if (head === undefined) return;
      const reply = typeof head === "number"
        ? this.#refuse(head, true)
        : head.method === "POST"
        ? await this.#act(connection, head, () => clearTimeout(timer))
        : await this.#replyTo(head);
      if (reply === undefined) return;
      // An action has ended the time of its connection.
      clearTimeout(timer);
      timer = setTimeout(() => this.#end(connection), CONNECTION_MS);
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

  async #replyTo(head: RequestHead): Promise<Uint8Array> {
    const { method, path } = head;
    const hasBody = method !== "HEAD";
    if (method !== "GET" && method !== "HEAD") return this.#refuse(405, true);
    const refusal = this.#options.refusalOf?.(head);
    if (refusal !== undefined) return this.#refuse(refusal, hasBody);
    const makePage = this.#options.pages.get(path);
    if (makePage === undefined) return this.#refuse(404, hasBody);
    try {
      const page = await makePage(head);
      if (page === undefined) return this.#refuse(404, hasBody);
      return this.#reply(200, page, hasBody);
    } catch (error) {
      this.#options.onBug(error);
      return this.#refuse(500, hasBody);
    }
  }

  /** Carries out a request; its connection may last as long as that takes. */
  async #act(
    connection: Deno.Conn,
    head: RequestHead,
    endTime: () => void,
  ): Promise<Uint8Array | undefined> {
    const act = this.#options.actions?.get(head.path);
    if (act === undefined) return this.#refuse(405, true);
    const refusal = this.#options.refusalOf?.(head);
    if (refusal !== undefined) return this.#refuse(refusal, true);
    const body = await receiveBody(connection, head);
    if (body === undefined) return undefined;
    if (typeof body === "number") return this.#refuse(body, true);
    endTime();
    try {
      const [status, page] = await act(head, body);
      return this.#reply(status, page, true);
    } catch (error) {
      this.#options.onBug(error);
      return this.#refuse(500, true);
    }
  }

  #refuse(status: HttpStatus, hasBody: boolean): Uint8Array {
    const text = `${status} ${STATUS_NAMES[status]}\n`;
    const body = new TextEncoder().encode(text);
    const type = "text/plain; charset=utf-8";
    return this.#reply(status, { type, body }, hasBody);
  }

  #reply(status: HttpStatus, page: Page, hasBody: boolean): Uint8Array {
    return replyOf(status, page, hasBody, this.#options.fields ?? []);
  }
}

function replyOf(
  status: HttpStatus,
  { type, body }: Page,
  hasBody: boolean,
  fields: readonly string[],
): Uint8Array {
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_NAMES[status]}`,
    `date: ${new Date().toUTCString()}`,
    `content-type: ${type}`,
    `content-length: ${body.length}`,
    ...status === 405 ? ["allow: GET, HEAD"] : [],
    ...status === 401 ? ["www-authenticate: Bearer"] : [],
    ...fields,
    "connection: close",
  ];
  const head = new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
  const reply = new Uint8Array(head.length + (hasBody ? body.length : 0));
  reply.set(head);
  if (hasBody) reply.set(body, head.length);
  return reply;
}
