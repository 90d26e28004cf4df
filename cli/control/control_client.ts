/**
 * The client of a control socket: sends calls to the process that serves a
 * pool.
 *
 * @module
 */

import { type ErrorCode, messageOf, VirstorError } from "../../errors.ts";
import type { ControlCall, ControlCalls } from "./control_protocol.ts";
import { EXIT_CODES } from "../terminal/mod.ts";
import { receiveAnswer, sendRequest } from "./control_wire.ts";
import { shortSocketPath } from "./short_socket.ts";
import { controlSocketPath, parentPath } from "../state/mod.ts";

/** The time limit of a `status` call, milliseconds; others have none. */
const STATUS_TIMEOUT_MS = 10_000;

/** The answer of a served pool. */
export interface ControlAnswer<Call extends ControlCall> {
  /** The content of the answer. */
  readonly answer: ControlCalls[Call]["answer"];
}

/**
 * Sends a call to the process that serves a pool, if there is one.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @param call The name of the call.
 * @param body The call's request.
 * @returns The answer, or `undefined` if the pool is not served.
 * @throws {VirstorError} The server's error, if it refused; `io` if it gave no
 *   answer.
 */
export async function callServer<Call extends ControlCall>(
  stateDirectory: string,
  name: string,
  call: Call,
  body: ControlCalls[Call]["request"],
): Promise<ControlAnswer<Call> | undefined> {
  const path = controlSocketPath(stateDirectory, name);
  using short = await shortSocketPath(path);
  let text: string;
  try {
    text = await post(
      short.path,
      call,
      JSON.stringify(body),
      call === "status" ? STATUS_TIMEOUT_MS : 0,
    );
  } catch (error) {
    if (isNotServed(error)) return undefined;
    throw callError(name, path, error);
  }
  return { answer: readAnswer(text, name) };
}

/**
 * Tells whether a call failed because no process serves the pool.
 *
 * @param error The error of the connection.
 * @returns Whether there is no socket, or a killed server left it behind.
 */
export function isNotServed(error: unknown): boolean {
  return ["ENOENT", "ECONNREFUSED"].includes(systemCode(error));
}

/**
 * Makes the error of a call that got no answer.
 *
 * @param name The name of the pool.
 * @param path The path of its control socket.
 * @param error The error of the connection.
 * @returns The error, `io`.
 */
export function callError(
  name: string,
  path: string,
  error: unknown,
): VirstorError {
  const isRefused = ["EACCES", "EPERM"].includes(systemCode(error));
  const reason = isRefused ? foreignReason(path) : messageOf(error);
  return new VirstorError(
    "io",
    `Cannot ask the server of pool "${name}" on control socket "${path}": ` +
      reason,
    { cause: error },
  );
}

/**
 * Sends one request and receives the answer. The limit of time ends a wait for
 * either by closing the connection. A signal keeps it: the runtime takes a
 * tenth of the time of a whole command to load `setTimeout`.
 */
async function post(
  socketPath: string,
  call: string,
  body: string,
  timeoutMs: number,
): Promise<string> {
  const connection = await Deno.connect({
    transport: "unix",
    path: socketPath,
  });
  const limit = timeoutMs === 0 ? undefined : AbortSignal.timeout(timeoutMs);
  const close = () => connection.close();
  limit?.addEventListener("abort", close);
  try {
    await sendRequest(connection, call, body);
    return await receiveAnswer(connection);
  } catch (error) {
    if (limit?.aborted !== true) throw error;
    throw new Error(`No answer in ${timeoutMs / 1000} s`);
  } finally {
    limit?.removeEventListener("abort", close);
    if (limit?.aborted !== true) connection.close();
  }
}

function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Why the system does not let this user connect to the server. */
function foreignReason(socketPath: string): string {
  // If this user may not look into the directory, its owner is the server's.
  const owner = ownerOf(socketPath) ?? ownerOf(parentPath(socketPath));
  const whose = owner === undefined ? "" : `, it belongs to user ${owner}`;
  return `permission denied${whose}; run the command as the user of ` +
    "the server";
}

function ownerOf(path: string): number | undefined {
  try {
    return Deno.lstatSync(path).uid ?? undefined;
  } catch {
    return undefined;
  }
}

/**
 * Decodes an answer. The same program made its content, so no check is due.
 *
 * @param text The answer, JSON.
 * @param name The name of the pool.
 * @returns The content of the answer.
 * @throws {VirstorError} The server's error, if it refused; `io` if the answer
 *   is no JSON.
 */
export function readAnswer<Answer>(text: string, name: string): Answer {
  let message: { answer?: Answer; error?: { code: string; message: string } };
  try {
    message = JSON.parse(text);
  } catch (error) {
    throw new VirstorError(
      "io",
      `Cannot read the answer of the server of pool "${name}": it is no ` +
        "JSON; is the server of another version?",
      { cause: error },
    );
  }
  if (message.error !== undefined) {
    const { code, message: reason } = message.error;
    throw new VirstorError(isErrorCode(code) ? code : "io", reason);
  }
  return message.answer as Answer;
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(EXIT_CODES, code);
}
