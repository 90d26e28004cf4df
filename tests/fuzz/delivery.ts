/**
 * Sends the bytes of a conversation, in pieces of any size, and collects what
 * comes back: to the end, or not at all.
 *
 * @module
 */

import type { NbdAddress } from "../helpers/nbd_messages.ts";
import type { Random } from "../simulation/random.ts";
import { Buffer } from "node:buffer";
import { HANDSHAKE_MS } from "./world.ts";

/** How a conversation ends. */
export type Ending =
  | "finish" // closes its half, and reads to the end
  | "leave" // closes without a word, somewhere
  | "unread" // sends everything and reads nothing, then leaves
  | "linger"; // stays without a word, until the run ends

/** How bytes are sent. */
export interface Delivery {
  /** Where to. */
  readonly address: NbdAddress;
  /** The sizes of the first pieces; the rest goes at once. */
  readonly pieces: readonly number[];
  /** Whether the sender waits a moment between the first pieces. */
  readonly slow: boolean;
  /** How it ends. */
  readonly ending: Ending;
}

/** What was said on a connection. */
export interface Transcript {
  /** What was to be sent; the server has received it up to some byte. */
  readonly sent: Uint8Array;
  /** What came back. */
  readonly received: Uint8Array;
  /** All that the server had to say has come. */
  readonly complete: boolean;
}

/** How long a server may take to end a conversation, milliseconds. */
const END_MS = 60_000;
/** How long one that leaves goes on sending, milliseconds. */
const LEAVE_MS = 200;
/** How long one that reads nothing stays after that, milliseconds. */
const UNREAD_MS = 50;

/**
 * Chooses how to send bytes.
 *
 * @param random Which way.
 * @param addresses Where the server listens.
 * @param endings What may happen at the end.
 * @returns The way.
 */
export function chooseDelivery(
  random: Random,
  addresses: readonly NbdAddress[],
  endings: readonly Ending[],
): Delivery {
  const most = random.pick([1, 3, 20, 100, 1000, 70_000]);
  const count = random.pick([0, 0, 5, 40, 120]);
  const pieces = Array.from({ length: count }, () => 1 + random.below(most));
  return {
    address: random.pick(addresses),
    pieces,
    slow: random.chance(20),
    ending: random.pick(endings),
  };
}

/**
 * Connects, sends and receives.
 *
 * @param bytes What is sent.
 * @param delivery How.
 * @param untilEnd Resolves when lingering clients are to leave.
 * @returns What was said.
 * @throws {Error} If the server does not end the conversation.
 */
export async function deliver(
  bytes: Uint8Array,
  delivery: Delivery,
  untilEnd: Promise<void>,
): Promise<Transcript> {
  const began = performance.now();
  const conn = await connect(delivery.address);
  const parts: Uint8Array[] = [];
  const { ending } = delivery;
  try {
    const reads = ending === "finish" || ending === "linger";
    const receiving = reads ? receive(conn, parts) : Promise.resolve("left");
    const sending = send(conn, bytes, delivery);
    if (ending === "leave" || ending === "unread") {
      // A server whose replies are not read does not read either.
      await Promise.race([sending, wait(LEAVE_MS)]);
      if (ending === "unread") await wait(UNREAD_MS);
    } else if (ending === "linger") await untilEnd;
    else {
      const sent = sending.then(async (all) => {
        if (all) await conn.closeWrite();
        return all;
      }).catch(() => false);
      const end = await atMost(receiving, END_MS);
      // Over TCP, a reset may overtake what is on its way; whether the reader or
      // the writer receives it is up to chance.
      const isWhole = "path" in delivery.address ||
        (await sent && end === "end");
      // On a busy machine a handshake may take so long that the server ends it.
      const isTimely = performance.now() - began < HANDSHAKE_MS;
      const complete = isWhole && isTimely;
      return { sent: bytes, received: Buffer.concat(parts), complete };
    }
    return { sent: bytes, received: Buffer.concat(parts), complete: false };
  } finally {
    conn.close();
  }
}

async function connect(address: NbdAddress): Promise<Deno.Conn> {
  if ("path" in address) {
    return await Deno.connect({ transport: "unix", path: address.path });
  }
  const conn = await Deno.connect({
    hostname: "127.0.0.1",
    port: address.port,
  });
  conn.setNoDelay(true);
  return conn;
}

/** @returns Whether it was all sent; the server may end it at any byte. */
async function send(
  conn: Deno.Conn,
  bytes: Uint8Array,
  { pieces, slow }: Delivery,
): Promise<boolean> {
  try {
    let at = 0;
    for (const size of [...pieces, bytes.length]) {
      const end = Math.min(at + size, bytes.length);
      while (at < end) at += await conn.write(bytes.subarray(at, end));
      if (at === bytes.length) return true;
      if (slow) await wait(1);
    }
  } catch {
    // The reader sees what it has received and answered.
    return false;
  }
  return true;
}

/** @returns How the connection ended. */
async function receive(
  conn: Deno.Conn,
  parts: Uint8Array[],
): Promise<"end" | "reset"> {
  const buffer = new Uint8Array(256 * 1024);
  try {
    for (;;) {
      const count = await conn.read(buffer);
      if (count === null) return "end";
      parts.push(buffer.slice(0, count));
    }
  } catch {
    return "reset";
  }
}

async function atMost<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined = undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`The server has not ended a conversation in ${ms} ms`));
    }, ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
