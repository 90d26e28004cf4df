/**
 * `virstor copy`: copies disks between files, block devices, exports, volumes of
 * pools and streams.
 *
 * @module
 */

import { fileIdentity } from "../../device/file/mod.ts";
import { hidePassword, nameOf } from "../../errors.ts";
import { copyDisk, type CopyResult, isNbdUri } from "../../nbd/client/mod.ts";
import {
  type Environment,
  EXIT_OK,
  formatSeconds,
  formatSize,
  type Invocation,
  numberOption,
  print,
  UsageError,
  withProgress,
} from "../terminal/mod.ts";
import {
  endName,
  type EndNames,
  type EndOptions,
  openSource,
  openStreamFile,
  openTarget,
} from "./copy_ends.ts";
import { CopyPools } from "./copy_pools.ts";
import { CopyProgress } from "./copy_progress.ts";
import { CopyStop } from "./copy_stop.ts";
import {
  copyFromStream,
  copyStreamToFile,
  copyToStream,
} from "./copy_streams.ts";

const HINT = 'Try "virstor copy --help"';
/** Standard input or output. */
const STREAM = "-";
/** Seconds to wait for a server that is away. */
const STALL_SECONDS = 60;

/**
 * Copies one disk to another.
 *
 * @param invocation The command line.
 * @param environment The state directory.
 * @returns The exit code.
 * @throws {VirstorError} If an end cannot be opened, or the copy fails. A file
 *   that was made for it is removed then.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [source = "", target = ""] = invocation.operands;
  checkUsage(invocation, source, target);
  const progress = new CopyProgress();
  const what = `Copying to ${
    target === STREAM ? "standard output" : `"${hidePassword(target)}"`
  }`;
  using stop = new CopyStop(target);
  const copying = copy([source, target], invocation, environment, {
    progress,
    stop,
  });
  const result = await withProgress(what, copying, () => progress.text());
  if (invocation.flag("verbose") && target !== STREAM) {
    print(resultText(result, progress.seconds));
  }
  return EXIT_OK;
}

function checkUsage(
  invocation: Invocation,
  source: string,
  target: string,
): void {
  if (source === STREAM && target === STREAM) {
    throw new UsageError("Only one end of a copy can be a stream", HINT);
  }
  const since = invocation.value("since");
  if (since === undefined) return;
  if (source === STREAM || target === STREAM) {
    throw new UsageError("--since is not for streams", HINT);
  }
  if (since === "" || since.includes("@")) {
    throw new UsageError(
      `--since needs the name of a snapshot, not "${since}"`,
      "The snapshot is one of the same volume, for instance: --since mon",
    );
  }
  if (invocation.flag("target-is-zero")) {
    throw new UsageError(
      "--since and --target-is-zero exclude each other",
      HINT,
    );
  }
}

/** What watches a copy. */
interface Watchers {
  readonly progress: CopyProgress;
  readonly stop: CopyStop;
}

async function copy(
  [source, target]: readonly [string, string],
  invocation: Invocation,
  environment: Environment,
  watchers: Watchers,
): Promise<CopyResult> {
  const stateDirectory = environment.stateDirectory();
  const from = await endName(stateDirectory, source);
  const to = await endName(stateDirectory, target);
  if (to.word !== undefined && to.word.snapshot !== "") {
    throw new UsageError(
      `"${target}" is a snapshot, which never changes`,
      "Copy to a volume, or to a clone of the snapshot",
    );
  }
  if (isSame(from, to)) {
    throw new UsageError(`"${source}" is both ends of the copy`, HINT);
  }
  await using pools = new CopyPools(stateDirectory, to.word?.pool ?? "");
  const options = endOptionsOf(invocation, isFile(from) || isFile(to));
  if (source === STREAM) return await fromStream(to, pools, options, watchers);
  if (target === STREAM) {
    return await toStream(from, pools, options, watchers.progress);
  }
  return await betweenDisks([from, to], pools, options, invocation, watchers);
}

