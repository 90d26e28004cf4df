/**
 * The settings of a server that `virstor set` changes while it serves: their
 * names, how they are written, and the fields of requests and of JSON.
 *
 * @module
 */

import type { FullPolicy } from "../../pool/mod.ts";
import {
  formatSize,
  LOG_LEVELS,
  type LogLevel,
  parseSize,
  UsageError,
} from "../terminal/mod.ts";

/** All settings: those of a pool, then those of the whole process. */
export interface ServeSettings {
  /** What a write does that needs a new chunk when none is free. */
  readonly onFull: FullPolicy;
  /** How long such a write waits, seconds; 0 for no limit. */
  readonly fullTimeout: number;
  /** Bytes of delayed writes above which clients are slowed. */
  readonly maxDelayed: number;
  /** Warn when fewer chunks are free. */
  readonly chunkWatermark: number;
  /** Warn when fewer components are unused. */
  readonly componentWatermark: number;
  /** The most that an evacuation moves, bytes a second; 0 for no limit. */
  readonly evacuationRate: number;
  /** The most clients at once. */
  readonly maxClients: number;
  /** Seconds after which an idle client is disconnected; 0 for never. */
  readonly idleTimeout: number;
  /** Seconds that requests in flight may hold up the end. */
  readonly grace: number;
  /** Lines of the log of this level and more important ones are written. */
  readonly logLevel: LogLevel;
}

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
  /** The values, where they are few. */
  readonly words?: readonly string[];
  /** What numbers look like on the command line; sizes have no pattern. */
  readonly pattern?: RegExp;
}

const SECONDS = /^\d+(\.\d+)?$/;
const COUNT = /^\d+$/;

/** The settings, in the order in which they are listed. */
export const SETTINGS: readonly SettingSpec[] = [
  {
    field: "onFull",
    key: "on-full",
    scope: "pool",
    value: "delay|error",
    words: ["delay", "error"],
  },
  {
    field: "fullTimeout",
    key: "full-timeout",
    scope: "pool",
    value: "SECONDS",
    pattern: SECONDS,
  },
  {
    field: "maxDelayed",
    key: "max-delayed",
    scope: "pool",
    value: "SIZE",
  },
  {
    field: "chunkWatermark",
    key: "chunk-watermark",
    scope: "pool",
    value: "N",
    pattern: COUNT,
  },
  {
    field: "componentWatermark",
    key: "component-watermark",
    scope: "pool",
    value: "N",
    pattern: COUNT,
  },
  {
    field: "evacuationRate",
    key: "evacuation-rate",
    scope: "pool",
    value: "SIZE",
  },
  {
    field: "maxClients",
    key: "max-clients",
    scope: "process",
    value: "N",
    pattern: /^[1-9]\d*$/,
  },
  {
    field: "idleTimeout",
    key: "idle-timeout",
    scope: "process",
    value: "SECONDS",
    pattern: SECONDS,
  },
  {
    field: "grace",
    key: "grace",
    scope: "process",
    value: "SECONDS",
    pattern: SECONDS,
  },
  {
    field: "logLevel",
    key: "log-level",
    scope: "process",
    value: "LEVEL",
    words: LOG_LEVELS,
  },
];

/**
 * Reads words such as `on-full=error`.
 *
 * @param words The words.
 * @returns The settings that they give.
 * @throws {UsageError} For an unknown setting or value, and one given twice.
 */
export function parseSettings(
  words: readonly string[],
): Partial<ServeSettings> {
  const values = new Map<string, string | number>();
  for (const word of words) {
    const at = word.indexOf("=");
    const key = at < 0 ? word : word.slice(0, at);
    const spec = SETTINGS.find((one) => one.key === key);
    if (spec === undefined || at < 0) throw unknownSetting(word);
    if (values.has(spec.field)) {
      throw new UsageError(`Setting ${key} is given twice`);
    }
    values.set(spec.field, parseValue(spec, word.slice(at + 1)));
  }
  return Object.fromEntries(values);
}

function parseValue(spec: SettingSpec, text: string): string | number {
  const { key, words, pattern, value } = spec;
  if (words !== undefined) {
    if (words.includes(text)) return text;
    throw new UsageError(
      `Setting ${key} has no value "${text}"`,
      `Values are ${words.slice(0, -1).join(", ")} and ${words.at(-1)}`,
    );
  }
  if (pattern === undefined) return parseSize(text, key);
  const isNumber = pattern.test(text) && Number(text) <= 2 ** 53;
  if (isNumber) return Number(text);
  throw new UsageError(
    `Setting ${key} needs a number, not "${text}"`,
    `As in ${key}=${value}`,
  );
}

function unknownSetting(word: string): UsageError {
  const keys = SETTINGS.map(({ key, value }) => `${key}=${value}`);
  return new UsageError(`Cannot set "${word}"`, `Known: ${keys.join(", ")}`);
}

/**
 * Reads the settings of a request.
 *
 * @param fields The fields of the request; others are left out.
 * @returns The settings that it gives, each of the right type.
 */
export function settingsIn(
  fields: Readonly<Record<string, unknown>>,
): Partial<ServeSettings> {
  const given = SETTINGS.filter(({ field, words }) => {
    const value = fields[field];
    return words === undefined
      ? typeof value === "number" && value >= 0
      : typeof value === "string" && words.includes(value);
  });
  return Object.fromEntries(given.map(({ field }) => [field, fields[field]]));
}

/**
 * Formats a value as the command line takes it.
 *
 * @param spec The setting.
 * @param settings The settings.
 * @returns For instance `delay`, `30`, `64 MiB`.
 */
export function settingText(
  { field, words, pattern }: SettingSpec,
  settings: Partial<ServeSettings>,
): string {
  const value = settings[field];
  const isSize = words === undefined && pattern === undefined;
  return isSize ? formatSize(Number(value)) : String(value);
}
