/**
 * `virstor replace`: puts another component in the place of one, in one command:
 * adds the new one, evacuates the old one, removes it. After an interruption the
 * same command goes on.
 *
 * @module
 */

import { printable, VirstorError } from "../../errors.ts";
import { callServer } from "../control/mod.ts";
import { refuseKnownComponents } from "../registry/mod.ts";
import { absolutePaths } from "../state/mod.ts";
import {
  type Environment,
  EXIT_OK,
  type Invocation,
  parseSize,
  print,
  printJson,
  printNotices,
  withProgress,
} from "../terminal/mod.ts";
import { add } from "./add.ts";
import { type Outcome, printLosses, type Removal, remove } from "./remove.ts";
import { surveyPool } from "./survey.ts";

/** Which component replaces which. */
interface Replacement {
  readonly stateDirectory: string;
  readonly name: string;
  readonly old: string;
  readonly new: string;
}

/**
 * Replaces a component of a pool, served or stopped.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If the pool refuses the new component, or has no room
 *   for what is on the old one: nothing has changed then. If the old component
 *   is not removed in the end, the new one stays.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [name = "", ...operands] = invocation.operands;
  const [old = "", fresh = ""] = absolutePaths(operands);
  const stateDirectory = environment.stateDirectory();
  const replacement = { stateDirectory, name, old, new: fresh };
  const rate = invocation.value("rate");
  const loss = invocation.value("accept-loss");
  const removal: Removal = {
    stateDirectory,
    name,
    paths: [old],
    rate: rate === undefined ? undefined : parseSize(rate, "rate"),
    mayLose: loss === undefined ? 0 : parseSize(loss, "accept-loss"),
    isDetached: invocation.flag("detach"),
  };
  const members = await membersOf(replacement);
  const isAdded = members.includes(fresh);
  if (!members.includes(old) && !isAdded) throw noMember(replacement);
  if (!isAdded) await addNew(invocation, replacement);
  else if (members.includes(old)) {
    printNotices([`"${fresh}" is a component already: going on with "${old}"`]);
  }
  const isThere = members.includes(old);
  if (!isThere) {
    printNotices([
      `"${old}" is no component of pool "${name}", and "${fresh}" is one: ` +
      "nothing is left to do",
    ]);
  }
  const { evacuating, lost } = isThere
    ? await removeOld(removal, replacement, isAdded)
    : { evacuating: [], lost: [] };
  if (!invocation.flag("json")) printLosses(name, lost);
  if (invocation.flag("json")) {
    const isDone = evacuating.length === 0;
    printJson({ name, old, new: fresh, isDone, lost });
  } else if (evacuating.length === 0) {
    print(
      `Replaced ${printable(old)} by ${printable(fresh)} in pool "${name}"`,
    );
  } else {
    print(
      `Added ${printable(fresh)} to pool "${name}"; ${printable(old)} is ` +
        "removed when it is evacuated",
    );
  }
  return EXIT_OK;
}

async function membersOf(
  { stateDirectory, name }: Replacement,
): Promise<string[]> {
  const { report, error } = await surveyPool(stateDirectory, name);
  if (error !== undefined) throw error;
  return (report?.pool.components ?? []).map(({ path }) => path);
}

async function addNew(
  invocation: Invocation,
  { stateDirectory, name, new: path }: Replacement,
): Promise<void> {
  const createSize = invocation.value("create");
  const force = invocation.flag("force");
  const request = {
    paths: [path],
    force,
    hardcode: false,
    ...createSize !== undefined &&
      { createSize: parseSize(createSize, "component size") },
  };
  if (!force) await refuseKnownComponents(stateDirectory, [path]);
  const { warnings } = await withProgress(
    `Adding to pool "${name}"`,
    add(stateDirectory, name, request),
  );
  printNotices(warnings);
}

/** Removes the old component; if there is no room for it, the new one, too. */
async function removeOld(
  removal: Removal,
  { stateDirectory, name, new: path }: Replacement,
  wasAdded: boolean,
): Promise<Pick<Outcome, "evacuating" | "lost">> {
  try {
    return await remove(removal);
  } catch (error) {
    const isRefused = error instanceof VirstorError &&
      ["no-space", "invalid"].includes(error.code);
    if (!isRefused || wasAdded) throw error;
    // It is empty unless a client has just written: then it stays.
    const paths = [path];
    const isEmpty = await callServer(stateDirectory, name, "planRemove", {
      paths,
    });
    if (isEmpty === undefined || isEmpty.answer.usedBytes === 0) {
      await remove({ ...removal, paths, isDetached: false });
    }
    throw error;
  }
}

function noMember({ name, old }: Replacement): VirstorError {
  return new VirstorError(
    "invalid",
    `Cannot replace "${old}": it is no component of pool "${name}"; "virstor ` +
      'status" lists its components',
  );
}
