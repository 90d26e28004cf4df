/**
 * `virstor demo`: makes and serves a small pool to try virstor with.
 *
 * @module
 */

import { ensureDir } from "@std/fs";
import { join, relative, resolve } from "node:path";
import { labelPool } from "../../pool/label/mod.ts";
import { taste } from "../../pool/mod.ts";
import { DEFAULT_ADDRESS } from "../../nbd/listen/mod.ts";
import { parseListenAddress } from "../listen/mod.ts";
import {
  type Environment,
  formatSize,
  type Invocation,
  print,
  printNotices,
} from "../terminal/mod.ts";
import type { StatusReport } from "../control/mod.ts";
import { type ClaimedName, whileClaimed } from "../state/mod.ts";
import { plainSettings, servePools } from "../serve/mod.ts";
import { statusText } from "./status_text.ts";

/** The pool's name. */
const NAME = "demo";
/** The directory of its components, relative to the working directory. */
const DIRECTORY = "demo-pool";
/** The size of each of its components, bytes. */
const COMPONENT_SIZE = 64 * 1024 ** 2;
/** Its virtual size, bytes. */
const VIRTUAL_SIZE = 1024 ** 3;

/**
 * Makes a small pool, or opens an existing one, and serves it until Ctrl-C.
 *
 * @param invocation The command line.
 * @param environment The state directory; by default a directory beside the
 *   components.
 * @returns The exit code.
 * @throws {VirstorError} If the pool cannot be made or served.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const listen = invocation.value("listen");
  const address = listen === undefined
    ? DEFAULT_ADDRESS
    : parseListenAddress(listen);
  const stateDirectory = environment.stateDirectoryGiven
    ? environment.stateDirectory()
    : resolve(DIRECTORY, "state");
  return await servePools({
    stateDirectory,
    pools: [{ name: NAME, prepare: () => makePool(stateDirectory) }],
    poolOptions: {},
    settings: plainSettings(address),
    onReady: (report) => {
      print(`\n${statusText(report)}\n`);
      print(advice(report, stateDirectory));
    },
  });
}

/** Makes the pool, unless it exists. */
async function makePool(stateDirectory: string): Promise<void> {
  await ensureDir(DIRECTORY);
  const what = `make pool "${NAME}"`;
  await whileClaimed(stateDirectory, NAME, what, makeUnderName);
}

async function makeUnderName({ read, update }: ClaimedName): Promise<void> {
  if (await read() !== undefined) return;
  // The pool may exist although the registry is lost.
  const { pools } = await taste([resolve(DIRECTORY)]);
  const known = pools.find(({ name }) => name === NAME);
  if (known !== undefined) {
    return await update(() => Promise.resolve(known));
  }
  const made = await labelPool({
    name: NAME,
    paths: [0, 1].map((index) => resolve(DIRECTORY, `component-${index}.img`)),
    virtualSize: VIRTUAL_SIZE,
    createSize: COMPONENT_SIZE,
  });
  printNotices(made.notices);
  await update(() => Promise.resolve(made));
}

/** Commands to try next. */
function advice(
  { pool, server }: StatusReport,
  stateDirectory: string,
): string {
  const uri = server?.uri ?? "";
  const room = (pool.physicalChunks - pool.reservedChunks) * pool.chunkSize;
  const state = relative(Deno.cwd(), stateDirectory);
  const command = `./virstor --state-dir ${state}`;
  return [
    "Try, in another terminal:",
    `  nbdinfo ${uri}`,
    `  qemu-img info -f raw ${uri}`,
    `  qemu-io -f raw -c "write -P 1 0 100M" ${uri}`,
    `  nbdcopy disk.img ${uri}`,
    `  ${command} status demo`,
    `  ${command} add --create 64M demo ${join(DIRECTORY, "component-2.img")}`,
    "",
    `The pool holds ${formatSize(room)}: what is written beyond that waits ` +
    "until",
    "components are added. Ctrl-C ends the demo; the pool stays in " +
    `./${DIRECTORY}.`,
  ].join("\n");
}
