/**
 * `virstor copy`: copies disks between files, block devices, exports and
 * streams.
 *
 * @module
 */

import { hidePassword, isNbdUri } from "../../nbd/client/mod.ts";
import { copyDisk, type CopyResult } from "../../nbd/client/mod.ts";
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
  type EndOptions,
  openSource,
  openStreamFile,
  openTarget,
} from "./copy_ends.ts";
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
 * @param _environment Not used.
 * @returns The exit code.
 * @throws {VirstorError} If an end cannot be opened, or the copy fails. A file
 *   that was made for it is removed then.
 */
export async function run(
  invocation: Invocation,
  _environment: Environment,
): Promise<number> {
  const [source = "", target = ""] = invocation.operands;
  if (source === STREAM && target === STREAM) {
    throw new UsageError("Only one end of a copy can be a stream", HINT);
  }
  const options = endOptionsOf(invocation);
  const progress = new Progress();
  const what = `Copying to ${
    target === STREAM ? "standard output" : `"${hidePassword(target)}"`
  }`;
  const copying = source === STREAM
    ? fromStream(target, options, progress)
    : target === STREAM
    ? toStream(source, options, progress)
    : betweenDisks(source, target, options, invocation, progress);
  const result = await withProgress(what, copying, () => progress.text());
  if (invocation.flag("verbose") && target !== STREAM) {
    print(resultText(result, progress.seconds));
  }
  return EXIT_OK;
}

function endOptionsOf(invocation: Invocation): EndOptions {
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
    ),
    stallTimeoutMs: (stall ?? STALL_SECONDS) * 1000,
    force: invocation.flag("force"),
  };
}

async function betweenDisks(
  source: string,
  target: string,
  options: EndOptions,
  invocation: Invocation,
  progress: Progress,
): Promise<CopyResult> {
  await using from = await openSource(source, options);
  const { device } = from;
  await using to = await openTarget(target, device.size, options);
  progress.begin(device.size);
  try {
    return await copyDisk(device, to.device, {
      targetIsZero: to.isZero || invocation.flag("target-is-zero"),
      flush: !invocation.flag("unsafe"),
      onProgress: (done) => progress.done = done,
    });
  } catch (error) {
    to.undo();
    throw error;
  }
}

async function toStream(
  source: string,
  options: EndOptions,
  progress: Progress,
): Promise<CopyResult> {
  await using from = await openSource(source, options);
  progress.begin(from.device.size);
  return await copyToStream(
    from.device,
    (bytes) => Deno.stdout.write(bytes),
    (done) => progress.done = done,
  );
}

async function fromStream(
  target: string,
  options: EndOptions,
  progress: Progress,
): Promise<CopyResult> {
  const read = (bytes: Uint8Array) => Deno.stdin.read(bytes);
  const onProgress = (done: number) => {
    progress.done = done;
  };
  if (isNbdUri(target)) {
    await using to = await openTarget(target, 0, options);
    return await copyFromStream(read, to.device, onProgress);
  }
  using file = openStreamFile(target, options.force);
  return await copyStreamToFile(read, file, onProgress);
}

/** How far a copy is. */
class Progress {
  done = 0;
  #size: number | undefined;
  #start = performance.now();

  /** Seconds since the copy began. */
  get seconds(): number {
    return (performance.now() - this.#start) / 1000;
  }

  /** Begins, now that the size is known. */
  begin(size: number): void {
    this.#size = size;
    this.#start = performance.now();
  }

  text(): string {
    const rate = this.done / Math.max(this.seconds, 1e-3);
    const speed = `${formatSize(Math.round(rate))}/s`;
    if (this.#size === undefined) return `${formatSize(this.done)}, ${speed}`;
    const percent = Math.floor(100 * this.done / Math.max(1, this.#size));
    const left = (this.#size - this.done) / Math.max(rate, 1);
    return `${percent}%, ${speed}, ${formatSeconds(left)} left`;
  }
}

function resultText({ data, zeroes }: CopyResult, seconds: number): string {
  const rate = (data + zeroes) / Math.max(seconds, 1e-3);
  return `Copied ${formatSize(data + zeroes)}, ${formatSize(data)} of it ` +
    `data, in ${formatSeconds(seconds)}: ${formatSize(Math.round(rate))}/s`;
}
