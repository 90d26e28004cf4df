/**
 * The control socket of a served pool.
 *
 * @module
 */

import { createServer, type IncomingMessage } from "node:http";
import { chmod, mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, VirstorError } from "../errors.ts";
import {
  type ControlCall,
  type ControlCalls,
  type ControlHandlers,
  isControlCall,
  parseControlRequest,
} from "./control_protocol.ts";

/** The longest request, bytes: paths of some thousand components. */
const REQUEST_MAX = 4 * 1024 * 1024;

/** How long answers may take on their way, milliseconds. */
const ANSWER_TIMEOUT = 1000;

/** A control socket that listens. */
export class ControlServer {
  readonly #server = createServer();
  readonly #handlers: ControlHandlers;
  readonly #closed = Promise.withResolvers<void>();

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
    this.#server.on("request", async (request, response) => {
      let answer: string;
      try {
        answer = JSON.stringify({ answer: await this.#carryOut(request) });
      } catch (error) {
        const code = error instanceof VirstorError ? error.code : "failed";
        if (!(error instanceof VirstorError)) onBug(error);
        answer = JSON.stringify({ error: { code, message: messageOf(error) } });
      }
      response.setHeader("content-type", "application/json");
      response.setHeader("connection", "close");
      response.end(answer);
    });
  }

  /**
   * Listens. A socket that is there already is replaced: whoever calls this
   * holds the locks of the pool's components and has seen that nobody answers
   * there. The directory is made for its owner alone.
   *
   * @param path The socket.
   * @throws {VirstorError} `io` if it cannot listen.
   */
  async listen(path: string): Promise<void> {
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await rm(path, { force: true });
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.#server.once("error", reject);
      this.#server.listen(path, resolve);
      await promise;
      await chmod(path, 0o600);
    } catch (error) {
      throw new VirstorError(
        "io",
        `Cannot listen on control socket "${path}": ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  /**
   * Takes the socket away, at once. What was asked already is still answered.
   */
  retire(): void {
    this.#server.close(() => this.#closed.resolve());
  }

  /**
   * Waits, after {@linkcode retire}, until everything is answered, but not
   * long: somebody may have connected and asked nothing.
   */
  async answered(): Promise<void> {
    const timer = setTimeout(() => this.#closed.resolve(), ANSWER_TIMEOUT);
    await this.#closed.promise;
    clearTimeout(timer);
  }

  async #carryOut(request: IncomingMessage): Promise<unknown> {
    const text = await readBody(request);
    const call = (request.url ?? "").slice(1);
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

async function readBody(request: IncomingMessage): Promise<string> {
  let text = "";
  request.setEncoding("utf8");
  for await (const chunk of request) {
    text += chunk;
    if (text.length > REQUEST_MAX) {
      throw new VirstorError("invalid", "The request is too long");
    }
  }
  return text;
}
