/**
 * The client of a control socket: sends calls to the process that serves a
 * pool.
 *
 * @module
 */

import { type ErrorCode, messageOf, VirstorError } from "../../errors.ts";
import type { ControlCall, ControlCalls } from "./control_protocol.ts";
import { EXIT_CODES, printWarnings } from "../terminal/mod.ts";
import { receiveAnswer, sendRequest } from "./control_wire.ts";
import { shortSocketPath } from "./short_socket.ts";
import { controlSocketPath, parentPath } from "../state/mod.ts";

/** The time limit of a `status` call, milliseconds; others have none. */
export const STATUS_TIMEOUT_MS = 10_000;
/**
 * Another call may take long. After so many milliseconds without its answer,
 * and again and again, the server is asked for its status, within the same time.
 */
const SILENCE_MS = 5000;

/**
 * How often a call is sent, if the server closes the connection before it has
 * read the call: it stops, or another one takes its place.
 */
const ATTEMPTS = 3;

/** Calls that change nothing. */
const READING: ReadonlySet<ControlCall> = new Set([
  "status",
  "check",
  "planRemove",
  "listVolumes",
  "planRemoveSnapshots",
  "diff",
]);

/** Where to look when a server is silent. */
const SUSPENDED = "look whether its process is suspended, or waits for a disk";

/** The limits of a call. */
export interface CallLimits {
  /** Milliseconds for the answer to `status`. */
  readonly statusMs: number;
  /** Milliseconds after which the server is asked whether it answers at all. */
  readonly silenceMs: number;
  /** Writes a sentence for the user. */
  readonly warn: (text: string) => void;
}

const LIMITS: CallLimits = {
  statusMs: STATUS_TIMEOUT_MS,
  silenceMs: SILENCE_MS,
  warn: (text) => printWarnings([text]),
};

/** The answer of a served pool. */
export interface ControlAnswer<Call extends ControlCall> {
  /** The content of the answer. */
  readonly answer: ControlCalls[Call]["answer"];
}

/**
 * Sends a call to the process that serves a pool, if there is one. A call may
 * take as long as the server works on it. When the server answers nothing else
 * either, a call that only reads is given up; a call that changes something
 * waits on, and a warning says so.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @param call The name of the call.
 * @param body The call's request.
 * @param limits The limits, for tests.
 * @returns The answer, or `undefined` if the pool is not served.
 * @throws {VirstorError} The server's error, if it refused; `io` if it gave no
 *   answer.
 */
export async function callServer<Call extends ControlCall>(
  stateDirectory: string,
  name: string,
  call: Call,
  body: ControlCalls[Call]["request"],
  limits: CallLimits = LIMITS,
): Promise<ControlAnswer<Call> | undefined> {
  const path = controlSocketPath(stateDirectory, name);
  using short = await shortSocketPath(path);
  const ask = async (): Promise<string> => {
    using connection = await connect(short.path);
    const answer = post(connection, call, JSON.stringify(body));
    return call === "status"
      ? await answerWithin(limits.statusMs, connection, answer)
      : await watched(answer, {
        name,
        path: short.path,
        isChange: isChange(call, body),
        limits,
      });
  };
  let text: string | undefined;
  for (let attempt = 1; text === undefined; attempt++) {
    try {
      text = await ask();
    } catch (error) {
      if (isNotServed(error)) return undefined;
      if (isUnread(error) && attempt < ATTEMPTS) continue;
      throw callError(name, path, error, isChange(call, body));
    }
  }
  return { answer: readAnswer(text, name) };
}

/**
 * Tells whether a call changes something.
 *
 * @param call The name of the call.
 * @param request Its request.
 * @returns Whether it does; `set` without settings only shows them.
 */
