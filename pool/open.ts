/**
 * Opening a pool: find its components, read its map, finish what a stop left
 * half done, and only then let anybody write.
 *
 * @module
 */

import type { ErrorCode } from "../errors.ts";
import { VirstorError } from "../errors.ts";
import type { Assembly, OpenComponent } from "./assemble.ts";
import { assemble } from "./assemble.ts";
import { Component, openFileDevice } from "./component.ts";
import type { OpenDevice } from "./component.ts";
import { wipeDeviceLabel } from "./component_label.ts";
import type { Finding } from "./findings.ts";
import { COMPONENT_JOINING } from "../metadata/mod.ts";
import { ForwardMap } from "./forward_map.ts";
import { FreebsdFormat } from "./freebsd_format.ts";
import { scanFreebsdMap } from "./freebsd_map_scan.ts";
import { closeGaps, isDense } from "./gaps.ts";
import { withPatience } from "./patience.ts";
import { Pool } from "./pool.ts";
import type { FullPolicy, PoolEvent } from "./settings.ts";
import type { PoolStatus } from "./status.ts";

const DEFAULT_MAX_DELAYED_BYTES = 64 << 20;
const DEFAULT_CHUNK_WATERMARK = 100;
const DEFAULT_COMPONENT_WATERMARK = 1;
/** A timeout in seconds that a timer can keep: about 24 days. */
const FULL_TIMEOUT_MAX = 2_147_483;

/** Errors that a check reports as a finding: the pool is damaged. */
const DAMAGE_CODES: ReadonlySet<ErrorCode> = new Set([
  "corrupt",
  "not-found",
  "unsupported",
]);

/** How a pool is opened. */
export interface PoolOptions {
  /** Which pool; needed only if the paths hold several. */
  readonly name?: string;
  /** Refuse writes; the files are not written at all. */
  readonly readOnly?: boolean;
  /** What a write does when there is no chunk for it; `delay`. */
  readonly onFull?: FullPolicy;
  /** How long it waits, seconds up to 2,147,483; 0, for ever. */
  readonly fullTimeout?: number;
  /** Bytes that may wait before those who send them are slowed; 64 MiB. */
  readonly maxDelayedBytes?: number;
  /** Warn when fewer chunks are free; 100. */
  readonly chunkWatermark?: number;
  /** Warn when fewer components are unused; 1. */
  readonly componentWatermark?: number;
  /** Told what happens. */
  readonly onEvent?: (event: PoolEvent) => void;
  /** How components are opened. */
  readonly openDevice?: OpenDevice;
}

/** What was read of a pool, before anything is put right. */
interface Loaded {
  readonly assembly: Assembly;
  readonly format: FreebsdFormat;
  readonly map: ForwardMap;
  /** How many chunks are mapped to each component. */
  readonly mapped: readonly number[];
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
  const readOnly = options.readOnly ?? false;
  const fullTimeout = options.fullTimeout ?? 0;
  if (!(fullTimeout >= 0 && fullTimeout <= FULL_TIMEOUT_MAX)) {
    throw new VirstorError(
      "invalid",
      `Cannot wait ${fullTimeout} seconds for space: it is 0 to ` +
        `${FULL_TIMEOUT_MAX} seconds`,
    );
  }
  const { name, openDevice = openFileDevice } = options;
  const assembly = await withPatience(() =>
    assemble(paths, { name, readOnly, openDevice })
  );
  try {
    const onEvent = options.onEvent ?? ignore;
    const loaded = await load(assembly);
    if (!readOnly) await recover(loaded, onEvent);
    await closeOthers(assembly);
    const { label } = assembly;
    const pool = new Pool(
      {
        name: label.name,
        id: label.id,
        virtualSize: label.virtualSize,
        chunkSize: label.chunkSize,
        readOnly,
        onFull: options.onFull ?? "delay",
        fullTimeout,
        maxDelayedBytes: options.maxDelayedBytes ?? DEFAULT_MAX_DELAYED_BYTES,
        watermarks: {
          chunks: options.chunkWatermark ?? DEFAULT_CHUNK_WATERMARK,
          components: options.componentWatermark ??
            DEFAULT_COMPONENT_WATERMARK,
        },
        onEvent,
      },
      loaded.format,
      loaded.map,
    );
    if (!readOnly) await pool.prepare();
    return pool;
  } catch (error) {
    for (const { device } of assembly.opened) await device.close();
    throw error;
  }
}

/**
 * Looks at a stopped pool, without writing to it.
 *
 * @param paths Where its components are.
 * @param name Which pool; needed only if the paths hold several.
 * @returns Its status.
 * @throws {VirstorError} As {@linkcode openPool}.
 */
export async function inspectComponents(
  paths: readonly string[],
  name?: string,
): Promise<PoolStatus> {
  const pool = await openPool(paths, {
    readOnly: true,
    ...name === undefined ? {} : { name },
  });
  try {
    return pool.status();
  } finally {
    await pool.close();
  }
}

/**
 * Checks a stopped pool: everything that can be checked is read, nothing is
 * written.
 *
 * @param paths Where its components are.
 * @param options Which pool, if the paths hold several; how to open them.
 * @returns Its name and all that was found; empty if it is sound.
 * @throws {VirstorError} `busy`, `invalid`, `io`; what is wrong with the pool
 *   is a finding, not an error.
 */
