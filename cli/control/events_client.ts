/**
 * The client of the events of a served pool.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { controlSocketPath } from "../state/mod.ts";
import { shortSocketPath } from "./short_socket.ts";
import {
  answerWithin,
  callError,
  connect,
  isNotServed,
  readAnswer,
  STATUS_TIMEOUT_MS,
} from "./control_client.ts";
import { receiveLines, sendRequest } from "./control_wire.ts";
import {
  type EventRecord,
  EVENTS_END,
  type EventsRequest,
} from "./event_record.ts";

/**
 * Reads the events of a pool from the process that serves it.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @param request Which events.
 * @param timeoutMs Milliseconds after which a silent server is given up; with
 *   `follow` that holds for its first answer only.
 * @returns The events, as they come, until the server has no more; `undefined`
 *   if the pool is not served. Reading them throws `io` if the server ends
 *   before it has sent all of them.
 * @throws {VirstorError} `io` if the server cannot be asked.
 */
export async function followServer(
  stateDirectory: string,
  name: string,
  request: EventsRequest,
  timeoutMs: number = STATUS_TIMEOUT_MS,
): Promise<AsyncIterable<EventRecord> | undefined> {
  const path = controlSocketPath(stateDirectory, name);
  using short = await shortSocketPath(path);
  try {
    const connection = await connect(short.path);
    return readEvents(connection, { name, path, timeoutMs }, request);
  } catch (error) {
    if (isNotServed(error)) return undefined;
    throw callError(name, path, error);
  }
}

/** The server that sends the events. */
interface EventsServer {
  /** The name of the pool. */
  readonly name: string;
  /** The path of the control socket. */
  readonly path: string;
  /** Milliseconds after which a silent server is given up. */
  readonly timeoutMs: number;
}

async function* readEvents(
  connection: Deno.Conn,
  { name, path, timeoutMs }: EventsServer,
  request: EventsRequest,
): AsyncGenerator<EventRecord, void> {
  using _ = connection;
  let isLimited = true;
  const limited = {
    read: async (bytes: Uint8Array) => {
      const read = connection.read(bytes);
      if (!isLimited) return await read;
      // Events to come may be hours away.
      isLimited = !request.follow;
      return await answerWithin(timeoutMs, connection, read);
    },
  };
  try {
    await sendRequest(connection, "events", JSON.stringify(request));
    for await (const line of receiveLines(limited)) {
      if (line === EVENTS_END) return;
      // The same program made the line, so no check is due.
      const event: EventRecord & { error?: unknown } = JSON.parse(line);
      if (event.error !== undefined) readAnswer(line, name);
      yield event;
    }
  } catch (error) {
    if (error instanceof VirstorError) throw error;
    throw callError(name, path, error);
  }
  throw new VirstorError(
    "io",
    `Cannot read on: the server of pool "${name}" has ended before it sent ` +
      "all events",
  );
}
