/**
 * Goal: an acknowledged write survives SIGKILL of the server, and the pool
 * that is left behind is sound, for our own check and for FreeBSD, before
 * anything has put it right.
 *
 * Method: rounds. In each, a real server serves the pool that the round before
 * has left, a client sends random requests, and the server is killed at a
 * random moment; in some rounds while components join. Then every block must
 * hold what was acknowledged last, or what was under way.
 *
 * `VIRSTOR_SIGKILL_ROUNDS` asks for more rounds, `VIRSTOR_SIGKILL_SEED` for
 * those of a seed that was printed (the moments of the kills differ).
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { callServer } from "../../cli/control_client.ts";
import { VirstorError } from "../../errors.ts";
import { encodeRequest, NBD, NbdClient } from "../helpers/nbd_client.ts";
import { assertFreebsd } from "../helpers/freebsd_checker.ts";
import { CHUNK, delay, MIB, ServedPool } from "../interop/served_pool.ts";
import { Load, type LoadTarget, Random } from "./load.ts";
import { BLOCK, StampedDisk } from "./stamped_disk.ts";

/** Rounds of the quick share; about half a second each. */
const LOAD_ROUNDS = Number(Deno.env.get("VIRSTOR_SIGKILL_ROUNDS") ?? 21);
/** Rounds after which a new pool is begun, so that first writes go on. */
const ROUNDS_A_POOL = 7;
/** Each of them with a kill during `add`. */
const ADD_ROUNDS = Math.ceil(LOAD_ROUNDS / 2.5);
/** The longest load before the kill, milliseconds. */
const LOAD_MS = 120;
/** The longest time between asking for `add` and the kill, milliseconds. */
const ADD_MS = 16;

function newSeed(): number {
  return Number(
    Deno.env.get("VIRSTOR_SIGKILL_SEED") ??
      crypto.getRandomValues(new Uint32Array(1))[0],
  );
}

function say(line: string): void {
  // deno-lint-ignore no-console -- what a failure is repeated with
  console.log(line);
}

/** A pool, the client's idea of it, and chance. */
class Victim implements AsyncDisposable {
  /** Requests acknowledged in all rounds. */
  acknowledged = 0;
  readonly pool: ServedPool;
  readonly #target: LoadTarget;
  readonly #random: Random;

  private constructor(pool: ServedPool, seed: number) {
    this.pool = pool;
    this.#random = new Random(seed);
    this.#target = {
      disk: new StampedDisk(seed),
      chunks: new Set(),
      virtualChunks: 64 * MIB / CHUNK,
      chunkBlocks: CHUNK / BLOCK,
    };
  }

  static async create(components: number, seed: number): Promise<Victim> {
    const componentSize = "4M";
    return new Victim(
      await ServedPool.start({ components, componentSize }),
      seed,
    );
  }

  /** Loads the server until it is killed by `act`, or after it. */
  async load(overcommit: number, act: () => Promise<void>): Promise<void> {
    const { work } = this.pool;
    const report = await callServer(
      work.stateDirectory,
      "pool",
      "status",
      null,
    );
    const free = report?.answer.pool.freeChunks ?? 0;
    using client = await this.pool.connect();
    const load = new Load(
      client,
      this.#target,
      this.#random,
      free + overcommit,
    );
    const running = load.run();
    await act();
    await this.pool.server.kill();
    await running;
    this.acknowledged += load.acknowledged;
  }

  /** Waits a random time. */
  async someTime(longestMs: number): Promise<void> {
    await delay(this.#random.below(longestMs * 10) / 10);
  }

  /** Serves the pool again and reads all of it. */
  async reopenAndVerify(): Promise<void> {
    await this.pool.restart();
    using client = await this.pool.connect();
    const { chunkBlocks, disk, virtualChunks } = this.#target;
    for (let chunk = 0; chunk < virtualChunks; chunk++) {
      const { errno, payload } = await client.read(chunk * CHUNK, CHUNK);
      assertEquals(errno, 0);
      disk.verify(chunk * chunkBlocks, payload);
    }
    await client.disconnect();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.pool[Symbol.asyncDispose]();
  }
}

async function killDuringLoad(seed: number, rounds: number): Promise<number> {
  await using victim = await Victim.create(3, seed);
  const { pool } = victim;
  for (let round = 0; round < rounds; round++) {
    await victim.load(0, () => victim.someTime(LOAD_MS));
    await pool.assertSound();
    await victim.reopenAndVerify();
  }
  await pool.stopAndCheck();
  return victim.acknowledged;
}

