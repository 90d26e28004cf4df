/**
 * Exports, and what a server counts and logs.
 *
 * @module
 */

export { isExpected, peerOf } from "./connection.ts";
export { createCounters } from "./counters.ts";
export type { NbdCounters } from "./counters.ts";
export {
  assertExport,
  contextsOf,
  findExport,
  propertiesOf,
} from "./export.ts";
export type { ExportProperties, NbdExport } from "./export.ts";
export { ExportTimes } from "./export_times.ts";
export { Pace } from "./pace.ts";
export {
  Batch,
  BATCH_BOUNDS,
  RequestTimes,
  TIMED_COMMANDS,
  TIMES_NUMBERS,
} from "./request_times.ts";
export { ServerLog } from "./server_log.ts";
export type { LoggedClient, NbdEvent } from "./server_log.ts";
export { quotedName, soughtText } from "./sought_export.ts";
