/**
 * `virstor install-units`: prints the units for systemd with the paths of this
 * machine, or writes them.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { messageOf, VirstorError } from "../../errors.ts";
import { systemdUnits, type UnitPaths, USUAL_PATHS } from "../manuals/mod.ts";
import { absolutePath, listRegistry, parentPath } from "../state/mod.ts";
import {
  type Environment,
  EXIT_OK,
  type Invocation,
  print,
  printNotices,
  UsageError,
} from "../terminal/mod.ts";

/** Directories that the service cannot see. */
const HIDDEN = /^\/(home|root|run\/user)(\/|$)/;

/**
 * Prints or writes the units.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} `not-found` if a named pool is not known; `exists` if
 *   another unit would be overwritten; `io`.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const { operands } = invocation;
  const user = invocation.value("user") ?? USUAL_PATHS.user;
  if (!/^[a-z_][\w.-]*\$?$|^\d+$/i.test(user)) {
    throw new UsageError(`Option --user has no user "${user}"`);
  }
  const paths: UnitPaths = {
    program: programOf(invocation),
    stateDirectory: environment.stateDirectoryGiven
      ? environment.stateDirectory()
      : USUAL_PATHS.stateDirectory,
    directories: await directoriesOf(environment, operands),
    user,
  };
  const units = systemdUnits(paths);
  const target = invocation.value("write");
  if (target === undefined) {
    const texts = [...units].map(([name, text]) => `# ${name}\n${text}`);
    print(texts.join("\n").trimEnd());
  } else {
    await write(absolutePath(target), units, invocation.flag("force"));
  }
  printNotices(noticesOf(paths, environment));
  return EXIT_OK;
}

/** The program to start: that of the option, or the launcher of this one. */
function programOf(invocation: Invocation): string {
  const given = invocation.value("program");
  if (given !== undefined) return absolutePath(given);
  for (const beside of ["../../virstor", "./virstor"]) {
    const url = new URL(beside, import.meta.url);
    if (url.protocol !== "file:") continue;
    const path = fileURLToPath(url);
    if (isFile(path)) return path;
  }
  throw new UsageError(
    "The program virstor was not found beside this one",
    "Give its path with --program PATH",
  );
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** The directories of the components of the named pools, or of all. */
async function directoriesOf(
  environment: Environment,
  names: readonly string[],
): Promise<string[]> {
  const known = await listRegistry(environment.stateDirectory());
  for (const name of names) {
    if (known.some((entry) => entry.name === name)) continue;
    throw new VirstorError(
      "not-found",
      `Cannot make units for pool "${name}": it is not registered in ` +
        `"${environment.stateDirectory()}"; look for it with "virstor taste ` +
        'DIR"',
    );
  }
  const wanted = names.length === 0
    ? known
    : known.filter(({ name }) => names.includes(name));
  const directories = wanted.flatMap(({ components }) => components)
    .filter((path) => !path.startsWith("/dev/")).map(parentPath);
  return directories.length === 0
    ? [...USUAL_PATHS.directories]
    : [...new Set(directories)].toSorted();
}

async function write(
  directory: string,
  units: ReadonlyMap<string, string>,
  force: boolean,
): Promise<void> {
  for (const [name, text] of units) {
    const path = join(directory, name);
    const before = await Deno.readTextFile(path).catch(() => text);
    if (before === text || force) continue;
    throw new VirstorError(
      "exists",
      `Cannot write "${path}": there is another unit; -f overwrites it, a ` +
        `drop-in ("systemctl edit ${name}") keeps changes`,
    );
  }
  for (const [name, text] of units) {
    const path = join(directory, name);
    try {
      await Deno.writeTextFile(path, text);
    } catch (error) {
      throw new VirstorError(
        "io",
        `Cannot write "${path}": ${messageOf(error)}`,
        { cause: error },
      );
    }
    print(`Wrote ${path}`);
  }
  print(
    'Next: systemctl daemon-reload, then "systemctl enable --now virstor@POOL"',
  );
}

function noticesOf(
  { program, stateDirectory, directories }: UnitPaths,
  environment: Environment,
): string[] {
  const hidden = [program, Deno.execPath(), stateDirectory, ...directories]
    .filter((path) => HIDDEN.test(path));
  return [
    ...hidden.map((path) =>
      `The service cannot see "${path}", since it sees no home directories: ` +
      "move it elsewhere, or set ProtectHome=no in a drop-in"
    ),
    ...environment.stateDirectoryGiven ? [] : [
      `The units look for pools in "${stateDirectory}": register them there, ` +
      `with --state-dir ${stateDirectory} taste DIR`,
    ],
  ];
}
