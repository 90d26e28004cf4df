/**
 * Goal: clients of every generation, from those that know one option to those
 * with extended headers, use one pool at the same time and see each other's
 * writes. Method: our own client, which sends what each of them would send, and
 * a real server process.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  encodeOption,
  type ExportInfo,
  NBD,
  NbdClient,
} from "../helpers/nbd_client.ts";
import { MIB, ServedPool, stampedBytes } from "./served_pool.ts";

/** Client flags of the handshake. */
const FIXED = 1;
const NO_ZEROES = 2;

/** A kind of client. */
interface Generation {
  readonly name: string;
  readonly flags: number;
  /** From the greeting to the first request. */
  enter(client: NbdClient): Promise<ExportInfo | bigint>;
}

/** EXPORT_NAME, and what must follow it: 124 zeroes, or nothing. */
async function enterOldWay(
  client: NbdClient,
  zeroes: number,
): Promise<bigint> {
  const name = new TextEncoder().encode("pool");
  await client.sendRaw(encodeOption(NBD.OPT_EXPORT_NAME, name));
  const answer = await client.receiveRaw(10 + zeroes);
  assertEquals(answer.subarray(10), new Uint8Array(zeroes));
  return new DataView(answer.buffer).getBigUint64(0);
}

const GENERATIONS: readonly Generation[] = [
  {
    name: "newstyle that is not fixed",
    flags: 0,
    enter: (client) => enterOldWay(client, 124),
  },
  {
    name: "EXPORT_NAME with zeroes",
    flags: FIXED,
    enter: (client) => enterOldWay(client, 124),
  },
  {
    name: "EXPORT_NAME without zeroes, not fixed",
    flags: NO_ZEROES,
    enter: (client) => enterOldWay(client, 0),
  },
  {
    name: "EXPORT_NAME without zeroes",
    flags: FIXED | NO_ZEROES,
    enter: (client) => enterOldWay(client, 0),
  },
  {
    name: "GO",
    flags: FIXED | NO_ZEROES,
    enter: (client) => client.go("pool"),
  },
  {
    name: "structured replies and EXPORT_NAME",
    flags: FIXED | NO_ZEROES,
    async enter(client) {
      await client.speak("structured");
      return await enterOldWay(client, 0);
    },
  },
  {
    name: "structured replies",
    flags: FIXED | NO_ZEROES,
    async enter(client) {
      await client.speak("structured");
      await client.contexts("pool", ["base:allocation"]);
      return await client.go("pool");
    },
  },
  {
    name: "extended headers",
    flags: FIXED | NO_ZEROES,
    async enter(client) {
      await client.speak("extended");
      await client.contexts("pool", ["base:allocation"]);
      return await client.go("pool");
    },
  },
];

Deno.test("Clients of all generations share a pool", async () => {
  await using pool = await ServedPool.start();
  const clients: NbdClient[] = [];
  try {
    for (const { name, flags, enter } of GENERATIONS) {
      const client = await NbdClient.connect({ path: pool.socket });
      clients.push(client);
      assertEquals(await client.greet(flags), FIXED | NO_ZEROES);
      const told = await enter(client);
      const size = typeof told === "bigint" ? told : told.size;
      assertEquals([name, size], [name, 64n * BigInt(MIB)]);
    }
    for (const [i, client] of clients.entries()) {
      await client.write(i * 100_000, stampedBytes(4096, i));
      await client.flush();
    }
    for (const client of clients) {
      for (const i of clients.keys()) {
        const bytes = await client.read(i * 100_000, 4096);
        assertEquals(bytes, stampedBytes(4096, i));
      }
      // Errors leave it in step.
      const beyond = await client.call({
        command: NBD.CMD_READ,
        offset: 64 * MIB,
        length: 4096,
      });
      assertEquals(beyond.errno, NBD.EINVAL);
      assertEquals(await client.read(63 * MIB, MIB), new Uint8Array(MIB));
    }
    for (const client of clients) await client.disconnect();
  } finally {
    for (const client of clients) client.close();
  }
  const { stderr } = await pool.stopAndCheck();
  const lines = stderr.match(/ connected: .* Uses export "pool"/g);
  assertEquals(lines?.length, GENERATIONS.length);
});
