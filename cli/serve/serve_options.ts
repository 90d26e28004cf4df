/**
 * Turns the options of `virstor serve` into settings.
 *
 * @module
 */

import { checkPidFile } from "./pid_file.ts";
import { LEASE_THREADS_MAX } from "../../device/leases/mod.ts";
import { type Address, DEFAULT_ADDRESS } from "../../nbd/listen/mod.ts";
import type { PoolOptions } from "../../pool/mod.ts";
import { parseSpaceMark } from "../calls/mod.ts";
import {
  AllowList,
  inheritedSockets,
  parseAddressOrPath,
  parseListenAddress,
  parseOwner,
} from "../listen/mod.ts";
import {
  type Invocation,
  LOG_LEVELS,
  type LogStyle,
  numberOption,
  parseSize,
  UsageError,
} from "../terminal/mod.ts";
import { extendSettingsOf } from "./extend_option.ts";
import { checkHook, type Hook, parseHook } from "./hook_option.ts";
import { pageOptionsOf } from "./page_options.ts";
import type { ServerSettings } from "./server_settings.ts";
import { tlsOf } from "./tls_options.ts";

/** The hint for an invalid value. */
const HINT = 'Try "virstor serve --help"';

/**
 * Reads the server's settings: where to listen, which clients to serve, when to
 * end.
 *
 * @param invocation The command line.
 * @returns The settings.
 * @throws {UsageError} If an option has an invalid value.
 * @throws {VirstorError} `not-found`, `io`, `invalid` for the files of TLS.
 */
export function serverSettingsOf(invocation: Invocation): ServerSettings {
  const socketMode = invocation.value("socket-mode");
  if (socketMode !== undefined && !/^[0-7]{3,4}$/.test(socketMode)) {
    throw new UsageError(
      `Option --socket-mode needs an octal number, not "${socketMode}"`,
      "For instance 660",
    );
  }
  const owner = invocation.value("socket-owner");
  const maxClients = numberOption(
    invocation,
    "max-clients",
    /^[1-9]\d*$/,
    HINT,
    "1 or more",
  );
  const threads = numberOption(invocation, "threads", /^\d+$/, HINT);
  if (threads !== undefined && threads > LEASE_THREADS_MAX) {
    throw new UsageError(
      `Option --threads takes 0 to ${LEASE_THREADS_MAX}, not ${threads}`,
      HINT,
    );
  }
  const idle = numberOption(invocation, "idle-timeout", /^\d+(\.\d+)?$/, HINT);
  const grace = numberOption(invocation, "grace", /^\d+(\.\d+)?$/, HINT);
  const waitSeconds = numberOption(invocation, "wait", /^\d+(\.\d+)?$/, HINT);
  const pidFile = invocation.value("pid-file");
  if (pidFile !== undefined) checkPidFile(pidFile);
  const command = invocation.value("run");
  const metrics = invocation.value("metrics");
  const tls = tlsOf(invocation);
  return {
    addresses: addressesOf(invocation),
    allowed: new AllowList(invocation.values("allow")),
    exitOnLastClient: invocation.flag("exit-on-last-client"),
    ...socketMode !== undefined && { socketMode: parseInt(socketMode, 8) },
    ...tls !== undefined && { tls },
    ...owner !== undefined &&
      { socketOwner: parseOwner("socket-owner", owner) },
    ...maxClients !== undefined && { maxClients },
    ...threads !== undefined && { threads },
    ...idle !== undefined && { idleMs: idle * 1000 },
    ...grace !== undefined && { graceMs: grace * 1000 },
    ...waitSeconds !== undefined && { waitSeconds },
    ...pidFile !== undefined && { pidFile },
    ...metrics !== undefined && { metrics: parseAddressOrPath(metrics) },
    ...pageOptionsOf(invocation),
    ...command !== undefined && { command },
    hooks: hooksOf(invocation),
    extend: extendSettingsOf(invocation),
  };
}

