/**
 * Makes nonsense of conversations: fields at their boundaries, lengths that
 * lie, messages that are lost, repeated or exchanged, bytes that are wrong.
 *
 * @module
 */

import { pattern } from "../helpers/scratch.ts";
import type { Random } from "../simulation/random.ts";
import {
  encodeMessages,
  type Field,
  type Message,
  number,
  type NumberField,
  raw,
  sizeOf,
} from "./messages.ts";
import { HOSTILE_SIZE, PAYLOAD_MAX } from "./world.ts";

/** Numbers at which something changes; those below 0 count from the top. */
const BOUNDARIES: readonly bigint[] = [
  ...[0n, 1n, 2n, 3n, 4n, 7n, 8n, 12n, 16n, 255n, 256n, 257n],
  ...[4095n, 4096n, 4097n, 16383n, 16384n, 16385n, 65535n, 65536n, 65537n],
  ...[2n ** 20n, 2n ** 20n + 1n, BigInt(PAYLOAD_MAX), BigInt(PAYLOAD_MAX) + 1n],
  ...[2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n],
  ...[BigInt(HOSTILE_SIZE) - 1n, BigInt(HOSTILE_SIZE)],
  ...[2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n],
  ...[-1n, -2n, -4n, -8n, -4096n],
];

type Mutation = (random: Random, messages: Message[]) => Message[];

const MUTATIONS: readonly Mutation[] = [
  setBoundary,
  setBoundary,
  lie,
  lie,
  repeat,
  drop,
  exchange,
  replaceBytes,
  growOrShrink,
  growInside,
  growInside,
  moveToEnd,
  stretch,
];

/**
 * Changes a conversation, once or a few times.
 *
 * @param random Which changes.
 * @param messages What was to be said, not empty.
 * @returns What is said.
 */
export function mutate(
  random: Random,
  messages: readonly Message[],
): Message[] {
  let mutated = [...messages];
  for (let count = 1 + random.below(3); count > 0; count--) {
    if (mutated.length > 0) mutated = random.pick(MUTATIONS)(random, mutated);
  }
  return mutated;
}

/**
 * Encodes messages, and changes bytes of that now and then.
 *
 * @param random Which.
 * @param messages The messages.
 * @returns The bytes to be sent.
 */
export function encodeBadly(
  random: Random,
  messages: readonly Message[],
): Uint8Array<ArrayBuffer> {
  const bytes = encodeMessages(messages);
  if (bytes.length === 0 || !random.chance(30)) return bytes;
  if (random.chance(50)) {
    for (let count = 1 + random.below(3); count > 0; count--) {
      const at = random.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    }
    return bytes;
  }
  // A part is missing, or too much.
  const at = random.below(bytes.length);
  const length = Math.min(random.pick([1, 2, 7, 28, 1000]), bytes.length - at);
  const rest = random.chance(50) ? at + length : Math.max(0, at - length);
  const changed = new Uint8Array(at + bytes.length - rest);
  changed.set(bytes.subarray(0, at));
  changed.set(bytes.subarray(rest), at);
  return changed;
}

function setBoundary(random: Random, messages: Message[]): Message[] {
  return changeNumber(random, messages, () => true, (field) => {
    const near = random.pick([field.value, ...BOUNDARIES, ...BOUNDARIES]);
    return near + BigInt(random.pick([0, 0, 0, 1, -1]));
  });
}

/** A length or a count says something else than what follows. */
function lie(random: Random, messages: Message[]): Message[] {
  const says = ({ name }: NumberField) => name === "length" || name === "count";
  return changeNumber(random, messages, says, ({ value }) => {
    if (random.chance(60)) {
      return value + BigInt(random.pick([1, -1, 2, -2, 4, -4, 8, 28, 4096]));
    }
    return random.chance(50) ? value * 2n : random.pick(BOUNDARIES);
  });
}

function repeat(random: Random, messages: Message[]): Message[] {
  const at = random.below(messages.length);
  const times = random.chance(5) ? 1100 : 1 + random.below(3);
  const message = messages[at];
  if (message === undefined || sizeOf(message.fields) * times > PAYLOAD_MAX) {
    return messages;
  }
  return messages.toSpliced(at, 0, ...new Array(times).fill(message));
}

function drop(random: Random, messages: Message[]): Message[] {
  return messages.toSpliced(random.below(messages.length), 1);
}

