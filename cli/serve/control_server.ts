/**
 * The control socket of a served pool.
 *
 * @module
 */

import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, VirstorError } from "../../errors.ts";
import { Pace } from "../../nbd/server/export/mod.ts";
import { isControlCall, parseControlRequest } from "../calls/mod.ts";
import {
  type ControlCall,
  type ControlCalls,
  type ControlHandlers,
  type ControlMessage,
  receiveMessage,
  sendAnswer,
} from "../control/mod.ts";
import { log } from "../terminal/mod.ts";
import { listenOnPath } from "../../nbd/listen/mod.ts";
import type { EventHistory } from "./event_history.ts";
import { EventStreams } from "./event_stream.ts";

/** The time limit for receiving a request, milliseconds. */
const REQUEST_TIMEOUT = 10_000;
/** The time limit for sending answers at the end, milliseconds. */
const ANSWER_TIMEOUT = 1000;
/** The pause after a failed accept, milliseconds. */
const ACCEPT_RETRY_MS = 100;

/** The control socket of one pool. */
export class ControlServer {
  readonly #handlers: ControlHandlers;
  readonly #onBug: (error: unknown) => void;
  readonly #failedAccepts = new Pace();
  /** Calls in flight. */
  readonly #inFlight = new Set<Promise<void>>();
  readonly #events: EventStreams | undefined;
  /** Those that are open, by their path. */
  readonly #listeners = new Map<string, Deno.Listener>();
  /** One for each listener that there was. */
  readonly #accepting: Promise<void>[] = [];
  #isRetired = false;

  /**
   * Prepares a control socket.
   *
   * @param handlers The functions that carry the calls out. A
   *   {@linkcode VirstorError} that they throw becomes the answer; any other
   *   error is answered as `failed`, and passed to `onBug`.
   * @param onBug Called with errors that are bugs.
   * @param events The events of the pool, for the call `events`.
   */
  constructor(
    handlers: ControlHandlers,
    onBug: (error: unknown) => void,
    events?: EventHistory,
  ) {
    this.#handlers = handlers;
    this.#onBug = onBug;
    if (events !== undefined) this.#events = new EventStreams(events);
  }

