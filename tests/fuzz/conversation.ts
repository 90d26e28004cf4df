/**
 * Builds whole conversations from a random generator: what a client may say
 * from its first byte to its last, all of it allowed by the protocol.
 *
 * @module
 */

import { type Dialect, NBD } from "../helpers/nbd_messages.ts";
import { pattern } from "../helpers/scratch.ts";
import type { Random } from "../simulation/random.ts";
import {
  type Field,
  type Message,
  nameFields,
  number,
  optionMessage,
  raw,
  type RequestFields,
  requestMessage,
} from "./messages.ts";
import { BLOCK } from "./slot.ts";
import { SLOT_SIZE } from "./world.ts";

/** How a conversation is built. */
export interface ConversationPlan {
  /** Which random choices. */
  readonly random: Random;
  /** The export. */
  readonly exportName: string;
  /** Where its requests go: so many bytes from there on. */
  readonly offset: number;
  /** The most requests. */
  readonly requests: number;
}

/** What a client says. */
export interface Conversation {
  /** The export that it uses. */
  readonly exportName: string;
  /** How it talks. */
  readonly dialect: Dialect;
  /** What it says, in order. */
  readonly messages: readonly Message[];
}

const DIALECTS: readonly Dialect[] = ["simple", "structured", "extended"];
const LENGTHS = [1, 511, 512, 4096, 65535, 65536, 65537, 100_000, 300_000];
const CONTEXT = "base:allocation";

/**
 * Builds a conversation.
 *
 * @param plan What it is about.
 * @returns The conversation.
 */
export function buildConversation(plan: ConversationPlan): Conversation {
  const { random, exportName } = plan;
  const dialect = random.pick(DIALECTS);
  const handshake = new Handshake(random, exportName, dialect);
  const messages = handshake.build();
  if (!handshake.aborts) {
    const talk = new Talk(plan, dialect, handshake.contextId);
    messages.push(...talk.build());
  }
  return { exportName, dialect, messages };
}

/** Builds the first phase. */
class Handshake {
  /** It ends the connection. */
  readonly aborts: boolean;
  /** The id of the selected context; 0 if none is. */
  contextId = 0;
  readonly #random: Random;
  readonly #name: string;
  readonly #dialect: Dialect;
  #selections = 0;

  constructor(random: Random, name: string, dialect: Dialect) {
    this.#random = random;
    this.#name = name;
    this.#dialect = dialect;
    this.aborts = random.chance(4);
  }

