/**
 * The programs of `--on-event`. The server never waits for them: events wait in
 * bounded queues, one for each program and kind of event, and of each queue one
 * program runs at a time.
 *
 * @module
 */

import { counted } from "../../errors.ts";
import type { EventRecord } from "../control/mod.ts";
import { log } from "../terminal/mod.ts";
import type { Hook } from "./hook_option.ts";
import { HookProcess } from "./hook_process.ts";

/** How long a program may run, milliseconds. */
const LIMIT_MS = 30_000;
/** The most events that wait in a queue. */
const WAITING_MAX = 16;

/** The events of one kind that wait for one program. */
interface Queue {
  readonly hook: Hook;
  readonly kind: string;
  readonly waiting: EventRecord[];
  dropped: number;
  running: HookProcess | undefined;
  working: Promise<void> | undefined;
}

/** Runs programs for events. */
export class EventHooks {
  readonly #hooks: readonly Hook[];
  readonly #limitMs: number;
  readonly #queues = new Map<string, Queue>();

  /**
   * Starts without events.
   *
   * @param hooks The programs.
   * @param limitMs How long a program may run, milliseconds.
   */
  constructor(hooks: readonly Hook[], limitMs: number = LIMIT_MS) {
    this.#hooks = hooks;
    this.#limitMs = limitMs;
  }

  /**
   * Queues an event for the programs that want it. Starts no program here, so
   * the caller may be in the middle of a change.
   *
   * @param event The event.
   */
  add(event: EventRecord): void {
    for (const [index, hook] of this.#hooks.entries()) {
      if (hook.kinds.length > 0 && !hook.kinds.includes(event.kind)) continue;
      const queue = this.#queueOf(`${index} ${event.kind}`, hook, event.kind);
      queue.waiting.push(event);
      if (queue.waiting.length > WAITING_MAX) {
        queue.waiting.shift();
        queue.dropped++;
      }
      queue.working ??= this.#work(queue);
    }
  }

  /**
   * Waits for the programs, for the last events too, and ends those that take
   * longer.
   *
   * @param graceMs How long to wait, milliseconds.
   */
  async end(graceMs: number): Promise<void> {
    const queues = [...this.#queues.values()];
    const timer = setTimeout(() => {
      for (const queue of queues) {
        queue.dropped += queue.waiting.splice(0).length;
        queue.running?.end("the server has ended");
      }
    }, graceMs);
    await Promise.all(queues.map(({ working }) => working));
    clearTimeout(timer);
  }

  #queueOf(key: string, hook: Hook, kind: string): Queue {
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      const state = { dropped: 0, running: undefined, working: undefined };
      queue = { hook, kind, waiting: [], ...state };
      this.#queues.set(key, queue);
    }
    return queue;
  }

  /** Runs the program for each event that waits. Never rejects. */
  async #work(queue: Queue): Promise<void> {
    // Not in the turn of the event: starting a program takes milliseconds.
    await new Promise((done) => setTimeout(done, 0));
    for (let event; (event = queue.waiting.shift()) !== undefined;) {
      queue.running = new HookProcess(queue.hook, event, this.#limitMs);
      const reason = await queue.running.ended;
      if (reason !== "") say(queue, event.pool, `failed: ${reason}`);
      const { dropped } = queue;
      queue.dropped = 0;
      if (dropped > 0) {
        say(
          queue,
          event.pool,
          `is too slow, ${counted(dropped, "event")} lost`,
        );
      }
    }
    queue.running = undefined;
    queue.working = undefined;
  }
}

function say({ hook, kind }: Queue, pool: string, what: string): void {
  const message = `The program "${hook.program}" for "${kind}" ${what}`;
  log("hook-failed", message, { pool });
}
