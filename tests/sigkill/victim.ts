/**
 * A pool whose server is killed again and again, and what must be true of it
 * each time.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { callServer } from "../../cli/control/control_client.ts";
import type {
  ControlCall,
  ControlCalls,
} from "../../cli/control/control_protocol.ts";
import { VirstorError } from "../../errors.ts";
import {
  checkComponents,
  type FormatName,
  openPool,
  type Pool,
  type PoolStatus,
} from "../../pool/mod.ts";
import { assertFreebsd } from "../helpers/freebsd_checker.ts";
import { eventually } from "../helpers/patience.ts";
import { readBytes } from "../helpers/scratch.ts";
import { CHUNK, delay, MIB, ServedPool } from "../interop/served_pool.ts";
import { Load, type LoadTarget, Random } from "./load.ts";
import { BLOCK, StampedDisk } from "./stamped_disk.ts";

/** The size of each component. */
export const COMPONENT_BYTES: number = 4 * MIB;

/** How a pool is to be loaded. */
export interface LoadOptions {
  /** Chunks in use at most; all there are by default. */
  readonly chunks?: number;
  /** So many more are asked for: the writes have to wait. */
  readonly overcommit?: number;
  /** Requests that are acknowledged before the kill, at least. */
  readonly least?: number;
}

/**
 * The seed of a test, printed so that a failure can be repeated (the moments
 * of the kills differ).
 *
 * @returns `VIRSTOR_SIGKILL_SEED`, or a new one.
 */
export function newSeed(): number {
  const seed = Number(
    Deno.env.get("VIRSTOR_SIGKILL_SEED") ??
      crypto.getRandomValues(new Uint32Array(1))[0],
  );
  say(`VIRSTOR_SIGKILL_SEED=${seed}`);
  return seed;
}

/**
 * How many rounds a test has.
 *
 * @param usual How many in the quick share.
 * @returns That, or as many more as `VIRSTOR_SIGKILL_ROUNDS` asks for: it
 *   stands for the rounds of the longest test.
 */
export function roundsOf(usual: number): number {
  const rounds = Number(Deno.env.get("VIRSTOR_SIGKILL_ROUNDS") ?? USUAL_ROUNDS);
  return Math.ceil(rounds * usual / USUAL_ROUNDS);
}

/** Rounds of the longest test. */
export const USUAL_ROUNDS = 10;

/**
 * Prints what a failure is repeated with, or judged by.
 *
 * @param line One line.
 */
export function say(line: string): void {
  // deno-lint-ignore no-console -- what a failure is repeated with
  console.log(line);
}

/**
 * Lets something fail before anything waits for it.
 *
 * @param asked What may fail.
 * @returns The same.
 */
export function askedMeanwhile<T>(asked: Promise<T>): Promise<T> {
  asked.catch(() => {});
  return asked;
}

/** What the server logs of a client whose requests a thread executes. */
const ON_THREAD = "on a thread of its own";

/** A pool, the client's idea of it, and chance. */
export class Victim implements AsyncDisposable {
  /** Requests acknowledged in all rounds. */
  acknowledged = 0;
  /** What is served. */
  readonly pool: ServedPool;
  /** Where chance comes from. */
  readonly random: Random;
  /** All files that are components, or were, or may be. */
  readonly files: string[];
  readonly #format: FormatName;
  readonly #target: LoadTarget;
  #kills = 0;