/** The programs of `--on-event`, which can be run. */
function hooksOf(invocation: Invocation): Hook[] {
  const hooks = invocation.values("on-event").map(parseHook);
  for (const hook of hooks) checkHook(hook);
  return hooks;
}

/**
 * Reads the options for opening the pools.
 *
 * @param invocation The command line.
 * @returns The options, which apply to each pool.
 * @throws {UsageError} If an option has an invalid value.
 */
export function poolOptionsOf(invocation: Invocation): PoolOptions {
  const onFull = oneOf(invocation, "on-full", ["delay", "error"]);
  const fullTimeoutSeconds = numberOption(
    invocation,
    "full-timeout",
    /^\d+(\.\d+)?$/,
    HINT,
  );
  const maxDelayed = invocation.value("max-delayed");
  const chunkText = invocation.value("chunk-watermark") ?? "";
  const isCount = !/[%a-z]$/i.test(chunkText);
  const chunkWatermark = isCount
    ? numberOption(invocation, "chunk-watermark", /^\d+$/, HINT)
    : 0;
  const spaceWatermark = isCount
    ? undefined
    : parseSpaceMark(chunkText, "chunk-watermark");
  const extend = extendSettingsOf(invocation);
  const hostText = invocation.value("host-watermark");
  const componentWatermark = numberOption(
    invocation,
    "component-watermark",
    /^\d+$/,
    HINT,
  );
  const drainSeconds = numberOption(
    invocation,
    "drain-timeout",
    /^\d+(\.\d+)?$/,
    HINT,
  );
  return {
    readOnly: invocation.flag("read-only"),
    degraded: invocation.flag("degraded"),
    olderVersions: olderVersionsOf(invocation),
    ...drainSeconds !== undefined && { stopSeconds: drainSeconds },
    onFull,
    ...fullTimeoutSeconds !== undefined && { fullTimeoutSeconds },
    ...maxDelayed !== undefined &&
      { maxDelayedBytes: parseSize(maxDelayed, "most delayed") },
    ...chunkWatermark !== undefined && { chunkWatermark },
    ...componentWatermark !== undefined && { componentWatermark },
    ...spaceWatermark !== undefined && { spaceWatermark },
    ...extend !== undefined && { usedWatermark: extend.usedPercent },
    ...hostText !== undefined &&
      { hostWatermark: parseSpaceMark(hostText, "host-watermark") },
  };
}

function olderVersionsOf(invocation: Invocation): boolean {
  const isWanted = invocation.flag("older-versions");
  if (!isWanted || invocation.flag("degraded")) return isWanted;
  throw new UsageError("Option --older-versions needs --degraded", HINT);
}

/**
 * Reads the style of the log.
 *
 * @param invocation The command line.
 * @returns The style.
 * @throws {UsageError} If an option has an invalid value.
 */
export function logStyleOf(invocation: Invocation): LogStyle {
  return {
    level: oneOf(invocation, "log-level", LOG_LEVELS, "info"),
    format: oneOf(invocation, "log-format", ["text", "json"]),
    showPools: invocation.operands.length > 1,
  };
}

/** The addresses; the default one only if nothing else gives an address. */
function addressesOf(invocation: Invocation): Address[] {
  const addresses = [
    ...invocation.values("listen").map(parseListenAddress),
    ...invocation.values("socket").map((path) => ({ path })),
  ];
  const hasOther = addresses.length > 0 || inheritedSockets() > 0 ||
    invocation.value("run") !== undefined;
  return hasOther ? addresses : [DEFAULT_ADDRESS];
}

/** The value of an option with a few values; by default the first. */
function oneOf<Value extends string>(
  invocation: Invocation,
  option: string,
  values: readonly [Value, ...Value[]],
  usual = values[0],
): Value {
  const text = invocation.value(option);
  if (text === undefined) return usual;
  const known = values.find((value) => value === text);
  if (known !== undefined) return known;
  const last = values.length - 1;
  throw new UsageError(
    `Option --${option} has no value "${text}"`,
    `Values are ${values.slice(0, last).join(", ")} and ${values[last]}`,
  );
}
