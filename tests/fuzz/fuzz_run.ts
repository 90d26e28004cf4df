/**
 * A run of the fuzzer: many conversations at once, most of them mutated, while
 * good clients work; in the end, everything must be as it was.
 *
 * @module
 */

import { messageOf } from "../../errors.ts";
import type { Dialect, NbdAddress } from "../helpers/nbd_messages.ts";
import { MIB } from "../helpers/scratch.ts";
import { Random } from "../simulation/random.ts";
import { buildConversation } from "./conversation.ts";
import {
  chooseDelivery,
  deliver,
  type Delivery,
  type Ending,
} from "./delivery.ts";
import { judge } from "./judge.ts";
import { encodeMessages } from "./messages.ts";
import { encodeBadly, mutate } from "./mutations.ts";
import { Slot } from "./slot.ts";
import { SteadyClient } from "./steady_client.ts";
import { Victim, type VictimReport } from "./victim_process.ts";
import { HOSTILE, KEPT, LOCKED, SLOT_SIZE, WORKERS } from "./world.ts";

/** How to fuzz. */
export interface FuzzOptions {
  /** The first conversation; each next one has the next number. */
  readonly seed: number;
  /** Whether there is to be another conversation. */
  readonly goesOn: (count: number) => boolean;
  /** Called now and then with the number of conversations so far. */
  readonly onProgress?: (count: number) => void;
}

/** What a run came to. */
export interface FuzzResult {
  /** Conversations. */
  readonly conversations: number;
  /** Those that were not mutated. */
  readonly kept: number;
  /** Requests of all of them whose answers were judged. */
  readonly judged: number;
  /** Requests of the good clients. */
  readonly steady: number;
  /** Connections that had a thread. */
  readonly lanes: number;
}

/** How many of 100 conversations are not mutated. */
const KEPT_PERCENT = 30;
/** One in so many clients says nothing more and stays until the run ends. */
const LINGER_EVERY = 199;
/** Conversations before memory is measured first. */
const WARM_UP = 60;
/** What live memory may grow by, bytes: caches of the runtime, no leak. */
const GROWTH_MAX = 3 * MIB;
/** One good client speaks each. */
const DIALECTS: readonly Dialect[] = ["simple", "structured", "extended"];
/** What mutated conversations end like; most are judged. */
const ENDINGS: readonly Ending[] = [
  ...["finish", "finish", "finish", "finish", "finish", "finish"] as const,
  ...["leave", "leave", "unread"] as const,
];

/**
 * Fuzzes a server of its own.
 *
 * @param options How long, and from where on.
 * @returns What was done.
 * @throws {Error} If anything is wrong; the message tells how to see it again.
 */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  await using victim = await Victim.start();
  const run = new Run(victim, options);
  try {
    return await run.all();
  } catch (error) {
    const complaints = await victim.kill();
    throw new Error(`${messageOf(error)}\n${complaints}`, { cause: error });
  }
}

class Run {
  readonly #victim: Victim;
  readonly #options: FuzzOptions;
  readonly #slots = Array.from({ length: WORKERS }, (_, i) => new Slot(i));
  /** Conversations that are going on. */
  readonly #underWay = new Set<number>();
  #conversations = 0;
  #kept = 0;
  #judged = 0;
  #failure: unknown = undefined;

  constructor(victim: Victim, options: FuzzOptions) {
    this.#victim = victim;
    this.#options = options;
  }