export async function checkComponents(
  paths: readonly string[],
  options: { name?: string; openDevice?: OpenDevice } = {},
): Promise<{ name: string; findings: Finding[] }> {
  const { name = "", openDevice = openFileDevice } = options;
  try {
    const assembly = await withPatience(() =>
      assemble(paths, { name: options.name, readOnly: true, openDevice })
    );
    try {
      return { name: assembly.label.name, findings: await inspect(assembly) };
    } finally {
      for (const { device } of assembly.opened) await device.close();
    }
  } catch (error) {
    if (!(error instanceof VirstorError)) throw error;
    if (!DAMAGE_CODES.has(error.code)) throw error;
    const effect = "the pool does not open";
    const what = error.message;
    return {
      name,
      findings: [{ severity: "damage", what, where: "", effect }],
    };
  }
}

/** Everything but that the components make up a pool. */
async function inspect(assembly: Assembly): Promise<Finding[]> {
  const findings = unfinishedFindings(assembly);
  const loaded = await load(assembly, findings);
  if (!isDense(loaded.format.members, loaded.mapped)) {
    findings.push(notice(
      "There are gaps in the allocation, from a power cut",
      assembly.label.name,
    ));
  }
  return findings;
}

/** Reads the map. Damage is thrown, or collected if there is a list for it. */
async function load(
  assembly: Assembly,
  findings?: Finding[],
): Promise<Loaded> {
  const { label, members } = assembly;
  const components = members.map(({ device, label: own }, index) =>
    new Component(index + 1, index, device, {
      size: own.componentSize,
      chunkCount: own.chunkCount,
      chunkReserved: own.chunkReserved,
      hardcodedName: own.hardcodedName,
    })
  );
  const map = new ForwardMap(label.virtualSize / label.chunkSize);
  map.setComponents(components);
  const mapped = components.map(() => 0);
  const [first] = members;
  if (first === undefined) throw new VirstorError("corrupt", "No components");
  await scanFreebsdMap(
    first.device,
    label,
    components.map((one) => one.geometry),
    {
      mapped(virtualChunk, index, chunk) {
        const component = components[index];
        if (component === undefined) return;
        map.set(virtualChunk, component, chunk);
        mapped[index] = (mapped[index] ?? 0) + 1;
        component.next = Math.max(component.next, chunk + 1);
      },
      damaged(finding) {
        if (findings === undefined) throw damagedError(label.name, finding);
        findings.push(finding);
      },
    },
  );
  for (const one of assembly.mustBeEmpty) {
    const index = members.indexOf(one);
    if ((mapped[index] ?? 0) === 0) continue;
    throw new VirstorError(
      "not-found",
      `Cannot open pool "${label.name}": component ${index} is missing, and ` +
        `"${one.path}", which was leaving or joining, cannot stand in for it`,
    );
  }
  return {
    assembly,
    format: new FreebsdFormat(label, components),
    map,
    mapped,
  };
}

/** Finishes or takes back what a stop left half done. */
async function recover(
  loaded: Loaded,
  onEvent: (event: PoolEvent) => void,
): Promise<void> {
  const { assembly, format, map, mapped } = loaded;
  // What was read may be in the page cache only, from a process that was
  // killed. Nothing is concluded from it before it cannot go away any more.
  for (const { device } of assembly.opened) await device.flush();
  const say = (message: string) => onEvent({ kind: "recovered", message });
  for (const one of assembly.outdated) {
    say(`The label of "${one.path}" is brought up to date`);
  }
  if (!isDense(format.members, mapped)) {
    const moved = await closeGaps(format, map, assembly.label.chunkSize);
    say(`${moved} chunks were moved to close gaps in the allocation`);
  }
  format.recordStop();
  for (const { device } of format.members) await device.flush();
  for (const one of assembly.removed) {
    await wipeDeviceLabel(one.device);
    say(`The label of "${one.path}", which was removed, is wiped`);
  }
  for (const one of assembly.unfinished) {
    if (isUnused(one)) {
      await wipeDeviceLabel(one.device);
      say(`The label of "${one.path}", which was being added, is wiped`);
    } else {
      say(
        `"${one.path}" is left out: its label is of a larger pool, clear it ` +
          "or add it with -f",
      );
    }
  }
}

/** Whether nothing was ever allocated on a component, says its own label. */
function isUnused({ label }: OpenComponent): boolean {
  return label.flags === COMPONENT_JOINING;
}

/** What is open and no member is given back. */
async function closeOthers(assembly: Assembly): Promise<void> {
  const members = new Set<OpenComponent>(assembly.members);
  for (const one of assembly.opened) {
    if (!members.has(one)) await one.device.close();
  }
}

function unfinishedFindings(assembly: Assembly): Finding[] {
  const of = (what: string, found: readonly OpenComponent[]) =>
    found.map(({ path }) => notice(what, path));
  return [
    ...of("Its label is behind, from a stop during add or remove", [
      ...assembly.outdated,
    ]),
    ...of("It was removed, but its label is still there", assembly.removed),
    ...of(
      "It was being added, but is no component",
      assembly.unfinished.filter(isUnused),
    ),
    ...assembly.unfinished.filter((one) => !isUnused(one)).map(({ path }) => ({
      ...notice("Its label is of a larger pool, but it is no component", path),
      effect: "none; clear it, or add it again with -f",
    })),
  ];
}

function damagedError(name: string, finding: Finding): VirstorError {
  const { what, where } = finding;
  return new VirstorError(
    "corrupt",
    `Cannot open pool "${name}": ${what.charAt(0).toLowerCase()}` +
      `${what.slice(1)} ("${where}"), virstor check tells more`,
  );
}

function notice(what: string, where: string): Finding {
  const effect = "none; the next open for writing puts it right";
  return { severity: "notice", what, where, effect };
}

function ignore(): void {}
