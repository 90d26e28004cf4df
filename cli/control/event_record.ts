/**
 * The events of a served pool as data, and the request for them. The answer is
 * a stream: a JSON object a line, until the server has no more.
 *
 * @module
 */

import type { LogLevel } from "../terminal/mod.ts";

/** An event of a served pool. Further fields are the figures of its kind. */
export interface EventRecord {
  /** When it happened, ISO 8601 with milliseconds. */
  readonly time: string;
  /** Events of the pool are numbered from 1 since the server opened it. */
  readonly number: number;
  /** How urgent it is. */
  readonly level: LogLevel;
  /** The kind of event; `missed` in place of events that were dropped. */
  readonly kind: string;
  /** The name of the pool. */
  readonly pool: string;
  /** The paths of the components that it concerns. */
  readonly components: readonly string[];
  /** One line to show to users. */
  readonly message: string;
  /** The figures of its kind. */
  readonly [figure: string]: unknown;
}

/** The request for events. */
export interface EventsRequest {
  /** How many events of before are wanted at most. */
  readonly last: number;
  /** Whether to go on with the events to come. */
  readonly follow: boolean;
}

/** The last line of the stream of a server that has sent everything. */
export const EVENTS_END = "{}";
