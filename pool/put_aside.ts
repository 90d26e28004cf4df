/**
 * Putting stale components of a pool of format 2 aside: one generation turns it
 * into a pool without them, as after a removal. Data that only they hold are
 * lost; the report lists them. Their files are not written: they are left out
 * because the pool no longer lists them as members.
 *
 * @module
 */

import {
  assert,
  counted,
  inBytes,
  shownPath,
  VirstorError,
} from "../errors.ts";
import type { Superblock } from "../metadata/native/mod.ts";
import {
  assemble,
  type Assembly,
  closeAll,
  type OpenComponent,
  refuseWriters,
  truthAmong,
} from "./member/mod.ts";
import {
  type Finding,
  type ForwardMap,
  identityAt,
  type OpenDevice,
  withPatience,
} from "./core/mod.ts";
import { readNativePool, scanTable, tableOf } from "./format/native/mod.ts";
import type { PoolPlaces } from "./open.ts";
import type { StoredPool } from "./format/mod.ts";

/** A report lists at most this many ranges of lost chunks. */
const RANGES_MAX = 20;

/** The result of a repair, or of a dry run. */
export interface RepairReport {
  /** The pool's name; "" if unknown. */
  readonly name: string;
  /** What was repaired, or would be. */
  readonly repaired: readonly Finding[];
  /** What cannot be repaired without guessing; then nothing was written. */
  readonly refused: readonly Finding[];
  /** Paths of the remaining components, if the pool has fewer than before. */
  readonly members?: readonly string[];
}

/** A repair with its defaults filled in. */
export interface RepairTask extends PoolPlaces {
  /** Report what would be done, and write nothing. */
  readonly dryRun: boolean;
  /** Opens a component. */
  readonly openDevice: OpenDevice;
}

/**
 * Removes stale components from a stopped pool.
 *
 * @param paths Paths of its components.
 * @param stale Paths of the stale ones.
 * @param task How to repair the pool.
 * @returns What was done; `refused` if the pool is damaged without them.
 * @throws {VirstorError} `invalid` if a component is not stale, `unsupported`
 *   in format 1, `not-found`, `busy`, `io`.
 */
export async function putAside(
  paths: readonly string[],
  stale: readonly string[],
  task: RepairTask,
): Promise<RepairReport> {
  const all = [...paths, ...stale];
  const assembly = await withPatience(() =>
    assemble(all, { ...task, readOnly: task.dryRun })
  );
  try {
    if (!task.dryRun) {
      for (const { device } of assembly.found) await refuseWriters(device);
    }
    return await reduce(assembly, stale, task.dryRun);
  } finally {
    await closeAll(assembly.found.map(({ device }) => device));
  }
}

async function reduce(
  assembly: Assembly,
  paths: readonly string[],
  dryRun: boolean,
): Promise<RepairReport> {
  const { name } = assembly;
  const aside = paths.map((path) => componentAt(assembly, path));
  if (aside.length === assembly.found.length) {
    throw new VirstorError(
      "invalid",
      `Cannot remove all components of pool "${name}": one has to stay`,
    );
  }
  const doubts = await doubtsIn(assembly);
  const refused: Finding[] = [];
  const stored = await readNativePool(
    assembly,
    { degraded: false, aside },
    (finding) => refused.push(finding),
  );
  const members = stored.format.members.map(({ device }) => device.path);
  if (stored.readOnlyReason !== "") {
    throw new VirstorError("unsupported", stored.readOnlyReason);
  }
  const kept = assembly.found.filter((one) => !aside.includes(one));
  const truth = truthAmong(
    kept.flatMap(({ label }) => label.format === "native" ? [label] : []),
  );
  const repaired: Finding[] = [];
  for (const one of aside) {
    const reason = doubts === undefined
      ? "It contradicts the others"
      : doubts.get(one.path);
    if (reason === undefined) throw notStale(name, one.path);
    repaired.push(await asideFinding(one, reason, stored, truth));
  }
  if (refused.length > 0) return { name, repaired: [], refused };
  if (!dryRun) {
    await stored.recover(() => {});
    await stored.format.stop();
  }
  return { name, repaired, refused, members };
}

