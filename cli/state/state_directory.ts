/**
 * The state directory: the registry of pools and the control sockets. It may be
 * deleted while no pool is served; `virstor taste` restores it.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { type Environment, nodeProcess } from "../terminal/mod.ts";
import { absolutePath } from "./paths.ts";

/**
 * The longest name of a pool's file, bytes without its ending: a file system
 * takes 255 bytes, but the path of a socket has to fit into much less. Every
 * name of 15 ASCII characters fits when it is encoded.
 */
const STEM_MAX = 45;
/** A longer name is cut to so many characters, which people recognise. */
const STEM_PREFIX_MAX = 10;
/** They are followed by so many hexadecimal digits of its hash: 128 bits. */
const STEM_HASH_DIGITS = 32;

/**
 * Finds the state directory; does not create it.
 *
 * @param option The value of `--state-dir`, if given.
 * @param variable Reads an environment variable.
 * @returns A function that returns the path, and whether the user gave it.
 */
export function findStateDirectory(
  option: string | undefined,
  variable: (name: string) => string | undefined,
): Omit<Environment, "commands"> {
  const told = option || variable("VIRSTOR_STATE_DIR") || undefined;
  return {
    stateDirectory: () =>
      told === undefined ? defaultDirectory(variable) : absolutePath(told),
    stateDirectoryGiven: told !== undefined,
  };
}

function defaultDirectory(
  variable: (name: string) => string | undefined,
): string {
  const stateHome = variable("XDG_STATE_HOME") ?? "";
  // The XDG specification says that relative paths there are to be ignored.
  if (stateHome.startsWith("/")) return absolutePath(`${stateHome}/virstor`);
  const home = variable("HOME") ?? "";
  if (!home.startsWith("/")) {
    throw new VirstorError(
      "invalid",
      "Cannot find the state directory: HOME is not set; " +
        "give it with --state-dir or VIRSTOR_STATE_DIR",
    );
  }
  return absolutePath(`${home}/.local/state/virstor`);
}

/**
 * The name of a pool's files, without an ending. Pool names may hold any
 * character and be longer than file names: they are percent-encoded, and names
 * that are too long then are cut and followed by their hash.
 */
function fileStem(name: string): string {
  const encoded = encodeURIComponent(name);
  if (encoded.length <= STEM_MAX) return encoded;
  const prefix = encoded.slice(0, STEM_PREFIX_MAX).replace(/%.?$/, "");
  const { createHash } = nodeProcess().getBuiltinModule("node:crypto");
  const hash = createHash("sha256").update(name).digest("hex");
  // No encoded name holds a "+".
  return `${prefix}+${hash.slice(0, STEM_HASH_DIGITS)}`;
}

/**
 * The path of a pool's registry file.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @returns The path.
 */
export function registryPath(stateDirectory: string, name: string): string {
  return absolutePath(`${stateDirectory}/pools/${fileStem(name)}.json`);
}

/**
 * The path of a served pool's control socket.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @returns The path; it may be longer than the system takes for a socket, see
 *   `nbd/listen/socket_path.ts`.
 */
export function controlSocketPath(
  stateDirectory: string,
  name: string,
): string {
  return absolutePath(`${stateDirectory}/control/${fileStem(name)}.sock`);
}
