/**
 * Which components a pool may have, for all commands that add, remove and keep
 * some, also several at once.
 *
 * @module
 */

import type { ComponentStatus } from "../../pool/mod.ts";
import { type Outcome, Register, type Setting } from "./register.ts";

/** What a file is to the pool. */
export type MemberState =
  | "in"
  | "leaving" // it is being evacuated, and out when it is empty
  | "out";

/** The components that a pool may have. */
export class MembersModel {
  #states: ReadonlyMap<string, Register<MemberState>>;

  /**
   * Creates a model.
   *
   * @param states The registers of all files, by their paths.
   */
  constructor(states: ReadonlyMap<string, Register<MemberState>>) {
    this.#states = states;
  }

  /**
   * The components of a new pool.
   *
   * @param paths All files.
   * @param members How many of them, the first ones, are members.
   * @returns The model.
   */
  static of(paths: readonly string[], members: number): MembersModel {
    return new MembersModel(
      new Map(paths.map((path, index) => [
        path,
        new Register<MemberState>(index < members ? "in" : "out"),
      ])),
    );
  }

  /**
   * A command about a component begins.
   *
   * @param path Where the component is.
   * @param state What it is to be.
   * @returns The command.
   */
  begin(path: string, state: MemberState): Setting<MemberState> {
    return this.#of(path).begin(state);
  }

  /**
   * A command ends.
   *
   * @param path Where the component is.
   * @param command The command.
   * @param outcome What became of it.
   */
  end(path: string, command: Setting<MemberState>, outcome: Outcome): void {
    this.#of(path).end(command, outcome);
  }

  /**
   * Holds the components of a pool against the model.
   *
   * @param components What the pool says.
   * @throws {Error} If one is what it may not be.
   */
  check(components: readonly ComponentStatus[]): void {
    for (const [path, register] of this.#states) {
      const state = stateIn(components, path);
      const { allowed } = register;
      if (allowed.has(state)) continue;
      if (state === "out" && allowed.has("leaving")) continue;
      throw new Error(
        `"${path}" is ${state}, it may be ${[...allowed].join(" or ")}`,
      );
    }
  }

  /** The process is gone: what is in flight never ends. */
  abandon(): void {
    this.#states = this.#copies();
  }

  /**
   * The machine is up again: what was found is what there is, for good.
   *
   * @param components What the pool says.
   */
  restart(components: readonly ComponentStatus[]): void {
    for (const [path, register] of this.#states) {
      register.settle(stateIn(components, path));
    }
  }

  /**
   * A copy that goes its own way; what is in flight never ends there.
   *
   * @returns The copy.
   */
  clone(): MembersModel {
    return new MembersModel(this.#copies());
  }

  #copies(): Map<string, Register<MemberState>> {
    return new Map(
      [...this.#states].map(([path, one]) => [path, one.clone()]),
    );
  }

  #of(path: string): Register<MemberState> {
    const register = this.#states.get(path);
    if (register === undefined) throw new Error(`There is no "${path}"`);
    return register;
  }
}

function stateIn(
  components: readonly ComponentStatus[],
  path: string,
): MemberState {
  const component = components.find((one) => one.path === path);
  if (component === undefined) return "out";
  return component.evacuating ? "leaving" : "in";
}
