/**
 * A pool for attacks, served by a process of its own.
 *
 * @module
 */

import { callServer } from "../../cli/control/control_client.ts";
import type { StatusReport } from "../../cli/control/control_protocol.ts";
import {
  DENSE_BYTES,
  GOOD_BYTES,
  HOSTILE_CHUNK,
  HOSTILE_DISK,
  type Stage,
} from "./hostile.ts";
import { NbdClient } from "./nbd_client.ts";
import { type Server, Workspace } from "./virstor.ts";

const MIB = 1024 * 1024;
/** Component sizes of a stage. */
const COMPONENTS: Readonly<Record<Stage, string>> = {
  dense: "200M",
  full: "8M",
  roomy: "256G",
};

/** A pool on a stage, served. To be used with `await using`. */
export class AttackedPool implements AsyncDisposable {
  /** Where it is. */
  readonly work: Workspace;
  /** What serves it. */
  readonly server: Server;

  private constructor(work: Workspace, server: Server) {
    this.work = work;
    this.server = server;
  }

  /** Where it listens. */
  get address(): { path: string } {
    return { path: this.work.path("socket") };
  }

  /** Resident memory of the server, bytes. */
  get residentBytes(): number {
    const status = Deno.readTextFileSync(`/proc/${this.server.pid}/status`);
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  /**
   * Makes a pool and serves it.
   *
   * @param stage What it is like.
   * @param options More options of `serve`.
   * @returns The pool.
   */
  static async start(
    stage: Stage,
    options: readonly string[] = [],
  ): Promise<AttackedPool> {
    const work = await Workspace.create();
    const paths = [work.path("c0"), work.path("c1")];
    await work.succeed([
      ...["label", "-s", String(HOSTILE_DISK), "-m", String(HOSTILE_CHUNK)],
      ...["--create", COMPONENTS[stage], "pool", ...paths],
    ]);
    const socket = ["--socket", work.path("socket")];
    const target = new AttackedPool(
      work,
      await work.serve(["serve", ...socket, ...options, "pool"]),
    );
    await target.#prepare(stage);
    return target;
  }

  async #prepare(stage: Stage): Promise<void> {
    using client = await NbdClient.open(this.address, "pool");
    const bytes = new Uint8Array(MIB).fill(1);
    const end = stage === "dense" ? DENSE_BYTES : GOOD_BYTES;
    for (let at = 0; at < end; at += MIB) await client.write(at, bytes);
    if (stage !== "full") return;
    const report = await this.status();
    for (let i = 0; i < report.pool.freeChunks; i++) {
      await client.write(MIB + i * HOSTILE_CHUNK, new Uint8Array(1));
    }
  }

  /**
   * Asks over the control socket, as `virstor status` does.
   *
   * @returns What the server said.
   */
  async status(): Promise<StatusReport> {
    const answer = await callServer(
      this.work.stateDirectory,
      "pool",
      "status",
      null,
    );
    if (answer === undefined) throw new Error("The server does not answer");
    return answer.answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.work[Symbol.asyncDispose]();
  }
}
