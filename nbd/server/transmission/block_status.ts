/**
 * BLOCK_STATUS: for each metadata context that the client has selected, a
 * chunk of runs. An answer may end before the request does, and never goes
 * beyond it; each of its runs differs from the one before.
 *
 * Source: NBD `doc/proto.md`, sections "Metadata querying" and "Request
 * types".
 *
 * @module
 */

import { assert } from "../../../errors.ts";
import {
  type ChunkForm,
  FLAG_REQ_ONE,
  getUint64,
  type NbdRequest,
  type NbdStatusRun,
  REPLY_BUFFER_SIZE,
  type SelectedContext,
  STATUS_RUNS_MAX,
} from "../../wire/mod.ts";
import type { NbdCounters } from "../export/mod.ts";
import type { LateRequests } from "./pending_requests.ts";
import type { ReplyQueue } from "./reply_queue.ts";

/** What the command works with. */
export interface BlockStatusTools {
  /** What the client has selected; not empty. */
  readonly contexts: readonly SelectedContext[];
  /** Where replies go. */
  readonly replies: ReplyQueue;
  /** Who knows what errors are. */
  readonly late: LateRequests;
  /** Where errors are counted. */
  readonly counters: NbdCounters;
}

/** Carries out BLOCK_STATUS requests. */
export class BlockStatusCommand {
  /** The most bytes of an answer. */
  readonly room: number;
  readonly #tools: BlockStatusTools;
  readonly #form: ChunkForm;

  /**
   * Creates the command.
   *
   * @param tools What it works with.
   * @param form What chunks look like.
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
   * Answers a request, at once; there has to be {@linkcode room}.
   *
   * @param request It has passed the gate.
   * @param contexts What it is about; not empty.
   */
  answer(
    request: NbdRequest,
    contexts: readonly SelectedContext[] = this.#tools.contexts,
  ): void {
    const { replies, late, counters } = this.#tools;
    const limit = (request.flags & FLAG_REQ_ONE) !== 0
      ? 1
      : Math.max(1, Math.floor(STATUS_RUNS_MAX / contexts.length));
    try {
      for (const [i, context] of contexts.entries()) {
        this.#tell(request, context, limit, i === contexts.length - 1);
      }
    } catch (error) {
      counters.errors++;
      replies.fail(request, late.failureOf(error, request, false));
    }
  }

  /**
   * Decodes the payload of a request: u64 length, count x u32 context id.
   *
   * @param payload The payload.
   * @param request Where the length goes.
   * @returns The contexts that are wanted; none if the payload is wrong.
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

  /** Adds the chunk of one context. */
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

  /** @returns How many runs were written. */
  #setRuns(
    view: DataView,
    at: number,
    runs: readonly NbdStatusRun[],
    length: number,
    limit: number,
  ): number {
    let rest = length;
    let count = 0;
    // The run that may still grow.
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
