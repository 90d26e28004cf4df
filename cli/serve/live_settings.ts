/**
 * The settings of a served pool and its process, as `virstor set` reads and
 * changes them.
 *
 * @module
 */

import type { NbdServer } from "../../nbd/mod.ts";
import type { LiveSettings, Pool } from "../../pool/mod.ts";
import { SETTINGS, settingText } from "../calls/mod.ts";
import type { ServeSettings } from "../control/mod.ts";
import { rememberRate } from "../state/mod.ts";
import { log, logLevel, setLogLevel } from "../terminal/mod.ts";
import { changedExtension, type ExtendSettings } from "./extend_option.ts";

/** The settings of the extension of a pool. */
const EXTENSION_FIELDS = [
  "autoExtend",
  "autoExtendAt",
  "autoExtendMax",
  "autoExtendIn",
] as const;
/** No minimum of free space. */
const NO_MARK = { bytes: 0, percent: 0 };

/** The settings of the whole process. */
export class ProcessSettings {
  /** How long requests in flight may hold up the end, milliseconds. */
  graceMs: number;
  readonly #nbd: NbdServer;

  /**
   * Takes over the settings that the server was started with.
   *
   * @param nbd The NBD server.
   * @param graceMs The grace, milliseconds.
   */
  constructor(nbd: NbdServer, graceMs: number) {
    this.#nbd = nbd;
    this.graceMs = graceMs;
  }

  /** The settings now. */
  get values(): Pick<
    ServeSettings,
    "maxClients" | "idleTimeoutSeconds" | "graceSeconds" | "logLevel"
  > {
    const { clients, idleMs } = this.#nbd.limits;
    return {
      maxClients: clients,
      idleTimeoutSeconds: idleMs / 1000,
      graceSeconds: this.graceMs / 1000,
      logLevel: logLevel(),
    };
  }

  /**
   * Replaces settings, at once.
   *
   * @param wanted The settings; those of pools are left out.
   */
  set(
    { maxClients, idleTimeoutSeconds, graceSeconds, logLevel }: Partial<
      ServeSettings
    >,
  ): void {
    this.#nbd.setLimits({
      ...maxClients !== undefined && { clients: maxClients },
      ...idleTimeoutSeconds !== undefined &&
        { idleMs: idleTimeoutSeconds * 1000 },
    });
    if (graceSeconds !== undefined) this.graceMs = graceSeconds * 1000;
    if (logLevel !== undefined) setLogLevel(logLevel);
  }
}

/** What decides when a pool is extended. */
export interface Extension {
  /** When and how; what is set holds at once. */
  extension: ExtendSettings;
}

/** The settings of a served pool, together with those of its process. */
export class ServedSettings {
  /** The limit of evacuations that are given none, bytes a second. */
  evacuationRate: number;
  readonly #pool: Pool;
  readonly #stateDirectory: string;
  readonly #process: ProcessSettings;
  readonly #extension: Extension;

  /**
   * Takes over the settings that the pool was opened with.
   *
   * @param pool The pool.
   * @param stateDirectory The state directory.
   * @param process The settings of the process.
   * @param evacuationRate The limit of evacuations, bytes a second.
   * @param extension What decides when the pool is extended.
   */
  constructor(
    pool: Pool,
    stateDirectory: string,
    process: ProcessSettings,
    evacuationRate: number,
    extension: Extension,
  ) {
    this.#pool = pool;
    this.#extension = extension;
    this.#stateDirectory = stateDirectory;
    this.#process = process;
    this.evacuationRate = evacuationRate;
  }

  /**
   * Replaces settings, at once.
   *
   * @param wanted The settings to replace.
   * @returns All settings.
   * @throws {VirstorError} As `Pool.set` and {@linkcode changedExtension};
   *   nothing has changed then.
   */
  async set(wanted: Partial<ServeSettings>): Promise<ServeSettings> {
    const { name } = this.#pool;
    const isExtension = EXTENSION_FIELDS.some((key) => key in wanted);
    const { extension } = this.#extension;
    const changed = isExtension
      ? changedExtension(extension, wanted, this.#pool)
      : extension;
    const live = {
      ...liveSettings(wanted),
      // Its event makes the pool look whether to extend itself.
      ...isExtension &&
        { usedWatermark: changed.size > 0 ? changed.usedPercent : 0 },
    };
    if (Object.keys(live).length > 0) await this.#pool.set(live);
    this.#process.set(wanted);
    if (isExtension) this.#extension.extension = changed;
    if (wanted.hostWatermark !== undefined) await this.#pool.lookAtHosts();
    const { evacuationRate } = wanted;
    if (evacuationRate !== undefined) {
      this.evacuationRate = evacuationRate;
      if (this.#pool.status().evacuation !== null) {
        await rememberRate(this.#stateDirectory, name, evacuationRate);
      }
    }
    const words = settingWords(wanted);
    if (words !== "") log("settings", `Set ${words}`, { pool: name });
    return { ...this.#ofPool, ...this.#process.values };
  }

  get #ofPool(): Omit<ServeSettings, keyof ProcessSettings["values"]> {
    const { onFull, fullTimeoutSeconds, maxDelayedBytes, watermarks } =
      this.#pool.settings;
    const { extension } = this.#extension;
    return {
      onFull,
      fullTimeoutSeconds,
      maxDelayed: maxDelayedBytes,
      chunkWatermark: watermarks.chunks,
      componentWatermark: watermarks.components,
      spaceWatermark: watermarks.space ?? NO_MARK,
      hostWatermark: watermarks.host ?? NO_MARK,
      autoExtend: extension.size,
      autoExtendAt: extension.usedPercent,
      autoExtendMax: extension.max,
      autoExtendIn: extension.directory,
      evacuationRate: this.evacuationRate,
    };
  }
}

/** The settings of a pool, as the pool takes them. */
function liveSettings(wanted: Partial<ServeSettings>): LiveSettings {
  const { onFull, fullTimeoutSeconds, maxDelayed, evacuationRate } = wanted;
  const { chunkWatermark, componentWatermark } = wanted;
  const { spaceWatermark, hostWatermark } = wanted;
  return {
    ...onFull !== undefined && { onFull },
    ...fullTimeoutSeconds !== undefined && { fullTimeoutSeconds },
    ...maxDelayed !== undefined && { maxDelayedBytes: maxDelayed },
    ...chunkWatermark !== undefined && { chunkWatermark },
    ...componentWatermark !== undefined && { componentWatermark },
    ...spaceWatermark !== undefined && { spaceWatermark },
    ...hostWatermark !== undefined && { hostWatermark },
    ...evacuationRate !== undefined &&
      { evacuationBytesPerSecond: evacuationRate },
  };
}

/** Formats settings for the log, as in `on-full=error, grace=5`. */
function settingWords(wanted: Partial<ServeSettings>): string {
  return SETTINGS.filter(({ field }) => wanted[field] !== undefined)
    .map((spec) => `${spec.key}=${settingText(spec, wanted)}`).join(", ");
}
