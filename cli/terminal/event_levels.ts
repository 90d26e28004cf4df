/**
 * Every event that virstor writes to standard error, with its level. A test
 * compares the table of `docs/operations.md` with this one.
 *
 * @module
 */

import type { NbdEvent } from "../../nbd/server/export/mod.ts";
import type { PoolEvent } from "../../pool/core/mod.ts";

/** The levels of log lines; each level includes those before it. */
export const LOG_LEVELS = ["error", "warning", "info", "debug"] as const;

/** The level of a log line. */
export type LogLevel = typeof LOG_LEVELS[number];

/** The events that a log line can report. */
export type EventName =
  | NbdEvent["kind"]
  | PoolEvent["kind"]
  | "certificates" // files for TLS have changed
  | "control" // a command arrived over a control socket
  | "denied" // a client is in no network of --allow
  | "extend-failed" // a pool could not be extended by itself
  | "extended" // a pool was extended by itself
  | "hook-failed" // a program of --on-event has failed
  | "metrics" // where the metrics are served
  | "notice" // worth knowing
  | "page" // where the page is served
  | "progress" // the progress of something that takes long
  | "settings" // "virstor set" has changed settings
  | "stopping" // the server ends, or stops a pool
  | "volumes" // a volume or a snapshot was created, changed or removed
  | "waiting" // the server waits for components
  | "warning"; // a side effect of a successful command failed

/** The level of each event, unless {@linkcode LogDetails} gives another. */
export const EVENT_LEVELS: { readonly [Event in EventName]: LogLevel } = {
  // Clients get errors, or their writes are not done.
  "accept-failed": "error",
  "delayed": "error",
  "error": "error",
  "failed": "error",
  "lost": "error",
  // The operator should act before clients get errors.
  "denied": "warning",
  "evacuation-failed": "warning",
  "extend-failed": "warning",
  "hook-failed": "warning",
  "host-full": "warning",
  "late-change": "warning",
  "notice": "warning",
  "remote": "warning",
  "resumed": "warning",
  "space": "warning",
  "warning": "warning",
  "watermark": "warning",
  // Normal operation.
  "accepted": "info",
  "added": "info",
  "certificates": "info",
  "connected": "info",
  "disconnected": "info",
  "evacuation": "info",
  "extended": "info",
  "freed": "info",
  "left": "info",
  "metrics": "info",
  "page": "info",
  "progress": "info",
  "recovered": "info",
  "refused": "info",
  "removed": "info",
  "resized": "info",
  "settings": "info",
  "waiting": "info",
  "stopping": "info",
  "volumes": "info",
  "control": "debug",
};
