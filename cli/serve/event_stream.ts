/**
 * Sends the events of a pool to clients of its control socket.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { eventsRequestOf, parseFields } from "../calls/mod.ts";
import { EVENTS_END, sendLines, sendStreamHead } from "../control/mod.ts";
import type { EventHistory, EventReader } from "./event_history.ts";

/**
 * The most streams of a pool at once. A stuck client holds some 30 KiB.
 */
const STREAMS_MAX = 64;

/** The streams of the events of one pool. */
export class EventStreams {
  readonly #history: EventHistory;
  #count = 0;

  /**
   * Starts without streams.
   *
   * @param history The events of the pool.
   */
  constructor(history: EventHistory) {
    this.#history = history;
  }

  /**
   * Sends events until there are no more, or the client leaves. A slow client
   * holds up its own stream only.
   *
   * @param connection The connection; the request was read.
   * @param text The request, JSON.
   * @throws {VirstorError} `invalid`, `busy`: nothing was sent.
   * @throws If the connection breaks.
   */
  async send(connection: Deno.Conn, text: string): Promise<void> {
    const request = eventsRequestOf(parseFields(text));
    if (this.#count >= STREAMS_MAX) {
      throw new VirstorError(
        "busy",
        `Cannot send events: ${STREAMS_MAX} clients read them already`,
      );
    }
    const reader = this.#history.read(request);
    this.#count++;
    try {
      await sendStreamHead(connection);
      leaveWithClient(reader, connection);
      for (let events; (events = await reader.next()) !== undefined;) {
        await sendLines(connection, events.map((one) => JSON.stringify(one)));
      }
      await sendLines(connection, [EVENTS_END]);
    } finally {
      this.#count--;
      reader.leave();
    }
  }
}

/** Ends the reading when the client closes its end: it sends nothing more. */
function leaveWithClient(reader: EventReader, connection: Deno.Conn): void {
  const read = async () => {
    try {
      const byte = new Uint8Array(1);
      while (await connection.read(byte) !== null);
    } catch {
      // The connection was closed at this end, or broke.
    }
    reader.leave();
  };
  void read();
}