  async all(): Promise<FuzzResult> {
    const { goesOn } = this.#options;
    await this.#work(0, (count) => count < WARM_UP && goesOn(count));
    const before = await this.#victim.settled();
    const steady = await openSteady(this.#victim.addresses);
    const working = Promise.all(steady.map((client) => client.work()));
    working.catch((error) => this.#failure ??= error);
    await this.#work(WARM_UP, goesOn);
    for (const client of steady) client.stop();
    await working;
    const after = await this.#victim.settled(before.descriptors);
    this.#assertSettled(before, after, steady.length);
    await this.#victim.stop();
    return {
      conversations: this.#conversations,
      kept: this.#kept,
      judged: this.#judged,
      steady: steady.reduce((sum, { answered }) => sum + answered, 0),
      lanes: after.events["lane"] ?? 0,
    };
  }

  /** Has conversations, many at once, until there are to be no more. */
  async #work(
    from: number,
    goesOn: (count: number) => boolean,
  ): Promise<void> {
    const end = Promise.withResolvers<void>();
    const lingering: Promise<void>[] = [];
    const workers = this.#slots.map(async (_, worker) => {
      for (let i = from + worker; goesOn(i); i += WORKERS) {
        if (this.#failure !== undefined) return;
        const number = this.#options.seed + i;
        const { lingers, judged } = this.#converse(number, end.promise);
        if (lingers) lingering.push(judged);
        else await judged;
        if (i % 100 === 0) this.#options.onProgress?.(this.#conversations);
      }
    });
    await Promise.all(workers);
    end.resolve();
    await Promise.all(lingering);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Has one conversation; one that lingers ends at the end. */
  #converse(
    number: number,
    end: Promise<void>,
  ): { lingers: boolean; judged: Promise<void> } {
    this.#conversations++;
    // No other conversation of this slot is under way.
    const slot = this.#slots[number % WORKERS] ?? new Slot(0);
    const plan = planConversation(number, slot, this.#victim.addresses);
    this.#underWay.add(number);
    const judged = this.#judge(plan, slot, end)
      .catch((error) => this.#fail(number, error))
      .finally(() => this.#underWay.delete(number));
    return { lingers: plan.delivery.ending === "linger", judged };
  }

  #fail(number: number, error: unknown): void {
    this.#failure ??= new Error(
      `Conversation ${number}: ${messageOf(error)}; again with ` +
        `deno task fuzz --seed ${number}; under way were also ` +
        [...this.#underWay].filter((each) => each !== number).join(" "),
      { cause: error },
    );
  }

  async #judge(
    { bytes, delivery, isKept }: ConversationOnItsWay,
    slot: Slot,
    end: Promise<void>,
  ): Promise<void> {
    const transcript = await deliver(bytes, delivery, end);
    const exchanges = await judge(transcript);
    this.#judged += exchanges.length;
    if (!isKept) return;
    this.#kept++;
    for (const { request, reply } of exchanges) {
      if (reply.errno === 0) slot.note(request, reply);
      else {throw new Error(
          `Error ${reply.errno} where none was to be expected`,
        );}
    }
  }

  /** Fails unless everything is as it was. */
  #assertSettled(
    before: VictimReport,
    after: VictimReport,
    steady: number,
  ): void {
    const problems: string[] = [];
    const growth = after.memory - before.memory;
    if (growth > GROWTH_MAX) problems.push(`memory has grown by ${growth}`);
    const { counters } = after;
    if (counters.connections !== this.#conversations + steady) {
      problems.push(`${counters.connections} connections were counted`);
    }
    if (
      Object.values(counters).some((n) => !Number.isSafeInteger(n) || n < 0)
    ) {
      problems.push("a counter is no whole number");
    }
    if (counters.connectionsRefused > 0) problems.push("some were refused");
    if (after.events["error"] !== undefined) {
      problems.push("an error is logged");
    }
    if (problems.length === 0) return;
    const { seed } = this.#options;
    throw new Error(
      `After conversations ${seed} to ${seed + this.#conversations - 1}: ` +
        `${problems.join(", ")}: ${JSON.stringify({ before, after })}`,
    );
  }
}

/** What is sent, and how. */
interface ConversationOnItsWay {
  readonly bytes: Uint8Array;
  readonly delivery: Delivery;
  /** It is not mutated, and uses the kept disk. */
  readonly isKept: boolean;
}

/** Builds a conversation; the same number gives the same one. */
function planConversation(
  number: number,
  slot: Slot,
  addresses: readonly NbdAddress[],
): ConversationOnItsWay {
  const random = new Random(number);
  const isKept = random.chance(KEPT_PERCENT);
  const { messages } = buildConversation({
    random,
    exportName: isKept ? KEPT : random.pick([HOSTILE, HOSTILE, LOCKED]),
    offset: isKept ? slot.offset : random.below(4) * SLOT_SIZE,
    requests: random.pick([4, 30, 100]),
  });
  if (isKept) {
    const delivery = chooseDelivery(random, addresses, ["finish"]);
    return { bytes: encodeMessages(messages), delivery, isKept };
  }
  const whole = encodeBadly(random, mutate(random, messages));
  const mayLinger = number % LINGER_EVERY === 0;
  const endings = mayLinger ? ["linger" as const] : ENDINGS;
  const delivery = chooseDelivery(random, addresses, endings);
  const cut = delivery.ending === "leave" || random.chance(20);
  const bytes = cut ? whole.subarray(0, random.below(whole.length + 1)) : whole;
  return { bytes, delivery, isKept };
}

async function openSteady(
  addresses: readonly NbdAddress[],
): Promise<SteadyClient[]> {
  const clients: SteadyClient[] = [];
  for (const [i, dialect] of DIALECTS.entries()) {
    const address = addresses[i % addresses.length];
    if (address === undefined) continue;
    clients.push(await SteadyClient.open(address, dialect, WORKERS + i));
  }
  return clients;
}