  private constructor(format: FormatName, pool: ServedPool, seed: number) {
    this.#format = format;
    this.pool = pool;
    this.random = new Random(seed);
    this.files = [...pool.paths];
    this.#target = {
      disk: new StampedDisk(seed),
      chunks: new Set(),
      virtualChunks: 32 * MIB / CHUNK,
      chunkBlocks: CHUNK / BLOCK,
    };
  }

  /**
   * Makes and serves a pool.
   *
   * @param format Its format.
   * @param components How many components.
   * @param seed Where chance starts.
   * @returns The pool; its disk has 64 MiB, of which the first half is used.
   */
  static async create(
    format: FormatName,
    components: number,
    seed: number,
  ): Promise<Victim> {
    const componentSize = `${COMPONENT_BYTES}`;
    return new Victim(
      format,
      await ServedPool.start({
        format,
        components,
        componentSize,
        serve: ["--threads", "1"],
      }),
      seed,
    );
  }

  /**
   * How the pool does.
   *
   * @returns What its server says.
   */
  async status(): Promise<PoolStatus> {
    const answer = await this.ask("status", null);
    assert(answer !== undefined, "the pool is served");
    return answer.pool;
  }

  /**
   * Asks the server; it may be killed meanwhile.
   *
   * @param call What.
   * @param request The details.
   * @returns Its answer, or undefined if it gave none.
   */
  async ask<Call extends ControlCall>(
    call: Call,
    request: ControlCalls[Call]["request"],
  ): Promise<ControlCalls[Call]["answer"] | undefined> {
    const { stateDirectory } = this.pool.work;
    try {
      const report = await callServer(stateDirectory, "pool", call, request);
      return report?.answer;
    } catch (error) {
      if (!(error instanceof VirstorError) || error.code !== "io") throw error;
      return undefined;
    }
  }

  /**
   * Adds a component.
   *
   * @param name Its file.
   * @param createSize Bytes.
   * @returns Whether the server has said that it is done.
   */
  async add(name: string, createSize: number): Promise<boolean> {
    const path = this.pool.work.path(name);
    this.files.push(path);
    const answer = await this.ask("add", {
      paths: [path],
      force: false,
      hardcode: false,
      createSize,
    });
    return answer !== undefined;
  }

  /**
   * Loads the server, and kills it. Every other time another client has the
   * only lane, so that the load is on the event loop.
   *
   * @param options How much.
   * @param during What is done meanwhile; the kill comes when it is done.
   */
  async killDuring(
    options: LoadOptions,
    during: () => Promise<void>,
  ): Promise<void> {
    const { physicalChunks, reservedChunks } = await this.status();
    const capacity = physicalChunks - reservedChunks;
    const limit = (options.chunks ?? capacity) + (options.overcommit ?? 0);
    const isOnThread = ++this.#kills % 2 === 0;
    // There is one lane: the client that comes first has it.
    using first = isOnThread ? null : await this.pool.connect();
    await first?.flush();
    using client = await this.pool.connect();
    // The lane has started when it has handed this over.
    await client.flush();
    const load = new Load(
      client,
      this.#target,
      this.random,
      Math.max(0, limit - this.#target.chunks.size),
    );
    const { server } = this.pool;
    const { least = 0 } = options;
    let hasEnded = false;
    const act = async () => {
      await during();
      await eventually(
        `${least} requests are acknowledged`,
        () => hasEnded || load.acknowledged >= least,
      );
    };
    // Any failure is reported once the server is gone.
    const [loaded] = await Promise.allSettled([
      load.run().finally(() => hasEnded = true),
      act().finally(() => server.kill()),
    ]);
    if (loaded.status === "rejected") {
      throw new Error(`The server said: ${server.stderr}`, {
        cause: loaded.reason,
      });
    }
    const lanes = server.stderr.split(ON_THREAD).length - 1;
    assertEquals(lanes, 1, "one client has the lane");
    this.acknowledged += load.acknowledged;
  }

  /**
   * Waits a random time.
   *
   * @param longestMs The longest, milliseconds.
   */
  async someTime(longestMs: number): Promise<void> {
    await delay(this.random.below(longestMs * 10) / 10);
  }

  /**
   * Fails unless the pool opens with what the registry knows; or, if a
   * component was a member already and the registry had not been written, after
   * `virstor taste`.
   */
  async assertFindable(): Promise<void> {
    const { work } = this.pool;
    const check = await work.run(["check", "pool"]);
    if (check.code === 0) return;
    assert(check.stdout.includes("missing"), check.stdout + check.stderr);
    await work.succeed(["taste", work.directory]);
    const again = await work.run(["check", "pool"]);
    assertEquals(again.code, 0, again.stdout + again.stderr);
  }

  /**
   * Looks at what a kill has left, before anything puts it right. Then a copy
   * is opened, read and stopped.
   *
   * @param look Looks at the copy while it is open; nothing more by default.
   * @returns How the copy did when it was open.
   * @throws {AssertionError} If there is damage, if anything that was
   *   acknowledged is not there, or if anything is left to be put right.
   */
  async verify(
    look: (pool: Pool) => Promise<void> = async () => {},
  ): Promise<PoolStatus> {
    const { findings } = await checkComponents(this.files);
    const damage = findings.filter(({ severity }) => severity === "damage");
    assertEquals(damage, []);
    const copies = this.#copyFiles();
    const pool = await openPool(copies);
    const status = pool.status();
    try {
      await this.#verifyBlocks(pool);
      assertEquals(await pool.check(), []);
      await look(pool);
    } finally {
      await pool.close();
    }
    await this.#assertSound(copies, pool);
    return status;
  }

  /** Stops the server as one should, and looks at what it leaves. */
  async stop(): Promise<void> {
    const ended = await this.pool.server.stop();
    assertEquals(ended.code, 0, ended.stderr);
    const check = await this.pool.work.run(["check", "pool"]);
    assertEquals(check.code, 0, check.stdout + check.stderr);
    await this.verify();
  }

  /** Removes everything. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.pool[Symbol.asyncDispose]();
  }

  async #verifyBlocks(pool: Pool): Promise<void> {
    const { chunkBlocks, disk } = this.#target;
    for (let chunk = 0; chunk < pool.volume().size / CHUNK; chunk++) {
      const bytes = await readBytes(pool.volume(), chunk * CHUNK, CHUNK);
      disk.verify(chunk * chunkBlocks, bytes);
    }
  }

  async #assertSound(copies: readonly string[], pool: Pool): Promise<void> {
    const { findings } = await checkComponents(copies);
    // One that has left, and was killed before its label was wiped.
    assertEquals(findings.filter(({ kind }) => kind !== "stale"), []);
    if (this.#format !== "freebsd") return;
    assertFreebsd(pool.status().components.map(({ path }) => path));
  }

  #copyFiles(): string[] {
    const directory = this.pool.work.path("copies");
    Deno.mkdirSync(directory, { recursive: true });
    return this.files.flatMap((path) => {
      const copy = `${directory}/${path.slice(path.lastIndexOf("/") + 1)}`;
      try {
        Deno.copyFileSync(path, copy);
        return [copy];
      } catch (error) {
        // The kill came before it was made, or it was never more than asked
        // for.
        if (error instanceof Deno.errors.NotFound) return [];
        throw error;
      }
    });
  }
}
