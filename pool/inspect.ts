/**
 * The status of a stopped pool, also if components are missing.
 *
 * @module
 */

import { VirstorError } from "../errors.ts";
import type { FreebsdLabel } from "../metadata/freebsd/mod.ts";
import {
  assemble,
  type Assembly,
  closeAll,
  type OpenComponent,
  planMembers,
} from "./member/mod.ts";
import {
  Component,
  type MissingMember,
  newCounters,
  withPatience,
} from "./core/mod.ts";
import { openPool, placesOf, type PoolPlaces } from "./open.ts";
import { describePool, type PoolStatus } from "./status.ts";

/** How to inspect a stopped pool. */
export interface InspectOptions extends PoolPlaces {
  /**
   * Accept missing components; the figures are then those of the others.
   * Default false: a missing component is an error.
   */
  readonly incomplete?: boolean;
}

/**
 * Describes a stopped pool, without writing to it.
 *
 * @param paths Paths of its components.
 * @param options Which pool, if the paths hold several, and how to inspect it.
 * @returns Its status, in state `stopped`.
 * @throws {VirstorError} As {@linkcode openPool}.
 */
export async function inspectComponents(
  paths: readonly string[],
  options: InspectOptions = {},
): Promise<PoolStatus> {
  const { incomplete = false, ...places } = options;
  try {
    const pool = await openPool(paths, {
      ...places,
      readOnly: true,
      degraded: incomplete,
    });
    try {
      await pool.lookAtHosts();
      const status = pool.status();
      const { writeReason = "" } = pool.settings;
      const readOnly = writeReason !== "" || status.missing.length > 0;
      return { ...status, state: "stopped", readOnly };
    } finally {
      await pool.close();
    }
  } catch (error) {
    // An incomplete pool of format 1 cannot be opened; its labels say a little.
    const isFreebsd = error instanceof VirstorError &&
      error.code === "unsupported";
    if (!incomplete || !isFreebsd) throw error;
  }
  const assembly = await withPatience(() =>
    assemble(paths, { ...placesOf(places), readOnly: true })
  );
  try {
    return describeLabels(assembly);
  } finally {
    await closeAll(assembly.found.map(({ device }) => device));
  }
}

/** The status that labels of format 1 describe, as of the last clean stop. */
function describeLabels({ name, found }: Assembly): PoolStatus {
  const labelled = found.filter(({ label }) => label.format === "freebsd");
  const plan = planMembers(labelled as OpenComponent<FreebsdLabel>[]);
  const missing: MissingMember[] = [];
  const members: Component[] = [];
  for (const [index, one] of plan.members.entries()) {
    if (one !== undefined) members.push(componentOf(one, index));
    else missing.push({ index, uuid: "", chunkCount: 0 });
  }
  const { label } = plan.members.find((one) => one !== undefined) ?? {};
  if (label === undefined) {
    throw new VirstorError(
      "not-found",
      `Cannot read pool "${name}": none of its components was found`,
    );
  }
  const { virtualSize: size } = label;
  const mappedChunks = members.reduce((sum, { used }) => sum + used, 0);
  const status = describePool({
    settings: {
      name,
      id: String(label.id),
      chunkSize: label.chunkSize,
      readOnly: true,
      missing,
      warnings: [
        "Components are missing: figures are of the others, at the last stop",
      ],
      onFull: "delay",
      fullTimeoutSeconds: 0,
      maxDelayedBytes: 0,
      watermarks: { chunks: 0, components: 0 },
      onEvent: () => {},
    },
    format: { name: "freebsd", members },
    summaries: [{
      name,
      number: 0,
      size,
      created: null,
      parent: null,
      quota: 0,
      reserve: 0,
      onFull: "",
      readOnly: false,
      usedBytes: mappedChunks * label.chunkSize,
      mappedChunks,
      snapshots: [],
    }],
    volumes: [{
      size,
      mappedChunks,
      delayed: {
        size: 0,
        bytes: 0,
        oldestMs: 0,
        total: 0,
        timedOut: 0,
        cancelled: 0,
      },
      counters: newCounters(),
    }],
    evacuation: undefined,
    lost: { bytes: 0, ranges: [] },
    jobs: [],
    state: "stopped",
    reason: "",
  });
  return status;
}

function componentOf(
  { device, label }: OpenComponent<FreebsdLabel>,
  index: number,
): Component {
  const { chunkCount, chunkReserved, chunkNext, hardcodedName } = label;
  const size = label.componentSize;
  const geometry = { size, chunkCount, chunkReserved, hardcodedName };
  const component = new Component(index + 1, index, device, geometry);
  const end = Math.min(chunkNext, chunkCount);
  for (let chunk = chunkReserved; chunk < end; chunk++) component.use(chunk);
  return component;
}
