/**
 * Adding components on other machines to an open pool: what takes its time there
 * holds no other change, and a stop calls it off.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import { NbdDisk } from "../../../nbd/client/mod.ts";
import { labelPool, openPool, type Pool } from "../../../pool/mod.ts";
import {
  type ConnectedDisk,
  readOwnerBlock,
  type RemoteComponents,
} from "../../../pool/remote/mod.ts";
import { FarMemory } from "../../helpers/far_memory.ts";
import { makeScratch, MIB, type Scratch } from "../../helpers/scratch.ts";

const FAR_SIZE = 8 * MIB;
const HOUR_MS = 3_600_000;

/** Opens a new pool of one file. */
async function open(
  scratch: Scratch,
  options: Partial<RemoteComponents>,
  stopSeconds = 30,
): Promise<Pool> {
  const path = scratch.file("near");
  await labelPool({ name: "p", paths: [path], createSize: 8 * MIB });
  return await openPool([path], {
    remote: { ...remoteOf(scratch), ...options },
    stopSeconds,
  });
}

function remoteOf(scratch: Scratch): RemoteComponents {
  return {
    connect: NbdDisk.connect,
    journals: scratch.path,
    journalSize: MIB,
    intervalMs: 50,
  };
}

/** Connects to a disk in memory. */
function connectTo(far: FarMemory): RemoteComponents["connect"] {
  const capabilities = { readOnly: false };
  const disk: ConnectedDisk = Object.assign(far, { capabilities });
  return () => Promise.resolve(disk);
}

/** A change of each kind ends. */
async function change(pool: Pool): Promise<void> {
  await pool.snapshotChanges.take([{ volume: "p", snapshot: "s" }]);
  await pool.resize(4 * 2 ** 40);
  await pool.volumeChanges.create("v", MIB);
}

async function assertCalledOff(
  pool: Pool,
  adding: Promise<unknown>,
): Promise<void> {
  const refused = assertRejects(() => adding, VirstorError);
  await pool.close();
  assertEquals((await refused).code, "shutdown");
}

Deno.test("a far side that never answers holds no other change, and no stop", async () => {
  await using scratch = await makeScratch();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using pool = await open(scratch, {});
  const uri = `nbd://127.0.0.1:${listener.addr.port}/`;
  const adding = pool.add([uri]);
  using _conn = await listener.accept();
  await change(pool);
  await assertCalledOff(pool, adding);
  assertEquals(pool.status().components.length, 1);
});

Deno.test("a stop gives up a component that is being taken", async () => {
  await using scratch = await makeScratch();
  const far = new FarMemory(FAR_SIZE);
  const written = Promise.withResolvers<void>();
  far.onRequest = (what) => what === "write" && written.resolve();
  await using pool = await open(scratch, {
    connect: connectTo(far),
    intervalMs: HOUR_MS,
  });
  const adding = pool.add(["nbd://far/"]);
  await written.promise;
  await change(pool);
  await assertCalledOff(pool, adding);
  const again = new FarMemory(FAR_SIZE, far.content);
  assertEquals((await readOwnerBlock(again))?.isInUse, false);
});

Deno.test("a far side that hangs while it is zeroed holds no other change, and no stop", async () => {
  await using scratch = await makeScratch();
  const far = new FarMemory(FAR_SIZE);
  const zeroed = Promise.withResolvers<void>();
  far.onRequest = (what) => {
    if (what !== "flush") return;
    far.hold();
    zeroed.resolve();
  };
  await using pool = await open(scratch, { connect: connectTo(far) }, 0.1);
  const adding = pool.add(["nbd://far/"]);
  await zeroed.promise;
  await change(pool);
  await assertCalledOff(pool, adding);
});

Deno.test("a prepared component is closed again if its change is refused", async () => {
  await using scratch = await makeScratch();
  const far = new FarMemory(FAR_SIZE);
  const pool = await open(scratch, { connect: connectTo(far) });
  const flushed = Promise.withResolvers<void>();
  far.onRequest = (what) => what === "flush" && flushed.resolve();
  const adding = pool.add(["nbd://far/"]);
  await flushed.promise;
  await assertCalledOff(pool, adding);
  const again = new FarMemory(FAR_SIZE, far.content);
  await using reopened = await openPool([scratch.file("near")], {
    remote: { ...remoteOf(scratch), connect: connectTo(again) },
  });
  assertEquals((await reopened.add(["nbd://far/"])).components.length, 1);
});

Deno.test("labelPool() connects to several machines at once, and takes them at once", async () => {
  await using scratch = await makeScratch();
  const fars = new Map<string, FarMemory>();
  const [connected, taken] = [new Gathering(2), new Gathering(2)];
  const remote = {
    ...remoteOf(scratch),
    connect: async ([uri = ""]: readonly string[]) => {
      await connected.arrive();
      const far = new FarMemory(FAR_SIZE, fars.get(uri)?.content);
      fars.set(uri, far);
      let isFirst = true;
      far.onRequest = (what) => {
        if (what !== "write" || !isFirst) return;
        isFirst = false;
        far.travel = () => taken.arrive();
      };
      return Object.assign(far, { capabilities: { readOnly: false } });
    },
  };
  await labelPool({
    name: "q",
    paths: ["nbd://a/", "nbd://b/"],
    remote,
  });
  assertEquals(fars.size, 2);
  assert(taken.isComplete);
});

/** Lets each of some callers go on when all have come. */
class Gathering {
  #missing: number;
  readonly #all = Promise.withResolvers<void>();

  constructor(count: number) {
    this.#missing = count;
  }

  get isComplete(): boolean {
    return this.#missing <= 0;
  }

  arrive(): Promise<void> {
    this.#missing -= 1;
    if (this.#missing <= 0) this.#all.resolve();
    return this.#all.promise;
  }
}
