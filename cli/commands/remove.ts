/**
 * `virstor remove`: removes components from a pool. Components that hold data
 * are evacuated first.
 *
 * @module
 */

import {
  counted,
  isOrAre,
  nameInPool,
  printable,
  VirstorError,
} from "../../errors.ts";
import type { Loss, Pool, PoolOptions, PoolStatus } from "../../pool/mod.ts";
import type { RemovePlan } from "../../pool/change/mod.ts";
import { callServer } from "../control/mod.ts";
import {
  type Environment,
  EXIT_CODES,
  EXIT_OK,
  formatSize,
  type Invocation,
  parseSize,
  print,
  printJson,
  UsageError,
  withProgress,
} from "../terminal/mod.ts";
import { absolutePaths, forgetRate, rememberRate } from "../state/mod.ts";
import type { waitForRemoval } from "./wait_for_removal.ts";

/** A request to remove components. */
export interface Removal {
  /** The state directory. */
  readonly stateDirectory: string;
  /** The name of the pool. */
  readonly name: string;
  /** The components, absolute. */
  readonly paths: readonly string[];
  /** The most bytes a second; `undefined` for the default. */
  readonly rate: number | undefined;
  /** How much may be lost that cannot be read, bytes. */
  readonly mayLose: number;
  /** Whether not to wait for the evacuation; the pool has to be served. */
  readonly isDetached: boolean;
}

/** The paths of the components, by outcome. */
export interface Outcome {
  /** They are no longer members. */
  readonly removed: readonly string[];
  /** They will be removed. */
  readonly evacuating: readonly string[];
  /** They stay. */
  readonly kept: readonly string[];
  /** What could not be read, and was lost. */
  readonly lost: readonly Loss[];
}

/** The outcome of a removal that has done nothing. */
const NOTHING: Outcome = { removed: [], evacuating: [], kept: [], lost: [] };

/**
 * Removes components from a pool, through its server if the pool is served; or
 * shows what would move; or cancels a removal.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If the pool refuses, then nothing has changed; or if
 *   the components are not removed in the end.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [name = "", ...operands] = invocation.operands;
  checkOptions(invocation);
  const rate = invocation.value("rate");
  const loss = invocation.value("accept-loss");
  const removal: Removal = {
    stateDirectory: environment.stateDirectory(),
    name,
    paths: absolutePaths(operands),
    rate: rate === undefined ? undefined : parseSize(rate, "rate"),
    mayLose: loss === undefined ? 0 : parseSize(loss, "accept-loss"),
    isDetached: invocation.flag("detach"),
  };
  if (invocation.flag("dry-run")) {
    return showPlan(invocation, name, await plan(removal));
  }
  const outcome = invocation.flag("cancel")
    ? await cancel(removal)
    : await remove(removal);
  showOutcome(invocation, name, outcome);
  return EXIT_OK;
}

/** Refuses options that contradict one another. */
function checkOptions(invocation: Invocation): void {
  const modes = ["dry-run", "cancel", "wait", "detach"]
    .filter((option) => invocation.flag(option));
  const movesNothing = modes[0] === "dry-run" || modes[0] === "cancel";
  for (const option of ["rate", "accept-loss"]) {
    const isGiven = invocation.value(option) !== undefined;
    if (movesNothing && isGiven) modes.push(option);
  }
  const [first, second] = modes;
  if (second === undefined) return;
  throw new UsageError(
    `Options --${first} and --${second} exclude one another`,
    'Try "virstor remove --help"',
  );
}

/** Opens the stopped pool, changes it and closes it. */
async function change<T>(
  { stateDirectory, name }: Removal,
  more: PoolOptions,
  act: (pool: Pool) => Promise<T>,
): Promise<T> {
  const { changeStopped } = await import("../registry/mod.ts");
  return await changeStopped({ stateDirectory, name }, act, more);
}

async function plan(removal: Removal): Promise<RemovePlan> {
  const { stateDirectory, name, paths } = removal;
  const reply = await callServer(stateDirectory, name, "planRemove", {
    paths,
  });
  if (reply !== undefined) return reply.answer;
  return await change(
    removal,
    { readOnly: true },
    (pool) => Promise.resolve(pool.planRemove(paths)),
  );
}

async function cancel(removal: Removal): Promise<Outcome> {
  const { stateDirectory, name, paths } = removal;
  const reply = await callServer(stateDirectory, name, "cancelRemove", {
    paths,
  });
  if (reply !== undefined) {
    return { ...NOTHING, ...reply.answer };
  }
  const { kept } = await change(
    removal,
    { evacuation: { paused: true } },
    (pool) => pool.cancelRemove(paths),
  );
  return { ...NOTHING, kept };
}

/**
 * Removes components, through the server if the pool is served.
 *
 * @param removal The components, and how.
 * @returns What became of them.
 * @throws {VirstorError} If the pool refuses, then nothing has changed; or if
 *   the components are not removed in the end.
 */
