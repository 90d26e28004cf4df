/**
 * The control socket of a served pool.
 *
 * @module
 */

import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, VirstorError } from "../../errors.ts";
import { Pace } from "../../nbd/server/export/mod.ts";
import {
  type ControlCall,
  type ControlCalls,
  type ControlHandlers,
  type ControlMessage,
  isControlCall,
  parseControlRequest,
  receiveMessage,
  sendAnswer,
} from "../control/mod.ts";
import { log } from "../terminal/mod.ts";
import { listenOnPath } from "../listen/mod.ts";

/** How long a request may take to come, milliseconds. */
const REQUEST_TIMEOUT = 10_000;
/** How long answers may take on their way, milliseconds. */
const ANSWER_TIMEOUT = 1000;
/** How long to wait after a failed accept, milliseconds. */
const ACCEPT_RETRY_MS = 100;

/** A control socket that listens. */
export class ControlServer {
  readonly #handlers: ControlHandlers;
  readonly #onBug: (error: unknown) => void;
  readonly #failedAccepts = new Pace();
  /** What was asked and is not answered yet. */
  readonly #underWay = new Set<Promise<void>>();
  #listener: Deno.Listener | undefined;
  #accepting: Promise<void> = Promise.resolve();
  #isRetired = false;

  /**
   * Prepares a control socket.
   *
   * @param handlers What carries the calls out. What they throw as
   *   {@linkcode VirstorError} is the answer; anything else is reported as
   *   `failed` and given to `onBug`.
   * @param onBug Told of anything else that a handler throws.
   */
  constructor(handlers: ControlHandlers, onBug: (error: unknown) => void) {
    this.#handlers = handlers;
    this.#onBug = onBug;
  }

  /**
   * Listens. A socket without a listener is replaced. Socket and
   * directory are made for their owner alone.
   *
   * Requires: the caller holds the locks of the pool's components.
   *
   * @param path The socket.
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
    this.#listener = await listenOnPath(path, rights, "control socket ");
    this.#accepting = this.#accept(this.#listener);
  }

  /**
   * Takes the socket away, at once. What was asked already is still answered.
   */
  retire(): void {
    this.#isRetired = true;
    this.#listener?.close();
  }

  /**
   * Waits, after {@linkcode retire}, until everything is answered, but not
   * long: somebody may have connected and asked nothing.
   */
  async answered(): Promise<void> {
    const limit = Promise.withResolvers<void>();
    const timer = setTimeout(limit.resolve, ANSWER_TIMEOUT);
    const all = Promise.all([this.#accepting, ...this.#underWay]);
    await Promise.race([all, limit.promise]);
    clearTimeout(timer);
  }

  async #accept(listener: Deno.Listener): Promise<void> {
    while (!this.#isRetired) {
      try {
        const answering = this.#answer(await listener.accept());
        this.#underWay.add(answering);
        void answering.finally(() => this.#underWay.delete(answering));
      } catch (error) {
        if (this.#isRetired) return;
        // Out of descriptors, mostly: others come when there are some again.
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
      const answer = await this.#answerTo(asked);
      if (answer !== undefined) await sendAnswer(connection, answer);
    } catch {
      // The client has left, or has asked nothing for too long.
    } finally {
      closeQuietly(connection);
    }
  }

  /**
   * @returns JSON; nothing if nothing was asked.
   * @throws If the connection broke.
   */
  async #answerTo(
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
    try {
      return JSON.stringify({ answer: await this.#carryOut(message) });
    } catch (error) {
      if (!(error instanceof VirstorError)) this.#onBug(error);
      return refusal(error);
    }
  }

  async #carryOut({ call, text }: ControlMessage): Promise<unknown> {
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
    // It was closed for having asked nothing.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
