/**
 * Opening a pool: find its components, read its map, finish what a stop left
 * half done, and only then accept writes.
 *
 * @module
 */

import { type ErrorCode, VirstorError } from "../errors.ts";
import {
  assemble,
  type AssembleOptions,
  type Assembly,
  closeAll,
  closeOthers,
  refuseWriters,
} from "./member/mod.ts";
import {
  checkedFullTimeout,
  EventHub,
  type Finding,
  type OpenDevice,
  type PoolEvent,
  type PoolSettings,
  type SpaceSettings,
  withPatience,
} from "./core/mod.ts";
import type { ResumeOptions } from "./change/mod.ts";
import { readFreebsdPool } from "./format/freebsd/mod.ts";
import { readNativePool, type ReadOptions } from "./format/native/mod.ts";
import { Pool } from "./pool.ts";
import {
  type OnRemoteEvent,
  openerOf,
  type RemoteComponents,
} from "./remote/mod.ts";
import type { DamageSink, StoredPool } from "./format/mod.ts";

const DEFAULT_MAX_DELAYED_BYTES = 64 << 20;
const DEFAULT_CHUNK_WATERMARK = 100;
const DEFAULT_COMPONENT_WATERMARK = 1;

/** Errors that a check reports as a finding: the pool is damaged. */
const DAMAGE_CODES: ReadonlySet<ErrorCode> = new Set([
  "corrupt",
  "not-found",
  "unsupported",
]);

/** Which pool is meant, and where else its components may be. */
export interface PoolPlaces {
  /** Which pool; needed only if the paths hold several. */
  readonly name?: string;
  /** Which of the pools of that name, if that is known. */
  readonly id?: string;
  /**
   * Where else components may be. They are looked at only if those at the
   * paths are not the whole pool: a copy that lies around there is no matter.
   */
  readonly others?: readonly string[];
  /** How to reach components that are given as URIs; refused by default. */
  readonly remote?: RemoteComponents | undefined;
  /**
   * How components are opened.
   *
   * @internal
   */
  readonly openDevice?: OpenDevice;
  /**
   * The id of this boot of the system, a UUID; by default the system's.
   *
   * @internal
   */
  readonly bootId?: string;
}

/** How a pool is opened. */
export interface PoolOptions extends PoolPlaces, SpaceSettings {
  /**
   * Refuse writes; the files are not written at all. A pool of format 1 of
   * which FreeBSD has put data into a label is always opened so.
   */
  readonly readOnly?: boolean;
  /**
   * Open it although components are missing, read-only: what may be on them
   * cannot be read. Not in format 1.
   */
  readonly degraded?: boolean;
  /**
   * While components are missing, show an older version of a chunk, one that a
   * snapshot or the parent of a clone has, if a newer one may be on them.
   * Default: such a read fails.
   */
  readonly olderVersions?: boolean;
  /** What becomes of an evacuation that was under way; it goes on. */
  readonly evacuation?: ResumeOptions;
  /** How long a stop waits for remote components, seconds. Default: 30. */
  readonly stopSeconds?: number;
  /**
   * Receives each event at once, also those of the open itself. It should not
   * throw: that ends the program. {@linkcode Pool.events} is the other way.
   */
  readonly onEvent?: (event: PoolEvent) => void;
}

/**
 * Opens a pool and locks its components.
 *
 * @param paths Where they are, in any order; others are left alone.
 * @param options How.
 * @returns The pool, ready for requests.
 * @throws {VirstorError} `not-found`, `corrupt`, `busy` naming the holder,
 *   `invalid`, `io`. Nothing is open or changed then.
 */
export async function openPool(
  paths: readonly string[],
  options: PoolOptions = {},
): Promise<Pool> {
  const degraded = options.degraded ?? false;
  const isReader = degraded || (options.readOnly ?? false);
  const fullTimeoutSeconds = checkedFullTimeout(
    options.fullTimeoutSeconds ?? 0,
  );
  const events = new EventHub(options.onEvent);
  const onRemote: OnRemoteEvent = (event) => events.emit(event);
  const openDevice = deviceOpener(options, onRemote);
  const places = { ...placesOf(options), openDevice };
  const assembly = await withPatience(() =>
    assemble(paths, { ...places, readOnly: isReader })
  );
  try {
    if (!isReader) {
      for (const { device } of assembly.found) await refuseWriters(device);
    }
    const { bootId, olderVersions } = options;
    const how = { degraded, olderVersions, bootId };
    const stored = await readPool(assembly, how, (finding) => {
      throw damagedError(assembly.name, finding);
    });
    if (!isReader && stored.readOnlyReason !== "") {
      throw new VirstorError("unsupported", stored.readOnlyReason);
    }
    const readOnly = isReader || stored.writeReason !== "";
    const settings = settingsOf(stored, {
      ...options,
      openDevice,
      readOnly,
      fullTimeoutSeconds,
      onEvent: (event) => events.emit(event),
    });
    const freed = readOnly ? undefined : await stored.recover(settings.onEvent);
    await closeOthers(assembly.found, stored.format.members);
    const { format, volumes } = stored;
    const pool = new Pool(settings, events, format, volumes);
    if (freed !== undefined) await pool.begin(freed, options.evacuation);
    return pool;
  } catch (error) {
    await closeAll(assembly.found.map(({ device }) => device));
    throw error;
  }
}