export async function remove(removal: Removal): Promise<Outcome> {
  const { stateDirectory, name, paths, rate, mayLose, isDetached } = removal;
  const doing = `Removing from pool "${name}"`;
  const reply = await withProgress(
    doing,
    callServer(stateDirectory, name, "remove", {
      paths,
      ...rate !== undefined && { bytesPerSecond: rate },
      mayLose,
    }),
  );
  if (reply === undefined) return await removeFromStopped(removal, doing);
  const { removed, evacuating } = reply.answer;
  if (isDetached || evacuating.length === 0) {
    return { ...NOTHING, removed, evacuating };
  }
  const lost = await untilRemoved({
    name,
    evacuating,
    ask: async () => {
      const ask = () => callServer(stateDirectory, name, "status", null);
      // A server that ends may drop a request; the second finds no server.
      return (await ask().catch(ask))?.answer.pool;
    },
    whenInterrupted: 'it continues; "virstor status" shows its progress, ' +
      '"virstor remove --cancel" ends it',
  });
  return { ...NOTHING, removed: [...removed, ...evacuating], lost };
}

async function removeFromStopped(
  removal: Removal,
  doing: string,
): Promise<Outcome> {
  const { stateDirectory, name, paths, rate, mayLose, isDetached } = removal;
  if (isDetached) {
    throw new UsageError(
      `Cannot detach from the evacuation of pool "${name}": the pool is not ` +
        "served, so no process would continue it",
      "Leave --detach out, or serve the pool",
    );
  }
  return await change(
    removal,
    { evacuation: { paused: true } },
    async (pool) => {
      const { removed, evacuating } = await withProgress(
        doing,
        pool.remove(paths, { bytesPerSecond: rate ?? 0, mayLose }),
      );
      // After a stop in the middle a server continues at this rate.
      if (rate === undefined) await forgetRate(stateDirectory, name);
      else await rememberRate(stateDirectory, name, rate);
      const lost = evacuating.length > 0
        ? await evacuateHere(pool, name, evacuating)
        : [];
      return { ...NOTHING, removed: [...removed, ...evacuating], lost };
    },
  );
}

function evacuateHere(
  pool: Pool,
  name: string,
  evacuating: readonly string[],
): Promise<Loss[]> {
  return untilRemoved({
    name,
    evacuating,
    ask: () => Promise.resolve(pool.status()),
    whenInterrupted: "the next open for writing continues it",
  });
}

interface Waiting {
  readonly name: string;
  readonly evacuating: readonly string[];
  ask(): ReturnType<Parameters<typeof waitForRemoval>[0]["ask"]>;
  /** What becomes of the evacuation when the command stops waiting for it. */
  readonly whenInterrupted: string;
}

/** @returns What was lost. */
async function untilRemoved(
  { name, evacuating, ask, whenInterrupted }: Waiting,
): Promise<Loss[]> {
  const { handleSignals } = await import("../signals/mod.ts");
  const { waitForRemoval } = await import("./wait_for_removal.ts");
  const interrupt = new AbortController();
  const removeHandlers = handleSignals({
    begin: (signal) =>
      interrupt.abort(
        new VirstorError(
          "cancelled",
          `Got ${signal} during the evacuation of pool "${name}": ` +
            whenInterrupted,
        ),
      ),
  });
  try {
    const { signal } = interrupt;
    let latest: PoolStatus | undefined;
    await waitForRemoval({
      ...{ name, paths: evacuating, signal },
      ask: async () => latest = await ask(),
    });
    const { ranges } = latest?.lost ?? { ranges: [] };
    return ranges.filter(({ path }) => evacuating.includes(path));
  } finally {
    removeHandlers();
  }
}

function showPlan(
  invocation: Invocation,
  name: string,
  plan: RemovePlan,
): number {
  const { components, usedBytes, freeBytes, reservedBytes, fits } = plan;
  if (invocation.flag("json")) {
    printJson({ name, ...plan });
  } else {
    for (const { path, usedBytes: used } of components) {
      print(`Would remove ${printable(path)}, moving ${formatSize(used)}`);
    }
    const aside = reservedBytes === 0
      ? ""
      : `, with ${formatSize(reservedBytes)} reserved for volumes`;
    print(
      `${formatSize(usedBytes)} would move, ${formatSize(freeBytes)} free ` +
        `on the others${aside}: ${fits ? "it fits" : "it does not fit"}`,
    );
  }
  return fits ? EXIT_OK : EXIT_CODES["no-space"];
}

function showOutcome(
  invocation: Invocation,
  name: string,
  outcome: Outcome,
): void {
  if (invocation.flag("json")) return printJson({ name, ...outcome });
  const { removed, evacuating, kept, lost } = outcome;
  printLosses(name, lost);
  if (removed.length > 0) {
    print(`Removed ${componentsOf(removed)} from pool "${name}"`);
  }
  if (evacuating.length > 0) {
    print(
      `Evacuating ${componentsOf(evacuating)} of pool "${name}", which ` +
        `${isOrAre(evacuating.length)} removed afterwards`,
    );
  }
  if (kept.length > 0) print(`Kept ${componentsOf(kept)} in pool "${name}"`);
  if (!invocation.flag("verbose")) return;
  for (const path of [...removed, ...evacuating, ...kept]) {
    print(printable(path));
  }
}

/**
 * Prints what was lost, a line for each range.
 *
 * @param pool The name of the pool.
 * @param lost The ranges.
 */
export function printLosses(pool: string, lost: readonly Loss[]): void {
  for (const { path, names, offset, length } of lost) {
    const where = `${formatSize(length)} at byte ${offset}`;
    const of = names.map((name) => printable(nameInPool(pool, name)));
    print(
      `Lost ${where} of ${of.join(", ")}: ${printable(path)} cannot read them`,
    );
  }
}

function componentsOf({ length }: readonly string[]): string {
  return counted(length, "component");
}
