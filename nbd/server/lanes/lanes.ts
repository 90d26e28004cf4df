/**
 * The lanes of a server: threads that serve connections beside its event loop,
 * one each. A connection gets its lane as its handshake ends, or stays on the
 * event loop for good: where all threads serve others, the device leases no
 * chunks, the connection is encrypted, there are no native calls, or its
 * descriptor is not known.
 *
 * While there are clients, one thread more is kept warm, up to the limit, so
 * that the next client does not wait for a thread to start. Each holds some 14
 * MiB: a server without clients keeps none, and its next client's thread starts
 * during the handshake.
 *
 * @module
 */

import type { Leases } from "../../../device/leases/mod.ts";
import type { NativeSockets } from "../../../device/linux/mod.ts";
import { joinParts } from "../../../device/block/mod.ts";
import type { ExportTimes, NbdCounters } from "../export/mod.ts";
import {
  closeQuietly,
  descriptorOf,
  isTcp,
  nativeSockets,
  takeAway,
} from "../stream/mod.ts";
import { LaneControl } from "./lane_control.ts";
import type { LaneJob, LaneReport } from "./lane_messages.ts";
import { LaneStream } from "./lane_stream.ts";
import type { Negotiated } from "../handshake/mod.ts";

/** What runs in a thread. */
const THREAD: URL = new URL("./lane_thread.ts", import.meta.url);
/** How long the threads may take to end, milliseconds. */
const END_MS = 500;
/** How long a thread without a connection is kept, milliseconds. */
const KEEP_MS = 20_000;

/** How many threads there may be, and the callbacks. */
export interface LanesOptions {
  /** How many there may be, from 0. */
  readonly most: number;
  /** What runs in a thread; `lane_thread.ts` by default. */
  readonly module?: URL;
  /** Where what the threads did is counted, when they are done. */
  readonly counters: NbdCounters;
  /** Where the durations of their requests are added then. */
  readonly times: ExportTimes;
  /** Receives an error of a thread. */
  readonly onPanic: (error: unknown) => void;
}

/** A thread, and what it does. */
interface LaneThread {
  readonly worker: Worker;
  /** The connection that it serves. */
  stream: LaneStream | undefined;
  /** Set while it serves none, and may end soon. */
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** Threads that serve one connection each. */
export class Lanes {
  #most: number;
  readonly #module: URL;
  readonly #counters: NbdCounters;
  readonly #times: ExportTimes;
  readonly #onPanic: (error: unknown) => void;
  readonly #sockets: NativeSockets | null;
  readonly #threads = new Set<LaneThread>();
  #isAlone = true;

  /**
   * Begins without any.
   *
   * @param options How many there may be, and the callbacks.
   */
  constructor(options: LanesOptions) {
    const { most, module = THREAD, counters, times, onPanic } = options;
    this.#most = most;
    this.#module = module;
    this.#counters = counters;
    this.#times = times;
    this.#onPanic = onPanic;
    // The runtime lets a thread start from a file that may be read.
    this.#sockets = most > 0 && isReadable(module) ? nativeSockets() : null;
  }

