/**
 * The flushes of a connection that its thread runs by itself. No thread has to
 * be woken for them, but the thread does nothing else while the disk works.
 *
 * @module
 */

import type { LeasedDisk } from "../../../device/leases/mod.ts";
import {
  FLUSH_PAUSE_MAX,
  FLUSH_PAUSE_MIN,
  LANE_FLUSH_MS,
} from "../../wire/mod.ts";
import { Backoff } from "../transmission/mod.ts";
import type { LaneControl } from "./lane_control.ts";
import type { LaneSocket } from "./lane_socket.ts";

/** Runs the flushes of one connection. */
export class LaneFlushes {
  readonly #disk: LeasedDisk;
  readonly #control: LaneControl;
  readonly #socket: LaneSocket;
  readonly #backoff = new Backoff(FLUSH_PAUSE_MIN, FLUSH_PAUSE_MAX);

  /**
   * Runs none.
   *
   * @param disk What is leased.
   * @param control What is shared with the server.
   * @param socket Where replies leave.
   */
  constructor(disk: LeasedDisk, control: LaneControl, socket: LaneSocket) {
    this.#disk = disk;
    this.#control = control;
    this.#socket = socket;
  }

  /**
   * Runs a flush, if disks were quick of late.
   *
   * @param requests FLUSHes that it answers.
   * @returns Whether all that was written before is durable; if not, the server
   *   has to flush, and knows why.
   */
  flush(requests: number): boolean {
    if (!this.#backoff.isTime()) return false;
    const control = this.#control;
    // What was done before is answered before.
    this.#socket.send();
    control.isFlushing = true;
    const start = performance.now();
    const isDone = this.#disk.flush();
    const isSlow = performance.now() - start > LANE_FLUSH_MS;
    control.isFlushing = false;
    // A client that has sent nothing meanwhile has lost nothing.
    this.#backoff.ended(isSlow && this.#socket.hasMore);
    if (isDone) control.countFlushes(requests);
    return isDone;
  }
}
