/**
 * What a served pool can be asked over its control socket: HTTP, one request
 * a connection, JSON both ways. Not an interface for others: both ends are
 * always of one version, and `status --json` is what scripts read.
 *
 * @module
 */

import { isAbsolute } from "node:path";
import { VirstorError } from "../../errors.ts";
import type { NbdClientInfo } from "../../nbd/server/mod.ts";
import type { NbdCounters } from "../../nbd/server/export/mod.ts";
import type {
  AddResult,
  RemovePlan,
  RemoveResult,
} from "../../pool/change/mod.ts";
import type { Finding } from "../../pool/core/mod.ts";
import type { PoolStatus } from "../../pool/mod.ts";

/** How a served pool's server does. */
export interface ServerStatus {
  /** The process that serves the pool. */
  readonly pid: number;
  /** What clients connect to: the first of the URIs, or an empty string. */
  readonly uri: string;
  /** One for each address that is known. */
  readonly uris: readonly string[];
  /** When it began, ISO 8601. */
  readonly startedAt: string;
  /** The clients of this pool connected now, and those that choose yet. */
  readonly clients: readonly NbdClientInfo[];
  /** What the process did for all clients, of all its pools, since it began. */
  readonly counters: NbdCounters;
}

/** A pool, and its server if it is served. */
export interface StatusReport {
  /** The pool. */
  readonly pool: PoolStatus;
  /** Its server; null for a stopped pool. */
  readonly server: ServerStatus | null;
}

/** What `add` asks for. Paths are absolute. */
export interface AddRequest {
  /** The components to be added. */
  readonly paths: readonly string[];
  /** Take files that carry a label already. */
  readonly force: boolean;
  /** Write the files' own names into their labels. */
  readonly hardcode: boolean;
  /** Make files that are missing, this many bytes long. */
  readonly createSize?: number;
}

/** What `add` did. */
export interface AddAnswer extends AddResult {
  /** What did not work beside it, a sentence each. */
  readonly warnings: readonly string[];
}

/** What names components, by absolute paths. */
export interface ComponentsRequest {
  /** The components. */
  readonly paths: readonly string[];
}

/** What `remove` asks for. */
export interface RemoveRequest extends ComponentsRequest {
  /** The highest rate at which chunks are moved, bytes a second; 0, none. */
  readonly bytesPerSecond: number;
}

/** What `resize` asks for. */
export interface ResizeRequest {
  /** The size that the disk is to have, bytes. */
  readonly virtualSize: number;
  /** It may become smaller. */
  readonly force: boolean;
}

/** What `resize` did. */
export interface ResizeResult {
  /** The size that the disk had, bytes. */
  readonly before: number;
  /** The size that it has now, bytes. */
  readonly virtualSize: number;
}

/** What `stop` asks for. */
export interface StopRequest {
  /** Stop also while clients are connected. */
  readonly force: boolean;
}

/** Everything that can be asked: the request and the answer of each. */
export interface ControlCalls {
  /** How the pool and its server do. */
  readonly status: { request: null; answer: StatusReport };
  /** Adds components. */
  readonly add: { request: AddRequest; answer: AddAnswer };
  /** Removes components, or begins to evacuate them. */
  readonly remove: { request: RemoveRequest; answer: RemoveResult };
  /** Tells what removing components would take. */
  readonly planRemove: { request: ComponentsRequest; answer: RemovePlan };
  /** Keeps components that are being evacuated. */
  readonly cancelRemove: {
    request: ComponentsRequest;
    answer: { kept: string[] };
  };
  /** Gives the disk another size. */
  readonly resize: { request: ResizeRequest; answer: ResizeResult };
  /** Checks the pool. */
  readonly check: { request: null; answer: Finding[] };
  /** Stops serving; answered when the pool is closed. */
  readonly stop: { request: StopRequest; answer: null };
}

/** The name of something that can be asked. */
export type ControlCall = keyof ControlCalls;

/** What carries the calls out. */
export type ControlHandlers = {
  readonly [Call in ControlCall]: (
    request: ControlCalls[Call]["request"],
  ) => Promise<ControlCalls[Call]["answer"]>;
};

/** The check that each call's request has to pass. */
const REQUEST_CHECKS: {
  readonly [Call in ControlCall]: (
    fields: Record<string, unknown>,
  ) => ControlCalls[Call]["request"];
} = {
  status: () => null,
  check: () => null,
  add: (fields) => ({
    paths: pathsOf(fields),
    force: fields["force"] === true,
    hardcode: fields["hardcode"] === true,
    ...typeof fields["createSize"] === "number" &&
      { createSize: fields["createSize"] },
  }),
  remove: (fields) => ({
    paths: pathsOf(fields),
    bytesPerSecond: numberOf(fields, "bytesPerSecond"),
  }),
  planRemove: (fields) => ({ paths: pathsOf(fields) }),
  cancelRemove: (fields) => ({ paths: pathsOf(fields) }),
  resize: (fields) => ({
    virtualSize: numberOf(fields, "virtualSize"),
    force: fields["force"] === true,
  }),
  stop: (fields) => ({ force: fields["force"] === true }),
};

/**
 * Tells whether something can be asked.
 *
 * @param name Its name.
 * @returns True if it can.
 */
export function isControlCall(name: string): name is ControlCall {
  return Object.hasOwn(REQUEST_CHECKS, name);
}

/**
 * Checks a request that came over the socket.
 *
 * @param call What is asked.
 * @param text The body.
 * @returns The request.
 * @throws {VirstorError} `invalid` if it makes no sense.
 */
export function parseControlRequest<Call extends ControlCall>(
  call: Call,
  text: string,
): ControlCalls[Call]["request"] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new VirstorError(
      "invalid",
      "Cannot read the request: it is no JSON",
      {
        cause: error,
      },
    );
  }
  return REQUEST_CHECKS[call](
    typeof value === "object" && value !== null ? { ...value } : {},
  );
}

function pathsOf(fields: Record<string, unknown>): string[] {
  const { paths }: { paths?: unknown } = fields;
  if (
    Array.isArray(paths) && paths.length > 0 &&
    paths.every((path) => typeof path === "string" && isAbsolute(path))
  ) {
    return paths;
  }
  throw new VirstorError(
    "invalid",
    "Cannot use the request: it names no absolute paths",
  );
}

function numberOf(fields: Record<string, unknown>, name: string): number {
  const value = fields[name];
  if (typeof value === "number" && value >= 0) return value;
  throw new VirstorError(
    "invalid",
    `Cannot use the request: it gives no number as ${name}`,
  );
}