function componentAt(
  { name, found, faults }: Assembly,
  path: string,
): OpenComponent {
  const shown = shownPath(path);
  const identity = identityAt(shown);
  const one = found.find(({ path, device }) =>
    path === shown || device.identity === identity
  );
  if (one?.label.format === "native") return one;
  if (one !== undefined) {
    throw new VirstorError(
      "unsupported",
      `Cannot accept "${path}" as stale: a pool of format freebsd needs all ` +
        "its components",
    );
  }
  const fault = faults.find((each) => each.path === path)?.error.message;
  throw new VirstorError(
    "invalid",
    `Cannot accept "${path}" as stale: it is no component of pool ` +
      `"${name}"` +
      (fault === undefined ? "" : ` (${fault})`),
  );
}

/**
 * Why each component is stale; undefined if members contradict each other, so
 * that only the user can tell which of them is right.
 */
async function doubtsIn(
  assembly: Assembly,
): Promise<Map<string, string> | undefined> {
  try {
    const { stale } = await readNativePool(
      assembly,
      { degraded: true },
      () => {},
    );
    return new Map(stale.map(({ path, what }) => [path, what]));
  } catch (error) {
    const isContradiction = error instanceof VirstorError &&
      error.code === "corrupt";
    if (isContradiction) return undefined;
    throw error;
  }
}

function notStale(name: string, path: string): VirstorError {
  return new VirstorError(
    "invalid",
    `Cannot accept "${path}" as stale: nothing shows that it is older than ` +
      `the rest of pool "${name}", use virstor remove for sound components`,
  );
}

async function asideFinding(
  { path, device, label }: OpenComponent,
  reason: string,
  { volumes, format, chunkSize }: StoredPool,
  { clean }: Superblock,
): Promise<Finding> {
  assert(label.format === "native", "components of format 2 only");
  const table = tableOf(device, label);
  const lost: number[] = [];
  await scanTable(table, {
    page() {},
    unsound() {},
    owned({ volume, virtualChunk }) {
      const map = volumes.find(({ record }) => record.id === volume)?.map;
      if (map !== undefined && isLost(map, virtualChunk)) {
        lost.push(virtualChunk);
      }
    },
  });
  const left = counted(format.members.length, "component");
  const zeroed = `${counted(lost.length, "chunk")} of ${inBytes(chunkSize)} ` +
    `that only it holds ${lost.length === 1 ? "reads" : "read"}`;
  return {
    kind: "stale",
    severity: "damage",
    what: `${reason}; the pool goes on without it, with ${left}`,
    where: path,
    effect:
      (lost.length === 0
        ? "no chunk on it is lost"
        : `${zeroed} as zeroes now: virtual chunks ${rangesText(lost)}`) +
      "; later writes to it are lost, too" +
      (clean
        ? ""
        : ", and the pool was not stopped cleanly: chunks that were moved " +
          "shortly before may show older data") +
      "; the file stays unchanged",
  };
}

function isLost(map: ForwardMap, virtualChunk: number): boolean {
  return virtualChunk < map.virtualChunks &&
    map.component(virtualChunk) === undefined;
}

/** Numbers as ranges, as `3-7, 12`. */
function rangesText(numbers: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.[1] === number - 1) last[1] = number;
    else if (last?.[1] !== number) ranges.push([number, number]);
  }
  const shown = ranges.slice(0, RANGES_MAX).map(([first, last]) =>
    first === last ? `${first}` : `${first}-${last}`
  );
  const more = ranges.length - shown.length;
  return shown.join(", ") + (more > 0 ? ` and ${more} more ranges` : "");
}
