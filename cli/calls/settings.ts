/**
 * The table of the settings that `virstor set` changes: their names, and how
 * they are written.
 *
 * @module
 */

import type { ServeSettings } from "../control/mod.ts";
import { LOG_LEVELS } from "../terminal/mod.ts";

/** One setting. */
export interface SettingSpec {
  /** The field of {@linkcode ServeSettings}. */
  readonly field: keyof ServeSettings;
  /** The name on the command line: that of the option of `serve`, if any. */
  readonly key: string;
  /** Whether it is one pool's, or the whole process's. */
  readonly scope: "pool" | "process";
  /** What the value looks like, for the help. */
  readonly value: string;
  /** How the value is written. */
  readonly kind: SettingKind;
  /** The values, where they are few. */
  readonly words?: readonly string[];
  /** What numbers look like on the command line. */
  readonly pattern?: RegExp;
  /** The least number. Default: 0. */
  readonly least?: number;
}

/** How the value of a setting is written. */
export type SettingKind =
  | "word" // one of a few
  | "number"
  | "size" // bytes
  | "percent" // with or without "%"
  | "path" // of a directory
  | "mark" // a minimum of free space: a size, or percent
  | "chunks"; // the same, or a number of chunks

const SECONDS = /^\d+(\.\d+)?$/;
const COUNT = /^\d+$/;
/** A time that all pools of a process share. */
const PROCESS_SECONDS = {
  scope: "process",
  value: "SECONDS",
  kind: "number",
  pattern: SECONDS,
} as const;

/** The settings, in the order in which they are listed. */
export const SETTINGS: readonly SettingSpec[] = [
  {
    field: "onFull",
    key: "on-full",
    scope: "pool",
    value: "delay|error",
    kind: "word",
    words: ["delay", "error"],
  },
  {
    field: "fullTimeoutSeconds",
    key: "full-timeout",
    scope: "pool",
    value: "SECONDS",
    kind: "number",
    pattern: SECONDS,
  },
  {
    field: "maxDelayed",
    key: "max-delayed",
    scope: "pool",
    value: "SIZE",
    kind: "size",
  },
  {
    field: "chunkWatermark",
    key: "chunk-watermark",
    scope: "pool",
    value: "N|SIZE|PERCENT%",
    kind: "chunks",
  },
  {
    field: "componentWatermark",
    key: "component-watermark",
    scope: "pool",
    value: "N",
    kind: "number",
    pattern: COUNT,
  },
  {
    field: "hostWatermark",
    key: "host-watermark",
    scope: "pool",
    value: "SIZE|PERCENT%",
    kind: "mark",
  },
  {
    field: "autoExtend",
    key: "auto-extend",
    scope: "pool",
    value: "SIZE",
    kind: "size",
  },
  {
    field: "autoExtendAt",
    key: "auto-extend-at",
    scope: "pool",
    value: "PERCENT",
    kind: "percent",
  },
  {
    field: "autoExtendMax",
    key: "auto-extend-max",
    scope: "pool",
    value: "SIZE",
    kind: "size",
  },
  {
    field: "autoExtendIn",
    key: "auto-extend-in",
    scope: "pool",
    value: "DIR",
    kind: "path",
  },
  {
    field: "evacuationRate",
    key: "evacuation-rate",
    scope: "pool",
    value: "SIZE",
    kind: "size",
  },
  {
    field: "maxClients",
    key: "max-clients",
    scope: "process",
    value: "N",
    kind: "number",
    pattern: COUNT,
    least: 1,
  },
  { ...PROCESS_SECONDS, field: "idleTimeoutSeconds", key: "idle-timeout" },
  { ...PROCESS_SECONDS, field: "graceSeconds", key: "grace" },
  {
    field: "logLevel",
    key: "log-level",
    scope: "process",
    value: "LEVEL",
    kind: "word",
    words: LOG_LEVELS,
  },
];
