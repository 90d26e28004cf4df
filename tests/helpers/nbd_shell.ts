/**
 * Runs `nbdsh`, libnbd's shell for Python: a client in which a test can choose
 * every setting and call, also those that other clients avoid.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { dirname } from "node:path";
import { peerPath } from "./peers.ts";

/**
 * What every script has: `h`, a handle that checks nothing by itself, the
 * server's `uri`, `path` of its socket, `tell`, which adds to the result, and
 * `attempt`, which gives what a call returned or the name of its error.
 */
const PRELUDE = `
import json, os
uri = os.environ["NBD_URI"]
path = os.environ["NBD_SOCKET"]
told = []
def tell(*values):
    told.append(list(values))
def attempt(call, *args):
    try:
        result = call(*args)
        return "ok" if result is None else result
    except nbd.Error as error:
        return error.errno or "failed"
def handle():
    fresh = nbd.NBD()
    fresh.set_strict_mode(0)
    return fresh
h = handle()
`;

const POSTLUDE = `
print(json.dumps(told, default=lambda value: bytes(value).hex()))
`;

/**
 * Runs a script, which must succeed.
 *
 * @param uri Where the server listens.
 * @param script Python, not indented.
 * @returns The arguments of each `tell` of the script; bytes are hexadecimal.
 */
export async function nbdShell(
  uri: string,
  script: string,
): Promise<unknown[][]> {
  const program = peerPath("nbdsh") ?? "nbdsh";
  // The Python beside it is the one that knows of libnbd. A working directory
  // with a directory "nbd" in it would be taken for the module.
  const path = `${dirname(program)}:${Deno.env.get("PATH") ?? ""}`;
  const socket = new URL(uri).searchParams.get("socket") ?? "";
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: ["-n", "-c", "import nbd", "-c", PRELUDE + script + POSTLUDE],
    stdin: "null",
    cwd: "/",
    env: { LC_ALL: "C", NBD_URI: uri, NBD_SOCKET: socket, PATH: path },
  }).output();
  const decoder = new TextDecoder();
  assertEquals([code, decoder.decode(stderr)], [0, ""]);
  return JSON.parse(decoder.decode(stdout));
}
