/**
 * Goal: SIGKILL in the middle of several commands that overlap loses nothing,
 * and each command that was acknowledged has been done.
 *
 * Method: rounds as in `sigkill_test.ts`. In each, commands begin one after
 * another, none waited for, while a client sends requests: components are
 * added, removed and kept, the disk gets other sizes, the pool is checked. Then
 * the server is killed. A model (`tests/simulation/register.ts`) says which
 * components and which size the pool may have.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { basename } from "node:path";
import { VirstorError } from "../../errors.ts";
import type { PoolStatus } from "../../pool/mod.ts";
import { MIB } from "../interop/served_pool.ts";
import { MembersModel, type MemberState } from "../simulation/members_model.ts";
import {
  type Outcome,
  Register,
  type Setting,
} from "../simulation/register.ts";
import { COMPONENT_BYTES, newSeed, roundsOf, say, Victim } from "./victim.ts";

/** Rounds with a kill in the middle of overlapping commands. */
const ROUNDS = roundsOf(7);
/** Components at first. */
const MEMBERS = 3;
/** Components at most: with more, none are added. */
const MEMBERS_MAX = 5;
/** Chunks in use: two components have room for them. */
const CHUNKS = 40;
/** Commands of a round. */
const COMMANDS = { fewest: 4, most: 8 } as const;
/** The longest time between two commands, milliseconds. */
const BETWEEN_MS = 25;
/** The longest time between the last command and the kill, milliseconds. */
const KILL_MS = 120;
/** How fast chunks are moved, bytes a second. */
const RATES: readonly number[] = [0, 2 * MIB, 8 * MIB];

type Command = "add" | "remove" | "keep" | "resize" | "check";
const KINDS: readonly Command[] = [
  "add",
  "remove",
  "remove",
  "keep",
  "keep",
  "resize",
  "check",
];

/** The commands of one round, and what they may have done. */
class Round {
  /** How many were acknowledged. */
  acknowledged = 0;
  readonly #victim: Victim;
  readonly #before: PoolStatus;
  readonly #newFiles: string[];
  readonly #members: MembersModel;
  readonly #size: Register<number>;
  readonly #running: Promise<void>[] = [];

  constructor(victim: Victim, before: PoolStatus, round: number) {
    this.#victim = victim;
    this.#before = before;
    const { most } = COMMANDS;
    this.#newFiles = Array.from({ length: most }, (_, i) => `${round}-${i}`);
    this.#size = new Register(before.virtualSize);
    this.#members = new MembersModel(
      new Map([
        ...this.#newFiles.map((name) => [name, "out"] as const),
        ...before.components.map(({ path, evacuating }) =>
          [basename(path), evacuating ? "leaving" : "in"] as const
        ),
      ].map(([name, state]) => [name, new Register<MemberState>(state)])),
    );
  }

  /** Begins a command. */
  begin(): void {
    const { random } = this.#victim;
    const { components } = this.#before;
    const path = components[random.below(components.length)]?.path ?? "";
    const kind = KINDS[random.below(KINDS.length)];
    const isRoomy = components.length < MEMBERS_MAX;
    if (kind === "add" && isRoomy) this.#add();
    else if (kind === "remove") this.#remove(path);
    else if (kind === "keep") this.#keep(path);
    else if (kind === "resize") this.#resize();
    else this.#check();
  }

  /** Waits until a check has its answer. */
  async checked(): Promise<void> {
    this.#check();
    await this.#running.at(-1);
  }

  /** Waits until every command has its answer, or gets none. */
  async ended(): Promise<void> {
    await Promise.all(this.#running);
  }

  /**
   * Fails unless a pool that was opened after the kill is as it may be. Copies
   * of its files were opened.
   */
  verify({ components, virtualSize }: PoolStatus): void {
    this.#members.check(
      components.map((one) => ({ ...one, path: basename(one.path) })),
    );
    const sizes = this.#size.allowed;
    assert(sizes.has(virtualSize), `${virtualSize}, not ${[...sizes]}`);
  }

  #add(): void {
    const name = this.#newFiles.pop() ?? "";
    const change = this.#members.begin(name, "in");
    this.#run(
      () => this.#victim.add(name, COMPONENT_BYTES),
      (outcome) => this.#members.end(name, change, outcome),
    );
  }

  #remove(path: string): void {
    const { random } = this.#victim;
    const bytesPerSecond = RATES[random.below(RATES.length)] ?? 0;
    this.#member(path, "leaving", async () => {
      const request = { paths: [path], bytesPerSecond };
      return await this.#victim.ask("remove", request) !== undefined;
    });
  }

  #keep(path: string): void {
    this.#member(path, "in", async () => {
      const answer = await this.#victim.ask("cancelRemove", { paths: [path] });
      if (answer !== undefined) assertEquals(answer.kept, [path]);
      return answer !== undefined;
    });
  }

  #resize(): void {
    const { random } = this.#victim;
    const virtualSize = (32 + random.below(64)) * MIB;
    const change: Setting<number> = this.#size.begin(virtualSize);
    this.#run(
      async () => {
        const request = { volume: "", virtualSize, force: true };
        return await this.#victim.ask("resize", request) !== undefined;
      },
      (outcome) => this.#size.end(change, outcome),
    );
  }

  #check(): void {
    this.#run(async () => {
      const answer = await this.#victim.ask("check", null);
      if (answer !== undefined) assertEquals(answer, []);
      return answer !== undefined;
    }, () => {});
  }

  #member(path: string, state: MemberState, act: () => Promise<boolean>): void {
    const name = basename(path);
    const change = this.#members.begin(name, state);
    this.#run(act, (outcome) => this.#members.end(name, change, outcome));
  }

  /** Runs a command to its end, or to that of the server. */
  #run(act: () => Promise<boolean>, end: (outcome: Outcome) => void): void {
    const run = async () => {
      let outcome: Outcome = "maybe";
      try {
        if (await act()) outcome = "done";
      } catch (error) {
        // The second command may find that there is nothing left to do.
        const isRefused = error instanceof VirstorError &&
          ["invalid", "no-space"].includes(error.code);
        if (!isRefused) throw error;
        outcome = "refused";
      } finally {
        end(outcome);
      }
      if (outcome === "done") this.acknowledged++;
    };
    const running = run();
    running.catch(() => {});
    this.#running.push(running);
  }
}

Deno.test("SIGKILL in the middle of overlapping commands leaves what was acknowledged, and a sound pool", async () => {
  await using victim = await Victim.create("native", MEMBERS, newSeed());
  const { random } = victim;
  let asked = 0;
  let acknowledged = 0;
  for (let i = 0; i < ROUNDS; i++) {
    const round = new Round(victim, await victim.status(), i);
    const { fewest, most } = COMMANDS;
    const commands = fewest + random.below(most - fewest + 1);
    await victim.killDuring({ chunks: CHUNKS }, async () => {
      for (let command = 0; command < commands; command++) {
        await victim.someTime(BETWEEN_MS);
        round.begin();
      }
      await victim.someTime(KILL_MS);
      // On a busy machine the kills may have come before all ends so far.
      if (i === ROUNDS - 1 && acknowledged === 0) await round.checked();
    });
    await round.ended();
    asked += commands;
    acknowledged += round.acknowledged;
    await victim.assertFindable();
    round.verify(await victim.verify());
    await victim.pool.restart();
  }
  await victim.stop();
  say(
    `${ROUNDS} kills, ${asked} commands, ${acknowledged} of them ` +
      `acknowledged, ${victim.acknowledged} requests acknowledged`,
  );
  assert(acknowledged > 0, "some commands are done before the kill");
});
