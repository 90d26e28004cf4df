/**
 * The name of a served pool: its control socket and its entry in the registry
 * follow it.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";
import { isStillRunning } from "../../pool/change/mod.ts";
import type { Pool } from "../../pool/mod.ts";
import { forgetFormerName, renameOpenPool } from "../calls/mod.ts";
import { controlSocketPath, forgetPool } from "../state/mod.ts";
import { printNotices } from "../terminal/mod.ts";
import type { ControlServer } from "./control_server.ts";
import type { PoolEvents } from "./pool_events.ts";

/** What a name is of. */
export interface NamedPool {
  /** The pool. */
  readonly pool: Pool;
  /** The state directory. */
  readonly stateDirectory: string;
  /** Listens on the socket of the name. */
  readonly control: ControlServer;
  /** What happens to it. */
  readonly events: PoolEvents;
  /** Called when the pool has another name, and its socket has. */
  onRenamed(): void;
}

/** The name of a served pool. Its methods run one after the other. */
export class ServedName {
  readonly #of: NamedPool;
  /** The name of the control socket. */
  #current: string;
  /** The name that a rename gives which no call waits for any more. */
  #late = "";
  #former: readonly string[] = [];

  /**
   * Takes the name that the pool has.
   *
   * @param of What the name is of.
   */
  constructor(of: NamedPool) {
    this.#of = of;
    this.#current = of.pool.name;
  }

  /** The names that the pool had since it is served. */
  get former(): readonly string[] {
    return this.#former;
  }

  /**
   * Renames the pool. Both sockets answer until it has the new name.
   *
   * @param to The new name.
   * @throws {VirstorError} As `renameOpenPool`. If a far side holds the rename
   *   up, it goes on: see {@linkcode follow}.
   */
  async rename(to: string): Promise<void> {
    const { pool, stateDirectory } = this.#of;
    try {
      await this.#move(
        to,
        (listen) => renameOpenPool(stateDirectory, pool, to, listen),
      );
    } catch (error) {
      if (isStillRunning(error)) this.#late = to;
      throw error;
    }
    await this.#renamed(to);
  }

  /**
   * Follows a rename that has ended, one way or the other, after its call was
   * answered. Never throws.
   */
  async follow(): Promise<void> {
    const { pool, stateDirectory } = this.#of;
    const { name } = pool;
    const late = this.#late;
    this.#late = "";
    try {
      if (name !== this.#current) {
        await this.#move(name, (listen) => listen());
        await this.#renamed(name);
      } else if (late !== "") {
        await forgetPool(stateDirectory, late, pool.status().id);
      }
    } catch (error) {
      if (!(error instanceof VirstorError)) throw error;
      printNotices([messageOf(error)]);
    }
  }

  async #move(
    to: string,
    action: (listen: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const { control, stateDirectory } = this.#of;
    const paths = [this.#current, to].map((name) =>
      controlSocketPath(stateDirectory, name)
    );
    await control.move(paths, action);
  }

  async #renamed(to: string): Promise<void> {
    const { pool, stateDirectory, events } = this.#of;
    const from = this.#current;
    this.#current = to;
    this.#former = [...this.#former, from];
    events.rename(to);
    this.#of.onRenamed();
    const message = `Renamed pool "${from}" to "${to}"`;
    events.emit({ kind: "volumes", message });
    await forgetFormerName(stateDirectory, pool, from);
  }
}
