/**
 * Changes and components on other machines. A change writes a superblock to
 * every component, durably, so one far side that does not answer holds it up:
 * but not for ever, and nothing else with it.
 *
 * A change takes its turn only when every far side has answered. Until its turn
 * has come, it is called off when a far side is silent for too long: nothing has
 * changed then. If a far side falls silent later, the caller learns that the
 * change goes on without it, and an event says when the change has ended.
 *
 * @module
 */

import { counted, messageOf, VirstorError } from "../../errors.ts";
import { type ComponentDevice, STOP_SECONDS } from "../core/mod.ts";
import type { PoolBase } from "../io/mod.ts";

/** The first look at the far sides, milliseconds after a change was asked for. */
const FIRST_LOOK_MS = 250;
/** The shortest and the longest time between two looks, milliseconds. */
const [LOOK_MS, LOOK_MS_MAX] = [20, 1000] as const;

/** The caller of a change was refused, and the change goes on. */
class StillRunning extends VirstorError {}

/**
 * Tells whether a change that has failed for its caller goes on: an event of
 * kind `late-change` says how it ends.
 *
 * @param error What the change has thrown.
 * @returns True if it goes on.
 */
export function isStillRunning(error: unknown): boolean {
  return error instanceof StillRunning;
}

/** The turn of a change, or of a check, in the queue. */
export class Turn {
  /** What takes it. */
  readonly what: "change" | "check";
  /** Where it is. */
  state: "waiting" | "running" | "called off" = "waiting";
  /** The component that the caller was refused for while the change ran. */
  stalledBy = "";

  /**
   * Begins to wait.
   *
   * @param what What takes the turn.
   */
  constructor(what: "change" | "check" = "change") {
    this.what = what;
  }

  /**
   * The turn has come.
   *
   * @throws {VirstorError} `cancelled` if it was called off.
   */
  begin(): void {
    if (this.state === "called off") {
      throw new VirstorError("cancelled", "The change was called off");
    }
    this.state = "running";
  }
}

/** Waits of changes for components on other machines. */
export class FarWaits {
  readonly #parts: Pick<PoolBase, "format" | "settings">;
  /** Components that are joining. */
  readonly #joining = new Set<ComponentDevice>();

  /**
   * Begins without waits.
   *
   * @param parts The open pool's parts.
   */
  constructor(parts: Pick<PoolBase, "format" | "settings">) {
    this.#parts = parts;
  }

  /** Whether there is a component on another machine. */
  get isNeeded(): boolean {
    return this.#devices.some(({ farSide }) => farSide !== undefined);
  }

  /** Waits until every far side has answered; never rejects. */
  async reached(): Promise<void> {
    const waits = this.#devices.map(({ farSide }) => farSide?.reached());
    for (const wait of waits) await wait;
  }

  /** Waits until no far side is silent; sends nothing to one that answers. */
  async unlessSilent(): Promise<void> {
    if (this.#mostSilent.ms > FIRST_LOOK_MS) await this.reached();
  }

  /**
   * Counts components that are joining among those of the pool, for as long as
   * they join.
   *
   * @param devices The components.
   * @param join Makes them members.
   * @returns What it returns.
   */
  async joining<T>(
    devices: readonly ComponentDevice[],
    join: () => Promise<T>,
  ): Promise<T> {
    for (const device of devices) this.#joining.add(device);
    try {
      return await join();
    } finally {
      for (const device of devices) this.#joining.delete(device);
    }
  }

  /**
   * Waits for a change, but not for a far side that is silent.
   *
   * @param pending The change.
   * @param turn Its turn.
   * @param only The state of the turn in which a silent far side counts; all by
   *   default.
   * @returns What the change returns.
   * @throws {VirstorError} `io` if a far side is silent for too long.
   */
  async bounded<T>(
    pending: Promise<T>,
    turn: Turn,
    only: "all" | "running" | "waiting" = "all",
  ): Promise<T> {
    const silent = Promise.withResolvers<never>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
      const { path, ms: silentMs } = this.#mostSilent;
      const left = this.#patienceMs - silentMs;
      const counts = only === "all" || turn.state === only;
      if (left <= 0 && counts) silent.reject(this.#giveUp(turn, path));
      else {
        const ms = Math.min(LOOK_MS_MAX, Math.max(LOOK_MS, left));
        timer = setTimeout(look, ms);
      }
    };
    timer = setTimeout(look, Math.min(FIRST_LOOK_MS, this.#patienceMs));
    try {
      return await Promise.race([pending, silent.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Notes the end of a change whose caller was refused.
   *
   * @param turn Its turn.
   * @param error Why it failed; undefined if it is done.
   */
  ended({ stalledBy }: Turn, error?: unknown): void {
    if (stalledBy === "") return;
    const { onEvent } = this.#parts.settings;
    const message = `The change that "${stalledBy}" held up ` +
      (error === undefined ? "is done" : `has failed: ${messageOf(error)}`);
    const isDone = error === undefined;
    onEvent({ kind: "late-change", message, path: stalledBy, isDone });
  }

  get #patienceMs(): number {
    // A stop may wait for nothing at all; a change needs an answer.
    return (this.#parts.settings.stopSeconds || STOP_SECONDS) * 1000;
  }

  get #devices(): readonly ComponentDevice[] {
    const members = this.#parts.format.members.map(({ device }) => device);
    return [...members, ...this.#joining];
  }

  /** The component whose far side is silent for longest. */
  get #mostSilent(): { readonly path: string; readonly ms: number } {
    let most = { path: "", ms: 0 };
    for (const { farSide, path } of this.#devices) {
      const ms = farSide?.silentMs ?? 0;
      if (ms > most.ms) most = { path, ms };
    }
    return most;
  }

  #giveUp(turn: Turn, path: string): VirstorError {
    const { name } = this.#parts.settings;
    const seconds = counted(this.#patienceMs / 1000, "second");
    const found = `"${path}" has not answered for ${seconds}`;
    if (turn.state === "running") {
      turn.stalledBy = path;
      return new StillRunning(
        "io",
        `Cannot end the change of pool "${name}" now: ${found}, the change ` +
          "goes on when it answers",
      );
    }
    turn.state = "called off";
    if (turn.what === "check") {
      return new VirstorError(
        "io",
        `Cannot check pool "${name}": a change of it waits for "${path}", ` +
          `which has not answered for ${seconds}`,
      );
    }
    return new VirstorError(
      "io",
      `Cannot change pool "${name}": ${found}, nothing has changed, try again ` +
        "when virstor status shows it connected",
    );
  }
}
