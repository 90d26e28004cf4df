/**
 * Executes BLOCK_STATUS. The reply has one chunk of runs for each metadata
 * context. The runs may cover less than the request, and never more; adjacent
 * runs differ in status.
 *
 * Source: NBD `doc/proto.md`, sections "Metadata querying" and "Request
 * types".
 *
 * @module
 */

import { assert } from "../../../errors.ts";
import {
  type ChunkForm,
  COMMAND_BLOCK_STATUS,
  FLAG_REQ_ONE,
  getUint64,
  type NbdRequest,
  type NbdStatusRun,
  REPLY_BUFFER_SIZE,
  type SelectedContext,
  STATUS_RUNS_MAX,
} from "../../wire/mod.ts";
import type { Batch, NbdCounters } from "../export/mod.ts";
import type { PendingRequests } from "./pending_requests.ts";
import type { ReplyQueue } from "./reply_queue.ts";

/** The parts of a connection that BLOCK_STATUS uses. */
export interface BlockStatusTools {
  /** The contexts that the client has selected, at least one. */
  readonly contexts: readonly SelectedContext[];
  /** Queue that receives the replies. */
  readonly replies: ReplyQueue;
  /** Maps and reports errors. */
  readonly pending: PendingRequests;
  /** Counts error replies. */
  readonly counters: NbdCounters;
  /** Learns which requests are answered. */
  readonly batch: Batch;
}

/** Executes the BLOCK_STATUS requests of one connection. */
export class BlockStatusCommand {
  /** Bytes of the longest reply. */
  readonly room: number;
  readonly #tools: BlockStatusTools;
  readonly #form: ChunkForm;

  /**
   * Creates the command.
   *
   * @param tools The parts of the connection.
   * @param form Encodes the chunks of the negotiated dialect.
   */
  constructor(tools: BlockStatusTools, form: ChunkForm) {
    this.#tools = tools;
    this.#form = form;
    const { length } = tools.contexts;
    this.room = length * (form.statusHeaderSize + form.runSize) +
      STATUS_RUNS_MAX * form.runSize + form.shortReplyMax;
    assert(this.room <= REPLY_BUFFER_SIZE, "an answer fits a reply buffer");
  }

  /**
   * Executes a request and queues its reply before it returns.
   *
   * *Requires:* the request has passed the gate, and the reply queue has
   * {@linkcode room}.
   *
   * @param request The request.
   * @param contexts The contexts to report, at least one; by default all that
   *   the client selected.
   */
  answer(
    request: NbdRequest,
    contexts: readonly SelectedContext[] = this.#tools.contexts,
  ): void {
    const { replies, pending, counters, batch } = this.#tools;
    const limit = (request.flags & FLAG_REQ_ONE) !== 0
      ? 1
      : Math.max(1, Math.floor(STATUS_RUNS_MAX / contexts.length));
    try {
      for (const [i, context] of contexts.entries()) {
        this.#tell(request, context, limit, i === contexts.length - 1);
      }
    } catch (error) {
      counters.errors++;
      replies.fail(request, pending.failureOf(error, request, false));
    }
    batch.answered(COMMAND_BLOCK_STATUS, batch.since);
  }

  /**
   * Decodes the payload of an extended request: u64 length, count x u32 context
   * id. Replaces `request.length` by the length in the payload, unless the
   * payload is invalid.
   *
   * @param payload The payload.
   * @param request The request.
   * @returns The contexts that the payload names; none if the payload is
   *   invalid.
   */
  decode(payload: Uint8Array, request: NbdRequest): SelectedContext[] {
    const { contexts } = this.#tools;
    const count = (payload.length - 8) / 4;
    if (!Number.isInteger(count) || count > contexts.length) return [];
    const { buffer, byteOffset, byteLength } = payload;
    const view = new DataView(buffer, byteOffset, byteLength);
    const chosen = new Set<SelectedContext>();
    for (let i = 0; i < count; i++) {
      const id = view.getUint32(8 + 4 * i);
      const context = contexts.find((selected) => selected.id === id);
      if (context === undefined || chosen.has(context)) return [];
      chosen.add(context);
    }
    if (count > 0) request.length = getUint64(view, 0);
    return [...chosen];
  }

  /** Queues the chunk of one context. */
  #tell(
    request: NbdRequest,
    { id, context }: SelectedContext,
    limit: number,
    isLast: boolean,
  ): void {
    const { replies } = this.#tools;
    const { offset, length } = request;
    const runs = context.status(offset, length, limit);
    const size = this.#form.statusHeaderSize + limit * this.#form.runSize;
    const at = replies.reserve(size);
    const { view } = replies;
    const count = this.#setRuns(view, at, runs, length, limit);
    replies.advance(this.#form.setStatus(view, at, request, id, count, isLast));
  }

  /** @returns Number of runs encoded, 1 to `limit`. */
  #setRuns(
    view: DataView,
    at: number,
    runs: readonly NbdStatusRun[],
    length: number,
    limit: number,
  ): number {
    let rest = length;
    let count = 0;
    // The current run, which the next one extends if its status is equal.
    let grown = 0;
    let grownFlags = 0;
    for (const run of runs) {
      assert(run.length > 0, "a run of a metadata context is not empty");
      if (grown > 0 && run.flags !== grownFlags) {
        this.#form.setRun(view, at, count++, grown, grownFlags);
        grown = 0;
        if (count === limit) return count;
      }
      const taken = Math.min(run.length, rest);
      grown += taken;
      grownFlags = run.flags;
      rest -= taken;
      if (rest === 0) break;
    }
    assert(grown > 0, "a metadata context has a run for every request");
    this.#form.setRun(view, at, count++, grown, grownFlags);
    return count;
  }
}