export function isChange<Call extends ControlCall>(
  call: Call,
  request: ControlCalls[Call]["request"],
): boolean {
  if (call !== "set") return !READING.has(call);
  const { settings } = request as ControlCalls["set"]["request"];
  return Object.keys(settings).length > 0;
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
 * Tells whether a server has closed a connection before it has read the call.
 * A Unix socket says so: after the call was read, the connection just ends.
 */
function isUnread(error: unknown): boolean {
  return ["ECONNRESET", "EPIPE"].includes(systemCode(error));
}

/**
 * Makes the error of a call that got no answer.
 *
 * @param name The name of the pool.
 * @param path The path of its control socket.
 * @param error The error of the connection.
 * @param isChange Whether the call changes something; default false.
 * @returns The error, `io`.
 */
export function callError(
  name: string,
  path: string,
  error: unknown,
  isChange = false,
): VirstorError {
  const isRefused = ["EACCES", "EPERM"].includes(systemCode(error));
  const hasEnded = error instanceof VirstorError && error.code === "io";
  const advice = isChange && hasEnded
    ? "; the change may be done, so look before you repeat the command"
    : "";
  const reason = isRefused ? foreignReason(path) : messageOf(error) + advice;
  return new VirstorError(
    "io",
    `Cannot ask the server of pool "${name}" on control socket "${path}": ` +
      reason,
    { cause: error },
  );
}

/**
 * Connects to a control socket.
 *
 * @param path The path, short enough.
 * @returns The connection.
 * @throws {Error} What the system said.
 */
export async function connect(path: string): Promise<Deno.Conn> {
  try {
    return await Deno.connect({ transport: "unix", path });
  } catch (error) {
    if (systemCode(error) !== "EAGAIN") throw error;
    throw new Error(
      `Too many commands wait for the server already; ${SUSPENDED}`,
      { cause: error },
    );
  }
}

async function post(
  connection: Deno.Conn,
  call: string,
  body: string,
): Promise<string> {
  await sendRequest(connection, call, body);
  return await receiveAnswer(connection);
}

/**
 * Waits for what comes over a connection, and closes the connection at the
 * limit. A signal keeps it: the runtime takes a tenth of the time of a whole
 * command to load `setTimeout`.
 *
 * @param timeoutMs The limit, milliseconds.
 * @param connection The connection.
 * @param answer What comes; it rejects when the connection is closed.
 * @returns What has come.
 * @throws {Error} If nothing has come in time; as `answer`.
 */
export async function answerWithin<T>(
  timeoutMs: number,
  connection: Disposable,
  answer: Promise<T>,
): Promise<T> {
  const limit = AbortSignal.timeout(timeoutMs);
  const close = () => connection[Symbol.dispose]();
  limit.addEventListener("abort", close);
  try {
    return await answer;
  } catch (error) {
    if (!limit.aborted) throw error;
    throw new Error(`No answer in ${timeoutMs / 1000} s; ${SUSPENDED}`);
  } finally {
    limit.removeEventListener("abort", close);
  }
}

/** A call that may take long. */
interface WatchedCall {
  /** The name of the pool. */
  readonly name: string;
  /** The control socket. */
  readonly path: string;
  /** Whether the call changes something. */
  readonly isChange: boolean;
  readonly limits: CallLimits;
}

/** Waits for the answer of a call, and now and then looks at the server. */
async function watched(
  answer: Promise<string>,
  { name, path, isChange, limits }: WatchedCall,
): Promise<string> {
  const { silenceMs, statusMs, warn } = limits;
  const limit = isChange ? silenceMs : statusMs;
  for (;;) {
    const early = await settledWithin(silenceMs, answer);
    if (early !== undefined) return await answer;
    try {
      using connection = await connect(path);
      const status = post(connection, "status", "null");
      // The answer of the call ends the look at the server.
      await Promise.race([answer, answerWithin(limit, connection, status)]);
    } catch (error) {
      // The server that stops has closed its socket, and still answers.
      if (isNotServed(error)) continue;
      if (await settledWithin(0, answer) !== undefined) return await answer;
      if (!isChange) {
        answer.catch(() => {});
        throw error;
      }
      warn(
        `The server of pool "${name}" has not answered for ` +
          `${(silenceMs + limit) / 1000} s, the command waits for it: ` +
          `${SUSPENDED}; if you interrupt the command, the server may still ` +
          "make the change",
      );
      return await answer;
    }
  }
}

/** Waits for a promise to settle. @returns `undefined` at the limit. */
async function settledWithin(
  timeoutMs: number,
  promise: Promise<unknown>,
): Promise<true | undefined> {
  const limit = AbortSignal.timeout(timeoutMs);
  const { promise: over, resolve } = Promise.withResolvers<undefined>();
  const end = () => resolve(undefined);
  limit.addEventListener("abort", end);
  const settled = promise.then(() => true as const, () => true as const);
  const first = await Promise.race([settled, over]);
  limit.removeEventListener("abort", end);
  return first;
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
