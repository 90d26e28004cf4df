/**
 * The values of the settings that `virstor set` changes: as words of the command
 * line, as fields of a request, and as text.
 *
 * @module
 */

import type { SpaceMark } from "../../pool/mod.ts";
import type { ServeSettings } from "../control/mod.ts";
import { absolutePath } from "../state/mod.ts";
import { formatSize, parseSize, UsageError } from "../terminal/mod.ts";
import { SETTINGS, type SettingSpec } from "./settings.ts";
import { parseSpaceMark, spaceMarkText } from "./space_mark.ts";

/** No minimum of free space. */
const NO_MARK: SpaceMark = { bytes: 0, percent: 0 };

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
  const given = new Set<string>();
  return Object.assign(
    {},
    ...words.map((word) => {
      const at = word.indexOf("=");
      const key = at < 0 ? word : word.slice(0, at);
      const spec = SETTINGS.find((one) => one.key === key);
      if (spec === undefined || at < 0) throw unknownSetting(word);
      if (given.has(key)) {
        throw new UsageError(`Setting ${key} is given twice`);
      }
      given.add(key);
      return parseValue(spec, word.slice(at + 1));
    }),
  );
}

function parseValue(spec: SettingSpec, text: string): Partial<ServeSettings> {
  const { field, key } = spec;
  switch (spec.kind) {
    case "word":
      return { [field]: parseWord(spec, text) };
    case "number":
      return { [field]: parseNumber(spec, text) };
    case "percent":
      return { [field]: parsePercent(spec, text) };
    case "size":
      return { [field]: parseSize(text, key) };
    case "path":
      return { [field]: text === "" ? "" : absolutePath(text) };
    case "mark":
      return { [field]: parseSpaceMark(text, key) };
    case "chunks":
      // One of the two holds; the other one holds no more.
      return /[%a-z]$/i.test(text)
        ? { chunkWatermark: 0, spaceWatermark: parseSpaceMark(text, key) }
        : { chunkWatermark: parseNumber(spec, text), spaceWatermark: NO_MARK };
  }
}

function parseWord({ key, words = [] }: SettingSpec, text: string): string {
  if (words.includes(text)) return text;
  throw new UsageError(
    `Setting ${key} has no value "${text}"`,
    `Values are ${words.slice(0, -1).join(", ")} and ${words.at(-1)}`,
  );
}

function parseNumber(
  { key, pattern = /^\d+$/, least = 0, value }: SettingSpec,
  text: string,
): number {
  if (pattern.test(text) && Number(text) <= 2 ** 53) {
    if (Number(text) >= least) return Number(text);
    throw new UsageError(
      `Setting ${key} takes ${least} or more, not ${text}`,
      `As in ${key}=${value}`,
    );
  }
  throw new UsageError(
    `Setting ${key} needs a number, not "${text}"`,
    `As in ${key}=${value}`,
  );
}

function parsePercent(spec: SettingSpec, text: string): number {
  const percent = parseNumber(spec, text.replace(/%$/, ""));
  if (percent >= 1 && percent <= 100) return percent;
  throw new UsageError(`Setting ${spec.key} takes 1 to 100, not ${percent}`);
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
  const given = SETTINGS.filter((spec) => isValue(spec, fields[spec.field]))
    .map(({ field }) => [field, fields[field]]);
  const { spaceWatermark } = fields;
  if (isMark(spaceWatermark)) given.push(["spaceWatermark", spaceWatermark]);
  return Object.fromEntries(given);
}

function isValue(
  { kind, words, least = 0 }: SettingSpec,
  value: unknown,
): boolean {
  if (kind === "mark") return isMark(value);
  if (kind === "path") {
    return typeof value === "string" && (value === "" || value.startsWith("/"));
  }
  if (words !== undefined) {
    return typeof value === "string" && words.includes(value);
  }
  return typeof value === "number" && value >= least;
}

function isMark(value: unknown): value is SpaceMark {
  if (typeof value !== "object" || value === null) return false;
  const { bytes, percent }: { bytes?: unknown; percent?: unknown } = value;
  return typeof bytes === "number" && bytes >= 0 &&
    typeof percent === "number" && percent >= 0 && percent <= 100;
}

/**
 * Formats a value as the command line takes it.
 *
 * @param spec The setting.
 * @param settings The settings.
 * @returns For instance `delay`, `30`, `64 MiB`, `10%`; `none` for a directory
 *   that is not set.
 */
export function settingText(
  { field, kind }: SettingSpec,
  settings: Partial<ServeSettings>,
): string {
  const { spaceWatermark = NO_MARK } = settings;
  const value = settings[field];
  if (kind === "chunks" && spaceWatermark.bytes + spaceWatermark.percent > 0) {
    return spaceMarkText(spaceWatermark);
  }
  if (typeof value === "object") return spaceMarkText(value);
  if (value === "") return "none";
  if (kind === "size") return formatSize(Number(value));
  return kind === "percent" ? `${value}%` : String(value);
}
