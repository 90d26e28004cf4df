/**
 * Doing without stale components of a pool of format 2: it becomes a pool
 * without them, in one generation, as after a removal. What only they hold is
 * lost, and is told before. Their files are not written: they are left out
 * because they are no members any more.
 *
 * @module
 */

import { fileIdentity } from "../device/file/mod.ts";
import { assert, counted, inBytes, VirstorError } from "../errors.ts";
import type { Superblock } from "../metadata/native/mod.ts";
import {
  assemble,
  type Assembly,
  type OpenComponent,
  refuseWriters,
  truthAmong,
} from "./member/mod.ts";
import {
  type Finding,
  type ForwardMap,
  type OpenDevice,
  withPatience,
} from "./core/mod.ts";
import { readNativePool, scanTable, tableOf } from "./format/native/mod.ts";
import type { PoolPlaces } from "./open.ts";
import type { StoredPool } from "./format/mod.ts";

/** So many ranges of lost chunks are told. */
const RANGES_MAX = 20;

/** What was done, or would be. */
export interface RepairReport {
  /** The pool's name; "" if that is unknown. */
  readonly name: string;
  /** What was put right. */
  readonly repaired: readonly Finding[];
  /** What cannot be put right without guessing; then nothing was written. */
  readonly refused: readonly Finding[];
  /** The components of the pool, if there are fewer than before. */
  readonly members?: readonly string[];
}

/** How something is repaired. */
export interface RepairTask extends PoolPlaces {
  /** Only say what would be done. */
  readonly dryRun: boolean;
  /** How components are opened. */
  readonly openDevice: OpenDevice;
}

/**
 * Makes a pool do without stale components.
 *
 * @param paths Where its components are.
 * @param stale Where the stale ones are.
 * @param task How.
 * @returns What was done; refused if the pool is not sound without them.
 * @throws {VirstorError} `invalid` if one is not stale, `unsupported` in format
 *   1, `not-found`, `busy`, `io`.
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
    for (const { device } of assembly.found) await device.close();
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
      `Cannot do without all components of pool "${name}"`,
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
  const identity = fileIdentity(path);
  const one = found.find(({ device }) => device.identity === identity);
  if (one?.label.format === "native") return one;
  if (one !== undefined) {
    throw new VirstorError(
      "unsupported",
      `Cannot do without "${path}": a pool of format freebsd needs all its ` +
        "components",
    );
  }
  const fault = faults.find((each) => each.path === path)?.error.message;
  throw new VirstorError(
    "invalid",
    `Cannot do without "${path}": it is no component of pool "${name}"` +
      (fault === undefined ? "" : ` (${fault})`),
  );
}

/**
 * Why each component is stale; undefined if some contradict each other, so that
 * only the user can tell which one is right.
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
    `Cannot do without "${path}": nothing says that it is older than the rest ` +
      `of pool "${name}"; virstor remove takes components out`,
  );
}

async function asideFinding(
  { path, device, label }: OpenComponent,
  reason: string,
  { map, format, chunkSize }: StoredPool,
  { clean }: Superblock,
): Promise<Finding> {
  assert(label.format === "native", "components of format 2 only");
  const table = tableOf(device, label.componentUuid, label.chunkSize);
  const lost: number[] = [];
  await scanTable(table, {
    page() {},
    unsound() {},
    owned(_chunk, virtualChunk) {
      if (isLost(map, virtualChunk)) lost.push(virtualChunk);
    },
  });
  const left = counted(format.members.length, "component");
  const zeroed = `${counted(lost.length, "chunk")} of ${inBytes(chunkSize)} ` +
    `that only it holds ${lost.length === 1 ? "reads" : "read"}`;
  return {
    kind: "stale",
    severity: "damage",
    what: `${reason}; the pool does without it, with ${left}`,
    where: path,
    effect:
      (lost.length === 0
        ? "no chunk that it holds is lost"
        : `${zeroed} as zeroes now: virtual chunks ${rangesText(lost)}`) +
      "; so does what was written to it since then" +
      (clean
        ? ""
        : ", and the pool was not stopped cleanly: chunks that were moved " +
          "shortly before may show what they held then") +
      "; the file stays as it is",
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
  const told = ranges.slice(0, RANGES_MAX).map(([first, last]) =>
    first === last ? `${first}` : `${first}-${last}`
  );
  const more = ranges.length - told.length;
  return told.join(", ") + (more > 0 ? ` and ${more} more ranges` : "");
}