Deno.test("Acknowledged writes survive SIGKILL, and the pool is sound before it is opened again", async () => {
  const seed = newSeed();
  say(`VIRSTOR_SIGKILL_SEED=${seed}`);
  let acknowledged = 0;
  for (let done = 0; done < LOAD_ROUNDS; done += ROUNDS_A_POOL) {
    const rounds = Math.min(ROUNDS_A_POOL, LOAD_ROUNDS - done);
    acknowledged += await killDuringLoad(seed + done, rounds);
  }
  say(`${LOAD_ROUNDS} kills, ${acknowledged} requests acknowledged`);
  assert(acknowledged > LOAD_ROUNDS * 10, `only ${acknowledged} requests`);
});

Deno.test("SIGKILL in the middle of a large write leaves every block old or new", async () => {
  await using pool = await ServedPool.start();
  // Neither whole blocks nor whole sectors of the payload arrive.
  const [arrived, length] = [70_001, CHUNK];
  using client = await NbdClient.open({ path: pool.socket }, "pool");
  await client.write(0, new Uint8Array(length).fill(1));
  const request = encodeRequest({
    command: NBD.CMD_WRITE,
    payload: new Uint8Array(length).fill(2),
  });
  await client.sendRaw(request.subarray(0, 28 + arrived));
  // If the server has done anything about it by then, it is not by halves.
  await delay(100);
  await pool.server.kill();
  await pool.restart();
  using again = await pool.connect();
  const { payload } = await again.read(0, length);
  for (let at = 0; at < length; at += BLOCK) {
    const values = new Set(payload.subarray(at, at + BLOCK));
    assertEquals(values.size, 1, `the block at ${at} holds ${[...values]}`);
  }
  await again.disconnect();
  await pool.stopAndCheck();
});

/** Asks for a component over the control socket; the kill may be faster. */
async function addUntilKilled(pool: ServedPool, path: string): Promise<void> {
  try {
    await callServer(pool.work.stateDirectory, "pool", "add", {
      paths: [path],
      force: false,
      hardcode: false,
      createSize: MIB,
    });
  } catch (error) {
    if (!(error instanceof VirstorError) || error.code !== "io") throw error;
  }
}

/**
 * The pool has to open with what the registry knows; or, if the component was
 * a member already and the registry had not been told, after `virstor taste`.
 */
async function assertFindable(pool: ServedPool): Promise<void> {
  const check = await pool.work.run(["check", "pool"]);
  if (check.code === 0) return;
  assert(check.stdout.includes("missing"), check.stdout + check.stderr);
  await pool.work.succeed(["taste", pool.work.directory]);
  const again = await pool.work.run(["check", "pool"]);
  assertEquals(again.code, 0, again.stdout + again.stderr);
}

/** The paths of the components as they are now. */
async function componentsOf(pool: ServedPool): Promise<string[]> {
  const { pool: { components } } = await pool.status();
  return components.map(({ path }) => path);
}

Deno.test("SIGKILL during virstor add leaves the pool before it or after it", async () => {
  const seed = newSeed();
  say(`VIRSTOR_SIGKILL_SEED=${seed}`);
  await using victim = await Victim.create(1, seed);
  const { pool } = victim;
  let added = 0;
  for (let round = 0; round < ADD_ROUNDS; round++) {
    const before = await componentsOf(pool);
    const path = pool.work.path(`add${round}`);
    let adding: Promise<void> | undefined;
    // Some more chunks than there are: some writes wait for the component.
    await victim.load(4, async () => {
      await victim.someTime(40);
      adding = addUntilKilled(pool, path);
      await victim.someTime(ADD_MS);
    });
    await adding;
    await assertFindable(pool);
    await victim.reopenAndVerify();
    const after = await componentsOf(pool);
    const hasJoined = after.length > before.length;
    assertEquals(after, hasJoined ? [...before, path] : before);
    if (hasJoined) added++;
    const ended = await pool.server.stop();
    assertEquals(ended.code, 0, ended.stderr);
    assertFreebsd(after);
    await pool.restart();
  }
  say(
    `${ADD_ROUNDS} kills, ${added} components joined, ` +
      `${victim.acknowledged} requests acknowledged`,
  );
  await pool.server.stop();
});