  /**
   * Adds what the threads have done for connections that are open.
   *
   * @param counters Where to.
   */
  addCounts(counters: NbdCounters): void {
    for (const { stream } of this.#threads) stream?.addCounts(counters);
  }

  /** The connections that threads serve. */
  get streams(): LaneStream[] {
    return [...this.#threads].flatMap(({ stream }) => stream ?? []);
  }

  /** Starts a thread for the next client, unless one is spare. */
  warm(): void {
    const mayStart = this.#sockets !== null && this.#threads.size < this.#most;
    if (mayStart && this.#spares.length === 0) this.#start();
  }

  /**
   * Says how many clients the server has: a lane busy-polls for the next
   * request of a client that is alone.
   *
   * @param isAlone Whether there is one client at most.
   */
  setAlone(isAlone: boolean): void {
    this.#isAlone = isAlone;
    for (const { stream } of this.#threads) stream?.setAlone(isAlone);
  }

  /**
   * Gives a connection a lane. The runtime's connection is closed when the
   * lane has ended; until then nothing else may use it.
   *
   * @param connection The connection, after its handshake, with nothing in
   *   flight on it.
   * @param negotiated What was agreed on.
   * @returns What carries the connection; undefined if it gets no lane.
   */
  take(
    connection: Deno.Conn,
    negotiated: Negotiated,
  ): LaneStream | undefined {
    const descriptor = descriptorOf(connection);
    const sockets = this.#sockets;
    if (descriptor === undefined || sockets === null) return undefined;
    // Last, since a device makes its table when it is first asked for it.
    const { device: { leases }, name } = negotiated.nbdExport;
    if (leases === undefined) return undefined;
    const number = leases.join();
    if (number === undefined) return undefined;
    const thread = this.#freeThread();
    if (thread === undefined || !takeAway(descriptor)) {
      leases.leave(number);
      return undefined;
    }
    const control = new LaneControl();
    const stream = new LaneStream({
      descriptor,
      isTcp: isTcp(connection),
      sockets,
      control,
      exportName: name,
      leases,
      counters: this.#counters,
    });
    stream.setAlone(this.#isAlone);
    thread.stream = stream;
    clearTimeout(thread.timer);
    // A thread that is still starting takes it when it has started.
    thread.worker.postMessage(
      {
        ...jobOf(negotiated, leases),
        descriptor,
        thread: number,
        control: control.memory,
      } satisfies LaneJob,
    );
    void stream.finished.then(() => {
      closeQuietly(connection);
      leases.leave(number);
      stream.addCounts(this.#counters);
      this.#times.of(name).add(stream.times);
      thread.stream = undefined;
      if (!this.#threads.has(thread)) return;
      for (const spare of this.#spares) this.#retireLater(spare);
    });
    this.warm();
    return stream;
  }

  /**
   * Ends all threads; their connections are closed already. One that does not
   * end in time ends later.
   */
  async close(): Promise<void> {
    const ends = [...this.#threads].map(({ stream }) => stream?.finished);
    const limit = Promise.withResolvers<void>();
    const timer = setTimeout(limit.resolve, END_MS);
    await Promise.race([joinParts(ends, (end) => end), limit.promise]);
    clearTimeout(timer);
    for (const { worker, stream, timer } of this.#threads) {
      clearTimeout(timer);
      // A thread that waits for a disk uses a lease, which only it gives back.
      if (stream === undefined) worker.terminate();
      else void stream.finished.then(() => worker.terminate());
    }
    this.#threads.clear();
  }

  /** Threads that serve no connection. */
  get #spares(): LaneThread[] {
    return [...this.#threads].filter(({ stream }) => stream === undefined);
  }

  /** Ends a thread that serves no connection, if it is still so later. */
  #retireLater(thread: LaneThread): void {
    clearTimeout(thread.timer);
    thread.timer = setTimeout(() => this.#retire(thread), KEEP_MS);
    Deno.unrefTimer(thread.timer);
  }

  /** Ends a spare thread, unless it is the last one and there are clients. */
  #retire(thread: LaneThread): void {
    const spares = this.#spares.length;
    if (spares === 1 && this.#threads.size > spares) return;
    this.#threads.delete(thread);
    thread.worker.terminate();
  }

  #freeThread(): LaneThread | undefined {
    const [spare] = this.#spares;
    if (spare !== undefined) return spare;
    return this.#threads.size < this.#most ? this.#start() : undefined;
  }

  #start(): LaneThread {
    const name = "virstor lane";
    const worker = new Worker(this.#module, { type: "module", name });
    const thread: LaneThread = {
      worker,
      stream: undefined,
      timer: undefined,
    };
    let isReady = false;
    worker.onmessage = ({ data }: MessageEvent<LaneReport>) => {
      if (data.kind === "ready") isReady = true;
      else thread.stream?.take(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (isReady) {
        this.#onPanic(new Error(`A thread of the server: ${event.message}`));
      } else {
        // No thread can start here. Its client comes back, to the event loop.
        this.#most = 0;
      }
      this.#threads.delete(thread);
      thread.stream?.take({ kind: "ended" });
    };
    this.#threads.add(thread);
    this.#retireLater(thread);
    return thread;
  }
}

function jobOf(
  { properties, early }: Negotiated,
  { memory }: Leases,
): Omit<LaneJob, "descriptor" | "thread" | "control"> {
  // Contexts are not the thread's to tell, and cannot be sent.
  return { early, properties: { ...properties, contexts: [] }, leases: memory };
}

function isReadable(module: URL): boolean {
  if (module.protocol !== "file:") return true;
  const query = { name: "read", path: module } as const;
  return Deno.permissions.querySync(query).state === "granted";
}
