/**
 * Repairing a stopped pool: everything that can be repaired without guessing,
 * and nothing else. A repair needs no free space in the pool.
 *
 * @module
 */

import { VirstorError } from "../errors.ts";
import {
  assemble,
  type Assembly,
  closeAll,
  refuseWriters,
  wipeDeviceLabels,
} from "./member/mod.ts";
import { type Finding, withPatience } from "./core/mod.ts";
import {
  checkComponents,
  deviceOpener,
  type PoolPlaces,
  readPool,
} from "./open.ts";
import {
  putAside,
  type RepairReport,
  type RepairTask as Task,
} from "./put_aside.ts";
import { rebuildSuperblocks } from "./format/native/mod.ts";

/** How to repair a pool. */
export interface RepairOptions extends PoolPlaces {
  /** Report what would be repaired, and write nothing; default false. */
  readonly dryRun?: boolean;
  /**
   * Paths of stale components to remove from the pool. Data that only they hold
   * are lost. Their files are not written.
   */
  readonly acceptStale?: readonly string[];
}

/**
 * Repairs a stopped pool.
 *
 * *Ensures*: while there is damage that cannot be repaired, nothing is written
 * except lost superblocks.
 *
 * @param paths Paths of its components.
 * @param options How to repair it.
 * @returns What was repaired, and what could not be.
 * @throws {VirstorError} `busy`, `invalid`, `io`; with `acceptStale` also
 *   `unsupported`, and `invalid` if one of these components is not stale.
 */
export async function repairComponents(
  paths: readonly string[],
  options: RepairOptions = {},
): Promise<RepairReport> {
  const { dryRun = false } = options;
  const openDevice = deviceOpener(options);
  const task: Task = { ...options, dryRun, openDevice };
  const { acceptStale = [] } = options;
  if (acceptStale.length > 0) return await putAside(paths, acceptStale, task);
  const rebuilt = await rebuild(paths, task);
  if (dryRun && rebuilt.findings.length > 0) {
    // Further findings show only once these superblocks are written.
    return { name: rebuilt.name, repaired: rebuilt.findings, refused: [] };
  }
  const checked = await checkComponents(paths, task);
  const notices = checked.findings.filter(isRepairable);
  const refused = checked.findings.filter((one) => !isRepairable(one));
  const repaired = [...rebuilt.findings];
  if (refused.length === 0 && notices.length > 0) {
    const reason = await putRight(paths, task);
    if (reason === "") repaired.push(...notices);
    else refused.push(readOnlyFinding(reason));
  }
  return { name: checked.name, repaired, refused };
}

function readOnlyFinding(what: string): Finding {
  const effect = "the findings that could be repaired remain";
  return { kind: "unreadable", severity: "damage", what, where: "", effect };
}

function isRepairable({ severity }: Finding): boolean {
  return severity === "notice";
}

async function rebuild(
  paths: readonly string[],
  task: Task,
): Promise<{ name: string; findings: Finding[] }> {
  let assembly: Assembly;
  try {
    assembly = await withPatience(() =>
      assemble(paths, { ...task, readOnly: true, isTolerant: true })
    );
  } catch (error) {
    // The check that follows explains better why the pool is unusable.
    if (error instanceof VirstorError && error.code !== "busy") {
      return { name: task.name ?? "", findings: [] };
    }
    throw error;
  }
  try {
    const findings = await rebuildSuperblocks(assembly, task);
    return { name: assembly.name, findings };
  } catch (error) {
    // The members contradict each other; the check that follows reports it.
    if (error instanceof VirstorError && error.code === "corrupt") {
      return { name: assembly.name, findings: [] };
    }
    throw error;
  } finally {
    await closeAll(assembly.found.map(({ device }) => device));
  }
}

/**
 * Recovers the pool as an open for writing does, and wipes stale labels.
 * Returns why the pool must not be written, or "".
 */
async function putRight(
  paths: readonly string[],
  task: Task,
): Promise<string> {
  const assembly = await withPatience(() =>
    assemble(paths, { ...task, readOnly: task.dryRun })
  );
  try {
    if (!task.dryRun) {
      for (const { device } of assembly.found) await refuseWriters(device);
    }
    const stored = await readPool(assembly, { degraded: false }, ({ what }) => {
      throw new VirstorError("corrupt", what);
    });
    if (task.dryRun || stored.readOnlyReason !== "") {
      return stored.readOnlyReason;
    }
    await stored.recover(() => {});
    await stored.format.stop();
    // A label of format 1 alone does not prove that its component is empty.
    if (stored.format.name === "freebsd") return "";
    const members = new Set(stored.format.members.map(({ device }) => device));
    for (const { device } of assembly.found) {
      if (members.has(device)) continue;
      await wipeDeviceLabels(device);
      device.leave?.();
    }
    return "";
  } finally {
    await closeAll(assembly.found.map(({ device }) => device));
  }
}