function isFile({ name, word }: EndNames): boolean {
  return word === undefined && name !== STREAM && !isNbdUri(name);
}

function endOptionsOf(
  invocation: Invocation,
  isWithFile: boolean,
): EndOptions {
  const stall = numberOption(
    invocation,
    "stall-timeout",
    /^\d+(\.\d+)?$/,
    HINT,
  );
  return {
    connections: numberOption(
      invocation,
      "connections",
      /^([1-9]|[1-5]\d|6[0-4])$/,
      HINT,
      "1 to 64",
    ),
    stallTimeoutMs: (stall ?? STALL_SECONDS) * 1000,
    force: invocation.flag("force"),
    isWithFile,
  };
}

function isSame(from: EndNames, to: EndNames): boolean {
  if (from.word === undefined || to.word === undefined) {
    if (from.name === to.name) return true;
    if (from.word !== undefined || to.word !== undefined) return false;
    return isSameFile(from.name, to.name);
  }
  const [one, other] = [from.word, to.word].map((word) =>
    nameOf(word.pool, word.volume, word.snapshot)
  );
  return one === other;
}

/** Whether two paths, or links, lead to one file. */
function isSameFile(one: string, other: string): boolean {
  const [first, second] = [one, other].map(identityOf);
  return first !== undefined && first === second;
}

function identityOf(name: string): string | undefined {
  if (name === STREAM || isNbdUri(name)) return undefined;
  try {
    return fileIdentity(name);
  } catch {
    // Opening it gives the reason, unless it is to be made.
    return undefined;
  }
}

async function betweenDisks(
  [source, target]: readonly [EndNames, EndNames],
  pools: CopyPools,
  options: EndOptions,
  invocation: Invocation,
  { progress, stop }: Watchers,
): Promise<CopyResult> {
  await using from = await openSource(source, pools, options);
  const { device } = from;
  const since = invocation.value("since");
  const changes = since === undefined
    ? undefined
    : await from.changedSince(since);
  const wanted = { size: device.size, changes };
  await using to = await openTarget(target, wanted, pools, options);
  stop.opened(to);
  const ranges = changes?.ranges ?? [{ offset: 0, length: device.size }];
  progress.begin(ranges.reduce((sum, { length }) => sum + length, 0));
  try {
    return await copyDisk(device, to.device, {
      ranges,
      targetIsZero: to.isZero || invocation.flag("target-is-zero"),
      flush: !invocation.flag("unsafe"),
      onProgress: (done) => progress.at(done),
    });
  } catch (error) {
    to.undo();
    throw error;
  }
}

async function toStream(
  source: EndNames,
  pools: CopyPools,
  options: EndOptions,
  progress: CopyProgress,
): Promise<CopyResult> {
  await using from = await openSource(source, pools, options);
  progress.begin(from.device.size);
  return await copyToStream(
    from.device,
    (bytes) => Deno.stdout.write(bytes),
    (done) => progress.at(done),
  );
}

async function fromStream(
  target: EndNames,
  pools: CopyPools,
  options: EndOptions,
  { progress, stop }: Watchers,
): Promise<CopyResult> {
  const read = (bytes: Uint8Array) => Deno.stdin.read(bytes);
  const onProgress = (done: number) => progress.at(done);
  if (isNbdUri(target.name) || target.word !== undefined) {
    const wanted = { size: 0, changes: undefined };
    await using to = await openTarget(target, wanted, pools, options);
    stop.opened(to);
    return await copyFromStream(read, to.device, onProgress);
  }
  using to = await openStreamFile(target.name, options.force);
  stop.opened(to);
  try {
    return await copyStreamToFile(read, to.file, onProgress);
  } catch (error) {
    to.undo();
    throw error;
  }
}

function resultText({ data, zeroes }: CopyResult, seconds: number): string {
  const rate = (data + zeroes) / Math.max(seconds, 1e-3);
  return `Copied ${formatSize(data + zeroes)}, ${formatSize(data)} of it ` +
    `data, in ${formatSeconds(seconds)}: ${formatSize(Math.round(rate))}/s`;
}
