/**
 * What a case is, and how much of it is done.
 *
 * @module
 */

import type { MeasureFunction } from "./measures.ts";
import type { Disk, ServerName } from "./servers.ts";

/** A case. */
export interface Case {
  /** Short, without spaces: for `--only`. */
  readonly name: string;
  /** For people, one line. */
  readonly title: string;
  /** What its figure is: `IOPS`, `MiB/s`, `ms`, ... */
  readonly unit: string;
  /** Which figures are the better ones. */
  readonly better: "higher" | "lower";
  /** The unit of the server's processor time: a `request` or a `MiB`. */
  readonly work: string;
  /** What is served. Cases of the same disk share it, one after the other. */
  readonly disk: Disk;
  /** The disk is made anew for every measurement. */
  readonly fresh: boolean;
  /** The servers to measure. */
  readonly servers: readonly ServerName[];
  /** How. */
  readonly measure: MeasureFunction;
  /** The most rounds: figures that do not vary need no more. Default: any. */
  readonly roundsMax?: number;
}

/** How much is done. */
export interface Scale {
  /** How long a load lasts, seconds. */
  readonly seconds: number;
  /** What is read and written in warm cases, bytes. */
  readonly workingSet: number;
  /** What is read in cold cases, bytes. */
  readonly coldSet: number;
  /** What is copied, bytes. */
  readonly image: number;
  /** Chunks that are mapped. */
  readonly firstWrites: number;
}
