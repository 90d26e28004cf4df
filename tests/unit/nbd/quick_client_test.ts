/**
 * Goal: a client that sends one request after the other, each as soon as it
 * can, is answered right, may end in any way, and keeps no other client
 * waiting, on its lane and on the event loop. Method: real sockets that are
 * tracked; clients in a thread of their own, so that they are quick.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import { nativeSockets } from "../../../nbd/server/stream/descriptors.ts";
import { encodeRequest, NBD, NbdClient } from "../../helpers/nbd_client.ts";
import { PATIENCE_MS } from "../../helpers/patience.ts";
import { serveOnLanes } from "./lane_serving.ts";
import { until } from "./serving.ts";
import {
  hire,
  isSame,
  serveTracked,
  type TrackedServing,
} from "./tracked_serving.ts";

const MIB = 1024 * 1024;
/** Clients that end in one way: each has a thread of its own. */
const TIMES = 3;

// The C library stays open for ever: not from within a test.
const ignore = nativeSockets() === null;

/** A server, and quick clients of it. */
type Place = Omit<TrackedServing, "calls">;

/** What serves a quick client. */
const WAYS: Readonly<Record<string, (tcp: boolean) => Promise<Place>>> = {
  "the event loop": (tcp) => serveTracked(tcp, new MemoryDevice(MIB)),
  "a lane": async (tcp) => {
    const serving = await serveOnLanes({ tcp, isEmpty: true });
    const { address } = serving;
    return { ...serving, hire: (job) => hire({ ...job, address }) };
  },
};

for (const tcp of [false, true]) {
  for (const [way, start] of Object.entries(WAYS)) {
    testQuickClient(`${way}, ${tcp ? "TCP" : "Unix"}`, () => start(tcp));
  }
}

/** Registers the tests of one way to serve. */
function testQuickClient(kind: string, start: () => Promise<Place>): void {
  Deno.test({
    name: `a quick client reads what it wrote (${kind})`,
    ignore,
    async fn() {
      await using place = await start();
      const job = { size: 64 * 1024, requests: 3000, ms: 5000 } as const;
      const report = await place.hire({ ...job, end: "goodbye" });
      assertEquals(report.problem, "");
    },
  });

  for (const end of ["half-close", "close", "abort"] as const) {
    Deno.test({
      name: `a quick client may ${end} (${kind})`,
      ignore,
      async fn() {
        await using place = await start();
        for (let i = 0; i < TIMES; i++) {
          // At another place of the server's rounds each time.
          const requests = 300 + 7 * i;
          const job = { size: 64 * 1024, requests, ms: 5000, end };
          assertEquals((await place.hire(job)).problem, "");
          const isOver = () => place.server.clients.length === 0;
          await until("the end was noticed", isOver);
        }
        const kinds = place.log.map(({ kind }) => kind);
        assertEquals(
          kinds.filter((kind) => kind === "disconnected").length,
          TIMES,
        );
        assert(!kinds.includes("error"));
      },
    });
  }

  Deno.test({
    name: `others get their turn while a client hammers (${kind})`,
    ignore,
    async fn() {
      await using place = await start();
      let isOver = false;
      const job = {
        size: 64 * 1024,
        requests: Infinity,
        ms: PATIENCE_MS,
      } as const;
      const hired = place.hire({ ...job, end: "goodbye" })
        .finally(() => isOver = true);
      const { server } = place;
      while (!isOver && server.counters.reads < 500) {
        await new Promise((go) => setTimeout(go, 1));
      }
      for (let i = 0; i < 20; i++) await new Promise((go) => setTimeout(go, 1));
      // Beyond the bytes of the other.
      using client = await NbdClient.open(place.address, "disk");
      const bytes = new Uint8Array(5000).fill(9);
      await client.write(100_000, bytes);
      assertEquals(await client.read(100_000, 5000), bytes);
      await client.disconnect();
      // The other one hammers on, and is alone again.
      for (let i = 0; i < 20; i++) await new Promise((go) => setTimeout(go, 1));
      assert(!isOver, "timers and others have waited until it had enough");
      await server.close({ graceMs: 100 });
      const { problem } = await hired;
      assert(problem !== "", "the end of the server is reported");
    },
  });
}

for (const tcp of [false, true]) {
  const kind = tcp ? "TCP" : "a Unix socket";

  Deno.test({
    name: `replies leave without promises over ${kind}`,
    ignore,
    async fn() {
      await using place = await serveTracked(tcp, new MemoryDevice(MIB));
      const job = { size: 64 * 1024, requests: 3000, ms: 5000 } as const;
      const report = await place.hire({ ...job, end: "goodbye" });
      const { writes } = place.calls;
      assert(writes < report.requests / 4, `${writes} writes by the runtime`);
    },
  });

  Deno.test({
    name: `long READs are intact for a client that reads slowly over ${kind}`,
    ignore,
    async fn() {
      const size = 33 * MIB;
      const disk = new Uint8Array(size);
      const words = new Uint32Array(disk.buffer);
      // No two words are alike.
      for (let i = 0; i < words.length; i++) words[i] = i;
      const device = new MemoryDevice(size);
      device.write(disk, 0);
      await using place = await serveTracked(tcp, device);
      using client = await NbdClient.open(place.address, "disk");
      const reads = [
        { offset: 0, length: 32 * MIB },
        { offset: 12_345, length: 32 * MIB },
        // Short ones behind, many to a batch.
        ...Array.from({ length: 200 }, (_, i) => ({
          offset: i * 70_001,
          length: 1000 + i * 301,
        })),
      ];
      const command = NBD.CMD_READ;
      const requests = reads.map((read, i) =>
        encodeRequest({ command, ...read, cookie: BigInt(i + 1) })
      );
      for (const request of requests) await client.sendRaw(request);
      let came = 0;
      for (const [i, { offset, length }] of reads.entries()) {
        const header = await client.receiveRaw(16);
        const view = new DataView(header.buffer);
        assertEquals(view.getBigUint64(8), BigInt(i + 1), "the order");
        assertEquals(view.getUint32(4), 0);
        for (let done = 0; done < length;) {
          const piece = Math.min(length - done, 300_007);
          const bytes = await client.receiveRaw(piece);
          const wanted = disk.subarray(offset + done, offset + done + piece);
          assert(isSame(bytes, wanted), `request ${i} from ${done} on`);
          done += piece;
          // Its buffers fill meanwhile.
          if (++came % 8 === 0) await new Promise((go) => setTimeout(go, 1));
        }
      }
      await client.disconnect();
    },
  });
}