/**
 * Where to look, and how.
 *
 * @param places What the caller says of it.
 * @returns What assembling takes.
 */
export function placesOf(
  places: PoolPlaces,
): Omit<AssembleOptions, "readOnly"> {
  const { name, id, others } = places;
  const withoutJournal = places.remote?.withoutJournal ?? false;
  const openDevice = deviceOpener(places);
  return { name, id, others, withoutJournal, openDevice };
}

/**
 * How components are opened.
 *
 * @param places What the caller says of it.
 * @param onRemote Receives what becomes of connections to other machines.
 * @returns The function that opens one.
 */
export function deviceOpener(
  { openDevice, remote }: Pick<PoolPlaces, "openDevice" | "remote">,
  onRemote?: OnRemoteEvent,
): OpenDevice {
  return openDevice ?? openerOf(remote, onRemote);
}

function settingsOf(
  stored: StoredPool,
  options:
    & PoolOptions
    & Pick<PoolSettings, "readOnly" | "fullTimeoutSeconds" | "onEvent">
    & { readonly openDevice: OpenDevice },
): PoolSettings {
  return {
    name: stored.name,
    id: stored.id,
    chunkSize: stored.chunkSize,
    readOnly: options.readOnly,
    writeReason: stored.writeReason,
    missing: stored.missing,
    olderVersions: options.olderVersions ?? false,
    warnings: stored.warnings,
    onFull: options.onFull ?? "delay",
    fullTimeoutSeconds: options.fullTimeoutSeconds,
    maxDelayedBytes: options.maxDelayedBytes ?? DEFAULT_MAX_DELAYED_BYTES,
    openDevice: options.openDevice,
    watermarks: {
      chunks: options.chunkWatermark ?? DEFAULT_CHUNK_WATERMARK,
      components: options.componentWatermark ?? DEFAULT_COMPONENT_WATERMARK,
      ...options.spaceWatermark && { space: options.spaceWatermark },
      ...options.usedWatermark !== undefined &&
        { usedPercent: options.usedWatermark },
      ...options.hostWatermark && { host: options.hostWatermark },
    },
    stopSeconds: options.stopSeconds,
    onEvent: options.onEvent,
  };
}

/**
 * Reads a pool of either format.
 *
 * @param assembly Its components.
 * @param options Which components may be missing.
 * @param damaged Called for what cannot be used.
 * @returns The pool.
 * @throws {VirstorError} `not-found` if a component is missing, `corrupt`,
 *   `unsupported`.
 */
export function readPool(
  assembly: Assembly,
  options: ReadOptions,
  damaged: DamageSink,
): Promise<StoredPool> {
  const formats = new Set(assembly.found.map(({ label }) => label.format));
  if (formats.has("native")) {
    return readNativePool(assembly, options, damaged);
  }
  if (options.degraded) {
    throw new VirstorError(
      "unsupported",
      `Cannot open pool "${assembly.name}" degraded: only pools of the ` +
        "native format can be",
    );
  }
  return readFreebsdPool(assembly, damaged);
}

/**
 * Checks a stopped pool: everything that can be checked is read, nothing is
 * written.
 *
 * @param paths Where its components are.
 * @param options Which pool, if the paths hold several; how to open them.
 * @returns Its name and all that was found; empty if it is sound.
 * @throws {VirstorError} `busy`, `invalid`, `io`, `unsupported`; what is wrong
 *   with the pool is a finding, not an error.
 */
export async function checkComponents(
  paths: readonly string[],
  options: PoolPlaces = {},
): Promise<{ name: string; findings: Finding[] }> {
  const { name = "" } = options;
  try {
    const assembly = await withPatience(() =>
      assemble(paths, { ...placesOf(options), readOnly: true })
    );
    try {
      const findings: Finding[] = [];
      const stored = await readPool(
        assembly,
        { degraded: false },
        (finding) => findings.push(finding),
      );
      findings.unshift(...stored.notices);
      return { name: assembly.name, findings };
    } finally {
      await closeAll(assembly.found.map(({ device }) => device));
    }
  } catch (error) {
    if (!(error instanceof VirstorError)) throw error;
    if (!DAMAGE_CODES.has(error.code) || isKeptAway(error)) throw error;
    const kind = error.code === "not-found" ? "missing" : "unreadable";
    const effect = "the pool does not open";
    const what = error.message;
    return {
      name,
      findings: [{ kind, severity: "damage", what, where: "", effect }],
    };
  }
}

/** Whether the runtime has refused to open a component: that is no damage. */
function isKeptAway(error: Error): boolean {
  const { cause } = error;
  return error.name === "NotCapable" ||
    (cause instanceof Error && isKeptAway(cause));
}

function damagedError(name: string, finding: Finding): VirstorError {
  const { what, where, advice = "virstor check tells more" } = finding;
  return new VirstorError(
    "corrupt",
    `Cannot open pool "${name}": ${what.charAt(0).toLowerCase()}` +
      `${what.slice(1)} ("${where}"), ${advice}`,
  );
}
