/**
 * Repairing a stopped pool: everything that can be put right without guessing,
 * and nothing else. It needs no free space in the pool.
 *
 * @module
 */

import { VirstorError } from "../errors.ts";
import {
  assemble,
  type Assembly,
  refuseWriters,
  wipeDeviceLabels,
} from "./member/mod.ts";
import { type Finding, openFileDevice, withPatience } from "./core/mod.ts";
import { checkComponents, type PoolPlaces, readPool } from "./open.ts";
import {
  putAside,
  type RepairReport,
  type RepairTask as Task,
} from "./put_aside.ts";
import { rebuildSuperblocks } from "./format/native/mod.ts";

/** How a pool is repaired. */
export interface RepairOptions extends PoolPlaces {
  /** Only say what would be done. */
  readonly dryRun?: boolean;
  /**
   * Stale components that the pool is to do without. What only they hold is
   * lost. The files are not written.
   */
  readonly acceptStale?: readonly string[];
}

/**
 * Repairs a stopped pool. As long as there is damage that it cannot put right,
 * it writes nothing, apart from superblocks that are lost.
 *
 * @param paths Where its components are.
 * @param options How.
 * @returns What was done.
 * @throws {VirstorError} `busy`, `invalid`, `io`; with `acceptStale` also
 *   `unsupported`, and `invalid` if one of them is not stale.
 */
export async function repairComponents(
  paths: readonly string[],
  options: RepairOptions = {},
): Promise<RepairReport> {
  const { dryRun = false, openDevice = openFileDevice } = options;
  const task: Task = { ...options, dryRun, openDevice };
  const { acceptStale = [] } = options;
  if (acceptStale.length > 0) return await putAside(paths, acceptStale, task);
  const rebuilt = await rebuild(paths, task);
  if (dryRun && rebuilt.findings.length > 0) {
    // What else there is shows only once these are written.
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
  const effect = "what can be put right stays as it is";
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
    // A check says in better words why nothing can be made of it.
    if (error instanceof VirstorError && error.code !== "busy") {
      return { name: task.name ?? "", findings: [] };
    }
    throw error;
  }
  try {
    const findings = await rebuildSuperblocks(assembly, task);
    return { name: assembly.name, findings };
  } catch (error) {
    // The other members contradict each other: a check says so, too.
    if (error instanceof VirstorError && error.code === "corrupt") {
      return { name: assembly.name, findings: [] };
    }
    throw error;
  } finally {
    for (const { device } of assembly.found) await device.close();
  }
}

/**
 * Does what an open for writing does, and wipes labels that are stale; gives
 * the reason why nothing may be written, or "".
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
    // In format 1 a label alone does not tell that nothing is on it.
    if (stored.format.name === "freebsd") return "";
    const members = new Set(stored.format.members.map(({ device }) => device));
    for (const { device } of assembly.found) {
      if (!members.has(device)) await wipeDeviceLabels(device);
    }
    return "";
  } finally {
    for (const { device } of assembly.found) await device.close();
  }
}
