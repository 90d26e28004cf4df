/**
 * The calls of a control socket: HTTP, one request a connection, JSON both
 * ways. This is an internal interface between two ends of one version; scripts
 * use `status --json`.
 *
 * @module
 */

import type { NbdClientInfo } from "../../nbd/server/mod.ts";
import type { NbdCounters } from "../../nbd/server/export/mod.ts";
import type {
  AddResult,
  GrowResult,
  RemovePlan,
  RemoveResult,
} from "../../pool/change/mod.ts";
import type { Finding } from "../../pool/core/mod.ts";
import type { PoolStatus } from "../../pool/mod.ts";
import type { ServeSettings } from "./serve_settings.ts";
import type { VolumeCalls } from "./volume_calls.ts";

/** The status of the server of a pool. */
export interface ServerStatus {
  /** The process that serves the pool. */
  readonly pid: number;
  /** The first of the URIs that clients connect to, or an empty string. */
  readonly uri: string;
  /** One for each address that is known. */
  readonly uris: readonly string[];
  /** When the server started, ISO 8601. */
  readonly startedAt: string;
  /** The clients of this pool, and those that have not chosen an export yet. */
  readonly clients: readonly NbdClientInfo[];
  /** Counters of the process, for all its pools and clients since its start. */
  readonly counters: NbdCounters;
}

/** A pool, and its server if it is served. */
export interface StatusReport {
  /** The pool. */
  readonly pool: PoolStatus;
  /** Its server; null for a stopped pool. */
  readonly server: ServerStatus | null;
}

/** The request of `add`. Paths are absolute. */
export interface AddRequest {
  /** The components to add. */
  readonly paths: readonly string[];
  /** Whether to take files that hold data. */
  readonly force: boolean;
  /** Whether to write the files' names into their labels. */
  readonly hardcode: boolean;
  /** The size of missing files, bytes; without a size they are not created. */
  readonly createSize?: number;
  /** Whether to allocate the space of the files. */
  readonly preallocate?: boolean;
}

/** The answer of `add`. */
export interface AddAnswer extends AddResult {
  /** Side effects that failed, a sentence each. */
  readonly warnings: readonly string[];
}

/** A request that names components by absolute paths. */
export interface ComponentsRequest {
  /** The components. */
  readonly paths: readonly string[];
}

/** The request of `remove`. */
export interface RemoveRequest extends ComponentsRequest {
  /**
   * The limit of the evacuation, bytes a second; 0 means no limit. Without one
   * the limit is that of the server.
   */
  readonly bytesPerSecond?: number;
  /** How much may be lost that cannot be read, bytes; 0 unless given. */
  readonly mayLose?: number;
}

/** The request of `grow`. */
export interface GrowRequest {
  /** The component, an absolute path. */
  readonly path: string;
}

/** The request of `set`. */
export interface SetRequest {
  /** The settings to replace; the others stay. */
  readonly settings: Partial<ServeSettings>;
}

/** The request of `resize`. */
export interface ResizeRequest {
  /** The name of the volume; empty for the first one. */
  readonly volume: string;
  /** The new size of the disk, or the difference, bytes. */
  readonly virtualSize: number;
  /** Whether the size is added to that of the volume (1), or taken off (-1). */
  readonly sign?: 1 | -1;
  /** Whether the disk may become smaller. */
  readonly force: boolean;
}

/** The answer of `resize`. */
export interface ResizeResult {
  /** The earlier size of the disk, bytes. */
  readonly before: number;
  /** The new size of the disk, bytes. */
  readonly virtualSize: number;
}

/** The request of `renamePool`. */
export interface RenamePoolRequest {
  /** The name that the pool is meant to have; any if absent. */
  readonly from?: string;
  /** The new name. */
  readonly to: string;
}

/** The request of `stop`. */
export interface StopRequest {
  /** Whether to stop also while clients are connected. */
  readonly force: boolean;
}

/** All calls, with the type of each request and answer. */
export interface ControlCalls extends VolumeCalls {
  /** Returns the status of the pool and its server. */
  readonly status: { request: null; answer: StatusReport };
  /** Adds components. */
  readonly add: { request: AddRequest; answer: AddAnswer };
  /** Removes components, or begins to evacuate them. */
  readonly remove: { request: RemoveRequest; answer: RemoveResult };
  /** Returns what removing components would move. */
  readonly planRemove: { request: ComponentsRequest; answer: RemovePlan };
  /** Takes in what a component got. */
  readonly grow: { request: GrowRequest; answer: GrowResult };
  /** Keeps components that are being evacuated. */
  readonly cancelRemove: {
    request: ComponentsRequest;
    answer: { kept: string[] };
  };
  /** Gives the disk another size. */
  readonly resize: { request: ResizeRequest; answer: ResizeResult };
  /** Replaces settings of the server; returns all of them. */
  readonly set: { request: SetRequest; answer: ServeSettings };
  /** Checks the pool. */
  readonly check: { request: null; answer: Finding[] };
  /** Renames the pool. */
  readonly renamePool: { request: RenamePoolRequest; answer: null };
  /** Stops serving; the answer follows when the pool is closed. */
  readonly stop: { request: StopRequest; answer: null };
}

/** The name of a call. */
export type ControlCall = keyof ControlCalls;

/** The functions that carry the calls out. */
export type ControlHandlers = {
  readonly [Call in ControlCall]: (
    request: ControlCalls[Call]["request"],
  ) => Promise<ControlCalls[Call]["answer"]>;
};
