/**
 * Every event that is written to standard error, and how much it matters. The
 * table of `docs/operations.md` is checked against this one.
 *
 * @module
 */

import type { NbdEvent } from "../../nbd/server/export/mod.ts";
import type { PoolEvent } from "../../pool/core/mod.ts";

/** How much a line matters; each level tells what those before it tell. */
export const LOG_LEVELS = ["error", "warning", "info", "debug"] as const;

/** How much a line matters. */
export type LogLevel = typeof LOG_LEVELS[number];

/** Everything that a line can be about. */
export type EventName =
  | NbdEvent["kind"]
  | PoolEvent["kind"]
  | "certificates" // files for TLS have changed
  | "control" // a command came over a control socket
  | "denied" // a client is in no network of --allow
  | "notice" // worth knowing
  | "progress" // how far something is
  | "stopping" // the server ends, or stops a pool
  | "warning"; // what did not work beside a thing that was done

/** How much each event matters, unless what it is about says otherwise. */
export const EVENT_LEVELS: { readonly [Event in EventName]: LogLevel } = {
  // Clients get errors, or none of their writes is done any more.
  "accept-failed": "error",
  "delayed": "error",
  "error": "error",
  "failed": "error",
  // The operator should act before that.
  "denied": "warning",
  "evacuation-failed": "warning",
  "notice": "warning",
  "resumed": "warning",
  "space": "warning",
  "warning": "warning",
  "watermark": "warning",
  // The course of things.
  "accepted": "info",
  "added": "info",
  "certificates": "info",
  "connected": "info",
  "disconnected": "info",
  "evacuation": "info",
  "left": "info",
  "progress": "info",
  "recovered": "info",
  "refused": "info",
  "removed": "info",
  "resized": "info",
  "stopping": "info",
  "control": "debug",
};
