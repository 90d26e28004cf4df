/**
 * `virstor taste`: looks for pools and registers them.
 *
 * @module
 */

import { counted, printable, VirstorError } from "../../errors.ts";
import { taste, type TastedPool, type TasteReport } from "../../pool/mod.ts";
import {
  type Environment,
  EXIT_OK,
  type Invocation,
  print,
  printError,
  printJson,
  printNotices,
  withProgress,
} from "../terminal/mod.ts";
import {
  knownSizeText,
  passedOverNotices,
  registerTasted,
} from "../registry/mod.ts";
import { absolutePaths, readRegistry, remoteComponents } from "../state/mod.ts";

/**
 * Looks for components and registers the pools that they form. A pool of which
 * some components are elsewhere is registered with the known ones.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} `not-found` if there is no component among the
 *   files; `exists` if two pools have the same name.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const stateDirectory = environment.stateDirectory();
  const paths = absolutePaths(invocation.operands);
  const report = await withKnownSizes(
    stateDirectory,
    await withProgress(
      "Looking for pools",
      taste(paths, { remote: remoteComponents(stateDirectory) }),
    ),
  );
  const passedOver = [...report.rejected];
  const pools: TastedPool[] = [];
  const errors: VirstorError[] = [];
  for (const named of Map.groupBy(report.pools, ({ name }) => name).values()) {
    const { pool, isKnown } = await oneOf(stateDirectory, named);
    if (pool !== undefined) {
      const registered = await registerTasted(stateDirectory, pool);
      if (!isKnown) pools.push(registered.pool);
      passedOver.push(...registered.copies);
    }
    if (named.length > 1) errors.push(twinsError(named));
  }
  if (invocation.flag("json")) {
    printJson({ pools, rejected: passedOver });
  } else {
    pools.forEach((pool) => print(poolText(pool)));
    printNotices(passedOverNotices(passedOver));
  }
  const [error, ...more] = errors;
  for (const { message } of more) printError(`virstor: ${message}`);
  if (error !== undefined) throw error;
  if (report.pools.length === 0) {
    throw new VirstorError(
      "not-found",
      `No pool found in ${paths.map((path) => `"${path}"`).join(", ")}`,
    );
  }
  return EXIT_OK;
}

/** Adds to files without a label what the registry knows of their size. */
async function withKnownSizes(
  stateDirectory: string,
  report: TasteReport,
): Promise<TasteReport> {
  const rejected = [];
  for (const { path, reason } of report.rejected) {
    const known = await knownSizeText(stateDirectory, path);
    rejected.push({ path, reason: known === "" ? reason : known });
  }
  return { ...report, rejected };
}

/**
 * Chooses one of several pools of a name, since the registry knows one pool of
 * each name: the registered pool, or else the only complete one, or none.
 */
async function oneOf(
  stateDirectory: string,
  named: readonly TastedPool[],
): Promise<{ pool: TastedPool | undefined; isKnown: boolean }> {
  const [first, second] = named;
  if (first === undefined || second === undefined) {
    return { pool: first, isKnown: false };
  }
  const entry = await readRegistry(stateDirectory, first.name);
  if (entry !== undefined) {
    const pool = named.find(({ id }) => id === entry.id);
    return { pool, isKnown: true };
  }
  const [whole, other] = named.filter(({ missing }) => missing.length === 0);
  return { pool: other === undefined ? whole : undefined, isKnown: false };
}

function twinsError(named: readonly TastedPool[]): VirstorError {
  const [pool, twin] = named;
  return new VirstorError(
    "exists",
    `Cannot register pool "${pool?.name}": "${pool?.components[0]?.path}" ` +
      `and "${twin?.components[0]?.path}" belong to different pools of ` +
      "this name; taste the files of one of them only",
  );
}

function poolText({ name, components, count, missing }: TastedPool): string {
  const found = count - missing.length;
  const lacks = found === count
    ? ""
    : `; component ${missing.join(", ")} missing`;
  const copies = components.length === found
    ? ""
    : "; there are copies: give the right ones with serve --component";
  const counts = `${found} of ${counted(count, "component")}${lacks}${copies}`;
  return `Pool "${printable(name)}": ${counts}`;
}
