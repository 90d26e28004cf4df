/**
 * The events of a server's connections, for a log.
 *
 * @module
 */

import {
  type ErrorCode,
  messageOf,
  type VirstorError,
} from "../../../errors.ts";
import { Pace } from "./pace.ts";

/** An event for the log. */
export interface NbdEvent {
  /**
   * - `accepted`: the server accepted a connection, which now negotiates
   * - `connected`: a client chose an export
   * - `moved`: a client now has a thread of its own
   * - `disconnected`: a client that had chosen an export disconnected
   * - `left`: a client disconnected without choosing an export, as clients do
   *   that only list exports
   * - `refused`: the server closed a connection before it used an export
   * - `accept-failed`: the server could not accept a connection, and continues;
   *   logged once a second at most
   * - `error`: the device failed a request; logged once a second at most
   */
  readonly kind:
    | "accepted"
    | "connected"
    | "moved"
    | "disconnected"
    | "left"
    | "refused"
    | "accept-failed"
    | "error";
  /** Number of the connection, from 1; 0 if the event concerns none. */
  readonly client: number;
  /** Address of the client, `ADDRESS:PORT` or `unix`; "" if there is none. */
  readonly peer: string;
  /** One line for users. */
  readonly message: string;
}

/** Codes of errors that a client, or the stopping server, causes. */
const EXPECTED_ERRORS: ReadonlySet<ErrorCode> = new Set([
  "cancelled",
  "invalid",
  "read-only",
  "shutdown",
  "unsupported",
]);

/** A connection that an event concerns. */
export interface LoggedClient {
  /** Number of the connection, from 1. */
  readonly id: number;
  /** Address of the client, `ADDRESS:PORT` or `unix`. */
  readonly peer: string;
}

/** Emits events. */
export class ServerLog {
  readonly #log: (event: NbdEvent) => void;
  readonly #errors = new Pace();
  readonly #failedAccepts = new Pace();

  /**
   * Creates a log.
   *
   * @param log Receives each event; by default events are dropped.
   */
  constructor(log: (event: NbdEvent) => void = () => {}) {
    this.#log = log;
  }

  /**
   * Emits an event of a client.
   *
   * @param kind The kind of event.
   * @param client The client.
   * @param message One line for users.
   */
  tell(kind: NbdEvent["kind"], client: LoggedClient, message: string): void {
    const { id, peer } = client;
    this.#log({ kind, client: id, peer, message });
  }

  /**
   * Emits `accept-failed`, once a second at most.
   *
   * @param error The error of the listener.
   */
  acceptFailed(error: unknown): void {
    const message = this.#failedAccepts.tell(
      `Cannot accept a connection: ${messageOf(error)}`,
    );
    if (message === undefined) return;
    this.tell("accept-failed", { id: 0, peer: "" }, message);
  }

  /**
   * Emits `error` for a request that the device failed, once a second at most.
   * The client receives an error value only; the log has the reason. Errors
   * that a client caused are not logged.
   *
   * @param client The client that sent the request.
   * @param error The error, with the request in its message.
   */
  deviceFailed(client: LoggedClient, error: VirstorError): void {
    if (EXPECTED_ERRORS.has(error.code)) return;
    const message = this.#errors.tell(error.message);
    if (message !== undefined) this.tell("error", client, message);
  }
}
