/**
 * The thread of a lane: serves connections, one after the other.
 *
 * The thread waits in one system call for what comes, executes all complete
 * requests, and sends their replies with another one: no event loop, no
 * promise. What it needs is a lease of the chunk (`device/leases/leases.ts`).
 *
 * @module
 */

import { LeasedDisk } from "../../../device/leases/mod.ts";
import {
  NativeBuffer,
  NativeIo,
  NativeSockets,
} from "../../../device/linux/mod.ts";
import {
  ChunkForm,
  LANE_READ_MAX,
  RECEIVE_BUFFER_SIZE,
  SimpleForm,
} from "../../wire/mod.ts";
import { ReceiveBuffer, RequestReader } from "../transmission/mod.ts";
import { HandOver } from "./hand_over.ts";
import { LaneConnection } from "./lane_connection.ts";
import { LaneControl } from "./lane_control.ts";
import { LaneFlushes } from "./lane_flushes.ts";
import type { LaneJob, LaneReport } from "./lane_messages.ts";
import { LaneSocket } from "./lane_socket.ts";
import { OwnerQuestions } from "./owner_questions.ts";

/** Serves connections, one after the other. */
export class Lane {
  readonly #report: (report: LaneReport) => void;
  readonly #sockets = new NativeSockets();
  readonly #io = new NativeIo();
  readonly #received = new NativeBuffer(RECEIVE_BUFFER_SIZE);
  readonly #replies = new NativeBuffer(2 * LANE_READ_MAX);

  /**
   * Takes its buffers.
   *
   * @param report Where to tell what happens.
   */
  constructor(report: (report: LaneReport) => void) {
    this.#report = report;
  }

  /**
   * Serves a connection until it has ended.
   *
   * @param job Which one, and how.
   */
  serve(job: LaneJob): void {
    const connection = this.#connect(job);
    // One call for each batch, so that the engine has something to compile.
    while (connection.turn());
    this.#report({ kind: "ended" });
  }

  #connect(
    { properties, descriptor, early, leases, thread, control: memory }: LaneJob,
  ) {
    const [report, replies] = [this.#report, this.#replies];
    const { chunked, extended } = properties;
    const { bytes, address } = this.#received;
    const received = new ReceiveBuffer(early, bytes);
    const control = new LaneControl(memory);
    const disk = new LeasedDisk(leases, thread, this.#io);
    const sockets = this.#sockets;
    const wire = { descriptor, sockets, control, received, address, replies };
    const socket = new LaneSocket(wire);
    const { chunkSize } = leases;
    const about = { disk, control, received, extended, socket, chunkSize };
    return new LaneConnection({
      properties,
      form: chunked ? new ChunkForm(extended) : new SimpleForm(),
      disk,
      control,
      received,
      address,
      replies,
      reader: new RequestReader(received, extended),
      socket,
      handOver: new HandOver(received, control, report),
      questions: new OwnerQuestions(about),
      flushes: new LaneFlushes(disk, control, socket),
    });
  }
}