  build(): Message[] {
    const random = this.#random;
    const flags = random.pick([3, 3, 3, 2, 1, 0]);
    const messages: Message[] = [
      { name: "client flags", fields: [number("clientFlags", 4, flags)] },
    ];
    this.#addChatter(messages, false);
    if (this.#dialect === "structured") {
      messages.push(optionMessage(NBD.OPT_STRUCTURED_REPLY));
    } else if (this.#dialect === "extended") {
      messages.push(optionMessage(NBD.OPT_EXTENDED_HEADERS));
    }
    this.#addChatter(messages, this.#dialect !== "simple");
    if (this.#dialect !== "simple" && random.chance(70)) {
      messages.push(this.#select());
    }
    messages.push(this.#last());
    return messages;
  }

  /** Options that ask, and change nothing. */
  #addChatter(messages: Message[], contexts: boolean): void {
    const random = this.#random;
    for (let count = random.below(4); count > 0; count--) {
      const what = random.below(contexts ? 5 : 3);
      if (what === 0) messages.push(optionMessage(NBD.OPT_LIST));
      else if (what === 1) {
        messages.push(optionMessage(NBD.OPT_INFO, this.#infoData()));
      } else if (what === 2) {
        const data = raw("data", pattern(random.below(40), 1));
        messages.push(optionMessage(12 + random.below(1000), [data]));
      } else if (what === 3) {
        const queries = random.pick([[], [CONTEXT], ["base:"], ["x-y:z"]]);
        const data = this.#contextData(queries);
        messages.push(optionMessage(NBD.OPT_LIST_META_CONTEXT, data));
      } else messages.push(this.#select());
    }
  }

  #select(): Message {
    const queries = this.#random.pick([[CONTEXT], [CONTEXT, "x-y:z"]]);
    const data = this.#contextData(queries);
    this.contextId = ++this.#selections;
    return optionMessage(NBD.OPT_SET_META_CONTEXT, data);
  }

  #last(): Message {
    const random = this.#random;
    if (this.aborts) return optionMessage(NBD.OPT_ABORT);
    if (this.#dialect !== "extended" && random.chance(25)) {
      const data = [raw("name", this.#name)];
      return optionMessage(NBD.OPT_EXPORT_NAME, data);
    }
    return optionMessage(NBD.OPT_GO, this.#infoData());
  }

  #infoData(): Field[] {
    const types = [0, 1, 2, 3, 77].filter(() => this.#random.chance(40));
    return [
      ...nameFields(this.#name),
      number("count", 2, types.length),
      ...types.map((type) => number("type", 2, type)),
    ];
  }

  #contextData(queries: readonly string[]): Field[] {
    return [
      ...nameFields(this.#name),
      number("count", 4, queries.length),
      ...queries.flatMap(nameFields),
    ];
  }
}

/** Builds the second phase. */
class Talk {
  readonly #plan: ConversationPlan;
  readonly #dialect: Dialect;
  readonly #contextId: number;
  /** Blocks that a request of this conversation reads or changes. */
  readonly #read = new Set<number>();
  readonly #changed = new Set<number>();
  #cookie = 0;

  constructor(plan: ConversationPlan, dialect: Dialect, contextId: number) {
    this.#plan = plan;
    this.#dialect = dialect;
    this.#contextId = contextId;
  }

  build(): Message[] {
    const { random, requests } = this.#plan;
    const messages: Message[] = [];
    for (let count = random.below(requests); count > 0; count--) {
      messages.push(this.#request());
    }
    if (random.chance(50)) messages.push(this.#message({ command: 2 }));
    return messages;
  }

  #message(request: Partial<RequestFields> & { command: number }): Message {
    const extended = this.#dialect === "extended";
    const { payload, flags = 0 } = request;
    const more = extended && payload !== undefined
      ? NBD.CMD_FLAG_PAYLOAD_LEN
      : 0;
    return requestMessage({
      cookie: ++this.#cookie,
      offset: 0,
      length: payload?.length ?? 0,
      payload: undefined,
      ...request,
      flags: flags | more,
    }, extended);
  }

  #request(): Message {
    const { random } = this.#plan;
    const what = random.below(14);
    if (what < 4) return this.#readMessage();
    if (what < 8) return this.#write();
    const fua = random.pick([0, NBD.CMD_FLAG_FUA]);
    if (what === 8) return this.#message({ command: 3, flags: fua });
    if (what === 9) return this.#change({ command: 4, flags: fua });
    if (what === 10) {
      const range = { offset: this.#plan.offset, length: SLOT_SIZE };
      return this.#message({ command: 5, flags: fua, ...range });
    }
    if (what < 13) {
      const flags = random.pick([0, 1, 2, 3]);
      return this.#change({ command: 6, flags });
    }
    return this.#status();
  }

  #readMessage(): Message {
    const { random, offset } = this.#plan;
    const { start, length } = random.chance(4)
      ? { start: 0, length: SLOT_SIZE }
      : this.#range();
    const df = this.#dialect !== "simple" && random.chance(20);
    if (this.#overlaps(start, length, this.#changed)) return this.#flush();
    this.#mark(start, length, this.#read);
    return this.#message({
      command: NBD.CMD_READ,
      offset: offset + start,
      length,
      flags: df ? NBD.CMD_FLAG_DF : 0,
    });
  }

  #write(): Message {
    const { random, offset } = this.#plan;
    const { start, length } = this.#range();
    if (!this.#claim(start, length)) return this.#flush();
    const payload = pattern(length, random.below(1000));
    const flags = random.chance(20) ? NBD.CMD_FLAG_FUA : 0;
    const place = { offset: offset + start, payload };
    return this.#message({ command: NBD.CMD_WRITE, flags, ...place });
  }

  #change(request: { command: number; flags: number }): Message {
    const { start, length } = this.#range();
    if (!this.#claim(start, length)) return this.#flush();
    return this.#message({
      ...request,
      offset: this.#plan.offset + start,
      length,
    });
  }

  #status(): Message {
    const { random } = this.#plan;
    if (this.#contextId === 0) return this.#flush();
    const { start, length } = this.#range();
    const offset = this.#plan.offset + start;
    const flags = random.pick([0, 0, NBD.CMD_FLAG_REQ_ONE]);
    const request = { command: NBD.CMD_BLOCK_STATUS, offset, flags };
    if (this.#dialect !== "extended" || random.chance(50)) {
      return this.#message({ ...request, length });
    }
    const payload = new Uint8Array(12);
    new DataView(payload.buffer).setBigUint64(0, BigInt(length));
    new DataView(payload.buffer).setUint32(8, this.#contextId);
    return this.#message({ ...request, payload });
  }

  #flush(): Message {
    return this.#message({ command: NBD.CMD_FLUSH });
  }

  #range(): { start: number; length: number } {
    const { random } = this.#plan;
    const length = random.chance(5) ? 1_500_000 : random.pick(LENGTHS);
    const start = random.below(SLOT_SIZE - length);
    return { start: random.chance(60) ? start - start % 4096 : start, length };
  }

  /** Takes a range for a change, if nothing else in it is under way. */
  #claim(start: number, length: number): boolean {
    if (this.#overlaps(start, length, this.#changed)) return false;
    if (this.#overlaps(start, length, this.#read)) return false;
    this.#mark(start, length, this.#changed);
    return true;
  }

  #overlaps(start: number, length: number, blocks: Set<number>): boolean {
    return blocksOf(start, length).some((block) => blocks.has(block));
  }

  #mark(start: number, length: number, blocks: Set<number>): void {
    for (const block of blocksOf(start, length)) blocks.add(block);
  }
}

function blocksOf(start: number, length: number): number[] {
  const first = Math.floor(start / BLOCK);
  const last = Math.floor((start + length - 1) / BLOCK);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
