/**
 * `virstor serve`: serves a pool.
 *
 * @module
 */

import type { PoolOptions } from "../../pool/mod.ts";
import {
  type Address,
  DEFAULT_ADDRESS,
  parseListenAddress,
} from "../address.ts";
import type { Environment, Invocation } from "../command.ts";
import { absolutePaths, locateComponents } from "../locate.ts";
import { servePool } from "../service.ts";
import { parseSize } from "../size.ts";
import { UsageError } from "../usage_error.ts";

/**
 * Serves a pool until it is stopped.
 *
 * @param invocation The command line.
 * @param environment Where the registry is.
 * @returns The exit code.
 * @throws {VirstorError} If the pool cannot be opened or served.
 */
export async function run(
  invocation: Invocation,
  environment: Environment,
): Promise<number> {
  const [name = ""] = invocation.operands;
  const address = addressOption(invocation);
  const poolOptions = poolOptionsOf(invocation);
  const stateDirectory = environment.stateDirectory();
  return await servePool({
    stateDirectory,
    name,
    address,
    poolOptions,
    findComponents: () =>
      locateComponents(
        stateDirectory,
        name,
        absolutePaths(invocation.values("component")),
      ),
  });
}

function addressOption(invocation: Invocation): Address {
  const path = invocation.value("socket");
  const listen = invocation.value("listen");
  if (path !== undefined && listen !== undefined) {
    throw new UsageError("Options --socket and --listen exclude one another");
  }
  if (path !== undefined) return { path };
  return listen === undefined ? DEFAULT_ADDRESS : parseListenAddress(listen);
}

function poolOptionsOf(invocation: Invocation): PoolOptions {
  const onFull = invocation.value("on-full") ?? "delay";
  if (onFull !== "delay" && onFull !== "error") {
    throw new UsageError(
      `Option --on-full knows no "${onFull}"`,
      "It is delay or error",
    );
  }
  const fullTimeout = numberOption(invocation, "full-timeout", /^\d+(\.\d+)?$/);
  const maxDelayed = invocation.value("max-delayed");
  const chunkWatermark = numberOption(invocation, "chunk-watermark", /^\d+$/);
  const componentWatermark = numberOption(
    invocation,
    "component-watermark",
    /^\d+$/,
  );
  return {
    readOnly: invocation.flag("read-only"),
    degraded: invocation.flag("degraded"),
    onFull,
    ...fullTimeout !== undefined && { fullTimeout },
    ...maxDelayed !== undefined &&
      { maxDelayedBytes: parseSize(maxDelayed, "most delayed") },
    ...chunkWatermark !== undefined && { chunkWatermark },
    ...componentWatermark !== undefined && { componentWatermark },
  };
}

function numberOption(
  invocation: Invocation,
  option: string,
  pattern: RegExp,
): number | undefined {
  const text = invocation.value(option);
  if (text === undefined) return undefined;
  if (!pattern.test(text) || Number(text) > Number.MAX_SAFE_INTEGER) {
    throw new UsageError(
      `Option --${option} needs a number, not "${text}"`,
      'Try "virstor serve --help"',
    );
  }
  return Number(text);
}