  /**
   * Listens, also on several paths. Replaces a socket without a listener. Only
   * the owner may use the socket and its directory.
   *
   * Requires: the caller holds the locks of the pool's components.
   *
   * @param path The path of the socket.
   * @throws {VirstorError} `busy` if another server listens there, `exists`,
   *   `invalid`, `io` if it cannot listen.
   */
  async listen(path: string): Promise<void> {
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    } catch (error) {
      throw new VirstorError(
        "io",
        `Cannot listen on control socket "${path}": ${messageOf(error)}`,
        { cause: error },
      );
    }
    const rights = { socketMode: 0o600 };
    const listener = await listenOnPath(path, rights, "control socket ");
    if (this.#isRetired) {
      listener.close();
      throw new VirstorError("shutdown", "The control socket is closed");
    }
    this.#listeners.set(path, listener);
    this.#accepting.push(this.#accept(path, listener));
  }

  /**
   * Moves to another path. Listens on both while an action runs.
   *
   * @param paths The path so far, and the path from now on.
   * @param action The action; it calls its argument to open the second socket.
   *   If it throws, the first one stays.
   * @throws As the action and {@linkcode listen}.
   */
  async move(
    [from = "", to = ""]: readonly string[],
    action: (listen: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    let isListening = false;
    try {
      await action(async () => {
        await this.listen(to);
        isListening = true;
      });
    } catch (error) {
      if (isListening) this.#leave(to);
      throw error;
    }
    this.#leave(from);
  }

  /** Removes one socket at once. Calls in flight are still answered. */
  #leave(path: string): void {
    const listener = this.#listeners.get(path);
    this.#listeners.delete(path);
    listener?.close();
  }

  /**
   * Removes all sockets at once. Calls in flight are still answered.
   */
  retire(): void {
    this.#isRetired = true;
    for (const path of [...this.#listeners.keys()]) this.#leave(path);
  }

  /**
   * Waits until all calls are answered, for a second at most: a client may have
   * connected without sending a call.
   *
   * Requires: {@linkcode retire} was called.
   */
  async answered(): Promise<void> {
    const limit = Promise.withResolvers<void>();
    const timer = setTimeout(limit.resolve, ANSWER_TIMEOUT);
    const all = Promise.all([...this.#accepting, ...this.#inFlight]);
    await Promise.race([all, limit.promise]);
    clearTimeout(timer);
  }

  async #accept(path: string, listener: Deno.Listener): Promise<void> {
    const isOpen = () => this.#listeners.get(path) === listener;
    while (isOpen()) {
      try {
        const answering = this.#answer(await listener.accept());
        this.#inFlight.add(answering);
        void answering.finally(() => this.#inFlight.delete(answering));
      } catch (error) {
        if (!isOpen()) return;
        // Mostly the process is out of descriptors, which passes.
        const message = this.#failedAccepts.tell(
          `Cannot accept a command: ${messageOf(error)}`,
        );
        if (message !== undefined) {
          log("accept-failed", message, { level: "error" });
        }
        await new Promise((done) => setTimeout(done, ACCEPT_RETRY_MS));
      }
    }
  }

  /** Never rejects. */
  async #answer(connection: Deno.Conn): Promise<void> {
    const timer = setTimeout(() => closeQuietly(connection), REQUEST_TIMEOUT);
    try {
      const asked = receiveMessage(connection).finally(() =>
        clearTimeout(timer)
      );
      const answer = await this.#answerTo(connection, asked);
      if (answer !== undefined) await sendAnswer(connection, answer);
    } catch {
      // The client has left, or has not sent its call in time.
    } finally {
      closeQuietly(connection);
    }
  }

  /**
   * @returns The answer, JSON; `undefined` if the client sent no call, or got a
   *   stream.
   * @throws If the connection broke.
   */
  async #answerTo(
    connection: Deno.Conn,
    asked: Promise<ControlMessage | undefined>,
  ): Promise<string | undefined> {
    let message: ControlMessage | undefined;
    try {
      message = await asked;
    } catch (error) {
      if (error instanceof VirstorError) return refusal(error);
      throw error;
    }
    if (message === undefined) return undefined;
    if (message.call === "events" && this.#events !== undefined) {
      return await this.#stream(this.#events, connection, message.text);
    }
    try {
      const { call, text } = message;
      return JSON.stringify({ answer: await this.answer(call, text) });
    } catch (error) {
      if (!(error instanceof VirstorError)) this.#onBug(error);
      return refusal(error);
    }
  }

  /** Returns the refusal, if there is one. */
  async #stream(
    events: EventStreams,
    connection: Deno.Conn,
    text: string,
  ): Promise<string | undefined> {
    try {
      await events.send(connection, text);
      return undefined;
    } catch (error) {
      if (error instanceof VirstorError) return refusal(error);
      throw error;
    }
  }

  /**
   * Carries out a call that has come another way.
   *
   * @param call The name of the call.
   * @param text Its request, JSON.
   * @returns The answer, which JSON can hold.
   * @throws {VirstorError} `unsupported` if there is no such call; as the call.
   */
  async answer(call: string, text: string): Promise<unknown> {
    if (!isControlCall(call)) {
      throw new VirstorError(
        "unsupported",
        `The server knows no command "${call}"; is it of another version?`,
      );
    }
    return await answerCall(this.#handlers, call, text);
  }
}

function answerCall<Call extends ControlCall>(
  handlers: ControlHandlers,
  call: Call,
  text: string,
): Promise<ControlCalls[Call]["answer"]> {
  return handlers[call](parseControlRequest(call, text));
}

function refusal(error: unknown): string {
  const code = error instanceof VirstorError ? error.code : "failed";
  return JSON.stringify({ error: { code, message: messageOf(error) } });
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch (error) {
    // The timer closed the connection, since no call came.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