function exchange(random: Random, messages: Message[]): Message[] {
  const [from, to] = [messages, messages].map(({ length }) =>
    random.below(length)
  );
  if (from === undefined || to === undefined) return messages;
  const moved = messages[from];
  return moved === undefined
    ? messages
    : messages.toSpliced(from, 1).toSpliced(to, 0, moved);
}

/** A name, a text or a payload is another one of the same length. */
function replaceBytes(random: Random, messages: Message[]): Message[] {
  return changeField(random, messages, (field) => {
    if (field.kind === "number") return undefined;
    const fill = random.pick([0, 0x2f, 0x80, 0xc3, 0xff]);
    return { ...field, bytes: new Uint8Array(field.bytes.length).fill(fill) };
  });
}

/** A name, a text or a payload is longer or shorter than announced. */
function growOrShrink(random: Random, messages: Message[]): Message[] {
  return changeField(random, messages, (field) => {
    if (field.kind === "number") return undefined;
    const { bytes } = field;
    const more = pattern(random.pick([1, 4, 100, 5000]), 3);
    return random.chance(50)
      ? { ...field, bytes: bytes.subarray(0, random.below(bytes.length + 1)) }
      : { ...field, bytes: new Uint8Array([...bytes, ...more]) };
  });
}

/** The data of an option is longer or shorter, and its header knows. */
function growInside(random: Random, messages: Message[]): Message[] {
  const lengths = messages.flatMap(({ name, fields }, index) =>
    name.startsWith("option") && fields.length > 3 ? [index] : []
  );
  if (lengths.length === 0) return messages;
  const at = random.pick(lengths);
  const message = messages[at];
  if (message === undefined) return messages;
  const [magic, option, , ...data] = message.fields;
  if (magic === undefined || option === undefined) return messages;
  const changed = random.chance(50)
    ? [...data, raw("more", pattern(random.pick([1, 2, 4, 16, 300]), 5))]
    : data.slice(0, random.below(data.length));
  const length = number("length", 4, sizeOf(changed));
  const fields = [magic, option, length, ...changed];
  return messages.with(at, { ...message, fields });
}

/** A request reaches up to the end of the disk, or just behind it. */
function moveToEnd(random: Random, messages: Message[]): Message[] {
  const end = BigInt(HOSTILE_SIZE + random.pick([-1, 0, 0, 1, 1, 512]));
  return changeRequest(random, messages, "offset", (message) => {
    return end - numberIn(message, "length");
  });
}

/** A request is as long as one may be, or longer. */
function stretch(random: Random, messages: Message[]): Message[] {
  const length = random.pick([
    ...[0n, BigInt(PAYLOAD_MAX) + 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 33n],
    BigInt(random.below(8 * 1024 * 1024)),
  ]);
  return changeRequest(random, messages, "length", () => length);
}

function changeRequest(
  random: Random,
  messages: Message[],
  name: string,
  change: (message: Message) => bigint,
): Message[] {
  const requests = messages.flatMap(({ name }, index) =>
    name.startsWith("command") ? [index] : []
  );
  if (requests.length === 0) return messages;
  const at = random.pick(requests);
  const message = messages[at];
  if (message === undefined) return messages;
  const fields = message.fields.map((field) =>
    field.kind === "number" && field.name === name
      ? { ...field, value: BigInt.asUintN(8 * field.size, change(message)) }
      : field
  );
  return messages.with(at, { ...message, fields });
}

function numberIn({ fields }: Message, name: string): bigint {
  for (const field of fields) {
    if (field.kind === "number" && field.name === name) return field.value;
  }
  return 0n;
}

function changeNumber(
  random: Random,
  messages: Message[],
  isMeant: (field: NumberField) => boolean,
  change: (field: NumberField) => bigint,
): Message[] {
  return changeField(random, messages, (field) => {
    if (field.kind !== "number" || !isMeant(field)) return undefined;
    const value = BigInt.asUintN(8 * field.size, change(field));
    return { ...field, value };
  });
}

/** Changes one of the fields that can be changed, in some message. */
function changeField(
  random: Random,
  messages: Message[],
  change: (field: Field) => Field | undefined,
): Message[] {
  const at = random.below(messages.length);
  const message = messages[at];
  if (message === undefined) return messages;
  const { fields } = message;
  const start = random.below(fields.length);
  for (let i = 0; i < fields.length; i++) {
    const index = (start + i) % fields.length;
    const field = fields[index];
    const changed = field === undefined ? undefined : change(field);
    if (changed === undefined) continue;
    const changedFields = fields.with(index, changed);
    return messages.with(at, { ...message, fields: changedFields });
  }
  return messages;
}
