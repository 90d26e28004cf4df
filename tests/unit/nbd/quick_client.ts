/**
 * A client in a thread of its own, for tests of a server in the main one that
 * waits for it awake: it sends one request after the other, each as soon as it
 * can, and checks what it reads. Runs in a worker.
 *
 * @module
 */

import { NativeBuffer, NativeSockets } from "../../../device/linux/mod.ts";
import { messageOf } from "../../../errors.ts";
import {
  encodeRequest,
  NBD,
  type NbdAddress,
  NbdClient,
} from "../../helpers/nbd_client.ts";
import { firstDifference } from "../../helpers/bytes.ts";

// From the headers of Linux: `sys/socket.h`.
const AF_UNIX = 1;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SHUT_WR = 1;

/** What it is to do. */
export interface QuickJob {
  /** Where the server listens. */
  readonly address: NbdAddress;
  /** Bytes of the disk that are its own. */
  readonly size: number;
  /** Ends when so many requests are answered, */
  readonly requests: number;
  /** or after so many milliseconds. */
  readonly ms: number;
  /** How it ends. */
  readonly end:
    | "goodbye"
    /** No more requests, but their answers are wanted. */
    | "half-close"
    | "close"
    /** With a request under way whose answer it does not take. */
    | "abort";
}

/** What it tells. */
export interface QuickReport {
  /** How many requests were answered. */
  readonly requests: number;
  /** What was wrong, or "". */
  readonly problem: string;
}

/** A connection that waits in the C library: none answers faster. */
class NativeConn {
  readonly #libc = Deno.dlopen("libc.so.6", {
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    connect: { parameters: ["i32", "buffer", "i32"], result: "i32" },
    shutdown: { parameters: ["i32", "i32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
  }).symbols;
  readonly #sockets = new NativeSockets();
  readonly #buffer = new NativeBuffer(64 * 1024);
  readonly #descriptor: number;

  constructor(address: NbdAddress) {
    const bytes = "path" in address
      ? unixAddress(address.path)
      : loopbackAddress(address.port);
    this.#descriptor = this.#libc.socket(bytes[0] ?? 0, SOCK_STREAM, 0);
    const failed = this.#libc.connect(this.#descriptor, bytes, bytes.length);
    if (failed !== 0) throw new Error("Cannot connect");
  }

  read(target: Uint8Array): Promise<number | null> {
    const { bytes, address } = this.#buffer;
    const room = Math.min(target.length, bytes.length);
    const [sockets, descriptor] = [this.#sockets, this.#descriptor];
    let count = sockets.receiveSoon(descriptor, address, room, 1);
    if (count < 0) count = sockets.receive(descriptor, address, room);
    target.set(bytes.subarray(0, count));
    return Promise.resolve(count === 0 ? null : count);
  }

  write(source: Uint8Array): Promise<number> {
    const { bytes, address } = this.#buffer;
    const length = Math.min(source.length, bytes.length);
    bytes.set(source.subarray(0, length));
    const isSent = this.#sockets.send(this.#descriptor, address, length);
    return isSent
      ? Promise.resolve(length)
      : Promise.reject(new Error("Cannot send"));
  }

  /** Sends no more. */
  closeWrite(): void {
    this.#libc.shutdown(this.#descriptor, SHUT_WR);
  }

  close(): void {
    this.#libc.close(this.#descriptor);
  }
}

/** A `struct sockaddr_un`. */
function unixAddress(path: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(path);
  const bytes = new Uint8Array(2 + text.length + 1);
  bytes[0] = AF_UNIX;
  bytes.set(text, 2);
  return bytes;
}

/** A `struct sockaddr_in` of this machine. */
function loopbackAddress(port: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(16);
  bytes[0] = AF_INET;
  new DataView(bytes.buffer).setUint16(2, port);
  bytes.set([127, 0, 0, 1], 4);
  return bytes;
}

/** Bytes that a block holds after it was written to so many times. */
function blockOf(length: number, offset: number, times: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    bytes[i] = ((offset + i) * 7 + times * 13 + (i >> 8)) & 255;
  }
  return bytes;
}

/** Does some of the job; the answers are those that they must be. */
async function work(client: NbdClient, job: QuickJob): Promise<number> {
  const model = new Uint8Array(job.size);
  await client.write(0, model);
  const deadline = performance.now() + job.ms;
  let requests = 1;
  while (requests < job.requests && performance.now() < deadline) {
    // Lengths and places that are no multiples of anything.
    const length = 1 + (requests * 7919) % 9001;
    const offset = (requests * 104_729) % (job.size - length);
    if (requests % 3 === 0) {
      const bytes = blockOf(length, offset, requests);
      await client.write(offset, bytes);
      model.set(bytes, offset);
    } else {
      const read = await client.read(offset, length);
      const wanted = model.subarray(offset, offset + length);
      const at = firstDifference(read, wanted);
      if (at >= 0) throw new Error(`Byte ${offset + at} is wrong`);
    }
    requests++;
  }
  return requests;
}

async function end(
  client: NbdClient,
  connection: NativeConn,
  how: QuickJob["end"],
): Promise<void> {
  const request = { command: NBD.CMD_READ, offset: 0, length: 4096 };
  switch (how) {
    case "goodbye":
      return await client.disconnect();
    case "half-close": {
      const bytes = encodeRequest({ ...request, cookie: 99n });
      await client.sendRaw(bytes);
      connection.closeWrite();
      const left = await client.receiveEnd();
      if (left !== 16 + 4096) throw new Error(`${left} bytes came at the end`);
      break;
    }
    case "abort":
      await client.sendRaw(encodeRequest({ ...request, cookie: 99n }));
      // Unread bytes turn the close into a reset.
      await client.receiveRaw(1);
  }
  client.close();
}

async function run(job: QuickJob): Promise<QuickReport> {
  let requests = 0;
  try {
    const connection = new NativeConn(job.address);
    const client = NbdClient.over(connection);
    await client.greet();
    await client.go("disk");
    requests = await work(client, job);
    await end(client, connection, job.end);
    return { requests, problem: "" };
  } catch (error) {
    return { requests, problem: messageOf(error) };
  }
}

if ("WorkerGlobalScope" in globalThis) {
  const here = globalThis as unknown as {
    onmessage: (event: MessageEvent<QuickJob>) => void;
    postMessage: (report: QuickReport) => void;
  };
  here.onmessage = async ({ data }) => here.postMessage(await run(data));
}
