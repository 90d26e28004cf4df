/**
 * Where the command line keeps what it knows between two calls: a directory
 * with the registry of pools and the control sockets. All of it may be
 * deleted while nothing is served; `virstor taste` brings it back.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { getBuiltinModule } from "node:process";
import { isAbsolute, join, resolve } from "node:path";
import type { Environment } from "../terminal/mod.ts";

/**
 * What the name of a pool's file may be long, without its ending: a file system
 * takes 255 bytes, but the path of a socket has to fit into much less. Every
 * name of 15 characters fits when it is encoded.
 */
const STEM_MAX = 45;
/** Of a name that is longer, so much is kept for people to know it by. */
const STEM_PREFIX_MAX = 10;
/** And so much of its hash: 128 bits, enough that no two names share it. */
const STEM_HASH_DIGITS = 32;

/**
 * Finds the state directory; does not make it.
 *
 * @param option The value of `--state-dir`, if given.
 * @param variable Reads an environment variable.
 * @returns What tells commands where it is.
 */
export function findStateDirectory(
  option: string | undefined,
  variable: (name: string) => string | undefined,
): Omit<Environment, "commands"> {
  const told = option || variable("VIRSTOR_STATE_DIR") || undefined;
  return {
    stateDirectory: () =>
      told === undefined ? defaultDirectory(variable) : resolve(told),
    stateDirectoryGiven: told !== undefined,
  };
}

function defaultDirectory(
  variable: (name: string) => string | undefined,
): string {
  const stateHome = variable("XDG_STATE_HOME") ?? "";
  // The XDG specification says that relative paths there are to be ignored.
  if (isAbsolute(stateHome)) return join(stateHome, "virstor");
  const home = variable("HOME") ?? "";
  if (!isAbsolute(home)) {
    throw new VirstorError(
      "invalid",
      "Cannot find the state directory: HOME is not set; " +
        "give it with --state-dir or VIRSTOR_STATE_DIR",
    );
  }
  return join(home, ".local", "state", "virstor");
}

/**
 * What a pool's files are called, without an ending. Pool names may hold any
 * character, and more of them than file names: they are percent-encoded, and
 * those that are too long then are known by their hash.
 */
function fileStem(name: string): string {
  const encoded = encodeURIComponent(name);
  if (encoded.length <= STEM_MAX) return encoded;
  const prefix = encoded.slice(0, STEM_PREFIX_MAX).replace(/%.?$/, "");
  // Few names are that long, and to load it takes longer than most commands.
  const { createHash } = getBuiltinModule("node:crypto");
  const hash = createHash("sha256").update(name).digest("hex");
  // No encoded name holds a "+".
  return `${prefix}+${hash.slice(0, STEM_HASH_DIGITS)}`;
}

/**
 * The path of the file that stands for a pool in the state directory.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @returns The path of the registry's file.
 */
export function registryPath(stateDirectory: string, name: string): string {
  return join(stateDirectory, "pools", `${fileStem(name)}.json`);
}

/**
 * The path of a served pool's control socket.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @returns The path; it may be longer than the system takes for a socket, see
 *   `socket_path.ts`.
 */
export function controlSocketPath(
  stateDirectory: string,
  name: string,
): string {
  return join(stateDirectory, "control", `${fileStem(name)}.sock`);
}
