/**
 * Leases: which thread may use a chunk, and until when.
 *
 * @module
 */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { LEASE_THREADS_MAX, LeaseTable } from "../../../device/leases/mod.ts";
import { LeasedDisk } from "../../../device/leases/leased_disk.ts";
import { ENTRIES } from "../../../device/leases/lease_layout.ts";
import { LeaseReader } from "../../../device/leases/leases.ts";
import { NativeBuffer } from "../../../device/linux/native_io.ts";
import { testNatively } from "../../helpers/native.ts";
import { type SlowJob, type SlowResult, WORD } from "./slow_read_thread.ts";

const CHUNK = 65_536;
const LENT = { descriptor: 77, tellsCached: true };

function tableAndReader(): { table: LeaseTable; reader: LeaseReader } {
  const table = new LeaseTable(CHUNK, true);
  return { table, reader: new LeaseReader(table.memory, table.join() ?? -1) };
}

/** Whether a byte is leased, and where. */
function placeOf(reader: LeaseReader, offset: number): number | undefined {
  if (!reader.use(offset, 1)) return undefined;
  reader.release();
  return reader.lease.at;
}

Deno.test("a chunk is leased from grant to withdraw", () => {
  const { table, reader } = tableAndReader();
  assertStrictEquals(placeOf(reader, 3 * CHUNK), undefined);
  table.grant(3, 1, LENT, 9);
  assertEquals(placeOf(reader, 3 * CHUNK + 5), 9 * CHUNK + 5);
  assertEquals(reader.lease.descriptor, LENT.descriptor);
  assertEquals(reader.lease.tellsCached, true);
  assertStrictEquals(placeOf(reader, 2 * CHUNK), undefined);
  assertStrictEquals(placeOf(reader, 4 * CHUNK), undefined);
  table.grant(3, 2, { descriptor: 78, tellsCached: false }, 0xffff_fff0);
  assertEquals(placeOf(reader, 3 * CHUNK), 0xffff_fff0 * CHUNK);
  assertEquals(reader.lease.descriptor, 78);
  assertEquals(reader.lease.tellsCached, false);
  table.withdraw(3);
  assertStrictEquals(placeOf(reader, 3 * CHUNK), undefined);
});

Deno.test("a lease is unwritten until a thread uses it to write", () => {
  const { table, reader } = tableAndReader();
  const chunks = [3, 4, 5];
  for (const chunk of chunks) table.grant(chunk, 1, LENT, chunk + 6);
  for (const chunk of [3, 4]) table.markUnwritten(chunk);
  const written = () => chunks.map((chunk) => table.isWritten(chunk));
  assertEquals(written(), [false, false, true]);
  // A read, and a lease that is granted again, change nothing.
  assertEquals(reader.find(3 * CHUNK + 5, 1), true);
  assertEquals([reader.lease.at, reader.holds()], [9 * CHUNK + 5, true]);
  table.grant(3, 1, LENT, 9);
  assertEquals(written(), [false, false, true]);
  for (let i = 0; i < 2; i++) {
    assertEquals(placeOf(reader, 3 * CHUNK), 9 * CHUNK);
    assertEquals(written(), [true, false, true]);
  }
  // The mark goes with the lease, and is of one chunk of those that share it.
  const other = 4 + ENTRIES;
  table.grant(other, 1, LENT, 1);
  table.markUnwritten(4);
  assertEquals([4, other].map((v) => table.isWritten(v)), [false, true]);
  table.markUnwritten(other);
  assertEquals([4, other].map((v) => table.isWritten(v)), [false, false]);
  table.withdraw(other);
  table.grant(other, 1, LENT, 1);
  assertEquals(table.isWritten(other), true);
});

Deno.test("a lease covers ranges inside its chunk only", () => {
  const { table, reader } = tableAndReader();
  table.grant(0, 1, LENT, 0);
  table.grant(1, 1, LENT, 1);
  assertEquals(reader.use(0, CHUNK), true);
  reader.release();
  assertEquals(reader.use(CHUNK - 1, 2), false);
  assertEquals(reader.use(1, CHUNK), false);
  assertEquals(reader.restOfChunk(CHUNK - 1), 1);
  assertEquals(reader.restOfChunk(CHUNK), CHUNK);
});

Deno.test("the owner waits for no read, and one that it overtook does not count", () => {
  const { table, reader } = tableAndReader();
  const far = 2 ** 20;
  const find = () => assertEquals(reader.find(3 * CHUNK, 1), true);
  table.grant(3, 1, LENT, 9);
  find();
  assertEquals(reader.lease.at, 9 * CHUNK);
  assertEquals(reader.holds(), true);
  // To be granted what one has changes nothing.
  table.grant(3, 1, LENT, 9);
  assertEquals(reader.holds(), true);
  for (
    const change of [
      () => table.withdraw(3),
      () => table.grant(3, 1, LENT, 10),
      () => table.grant(3, 2, LENT, 9),
      () => table.grant(3 + far, 1, LENT, 11),
      () => table.end(),
    ]
  ) {
    table.grant(3, 1, LENT, 9);
    find();
    change();
    assertEquals(reader.holds(), false, `${change}`);
    // The same lease as before is another one.
    table.grant(3, 1, LENT, 9);
    assertEquals(reader.holds(), false, `${change}, and back`);
  }
  assertEquals(reader.find(3 * CHUNK, 1), false);
});

Deno.test("chunks that share a place in the table are distinguished", () => {
  const { table, reader } = tableAndReader();
  const far = 2 ** 20;
  table.grant(5, 1, LENT, 50);
  assertStrictEquals(placeOf(reader, (5 + far) * CHUNK), undefined);
  table.withdraw(5 + far);
  assertEquals(placeOf(reader, 5 * CHUNK), 50 * CHUNK);
  table.grant(5 + far, 1, LENT, 51);
  assertEquals(placeOf(reader, (5 + far) * CHUNK), 51 * CHUNK);
  assertStrictEquals(placeOf(reader, 5 * CHUNK), undefined);
  // No request of any client finds another chunk's lease.
  table.grant(0, 1, LENT, 52);
  for (const offset of [2 ** 53, 2 ** 63, 2 ** 64 - CHUNK, 2 ** 52]) {
    assertStrictEquals(placeOf(reader, offset), undefined, `${offset}`);
  }
});

Deno.test("chunks of any size are distinguished up to the largest offset", () => {
  const table = new LeaseTable(512, true);
  const reader = new LeaseReader(table.memory, table.join() ?? -1);
  table.grant(0, 1, LENT, 52);
  for (let bits = 9; bits <= 64; bits++) {
    assertStrictEquals(placeOf(reader, 2 ** bits), undefined, `2^${bits}`);
  }
  const last = Math.floor((2 ** 53 - 1) / 512);
  table.grant(last, 1, LENT, 7);
  assertEquals(placeOf(reader, last * 512), 7 * 512);
});

Deno.test("after the end nothing is leased, whatever is granted", () => {
  const { table, reader } = tableAndReader();
  table.grant(1, 1, LENT, 1);
  table.end();
  assertStrictEquals(placeOf(reader, CHUNK), undefined);
  table.grant(1, 1, LENT, 2);
  assertStrictEquals(placeOf(reader, CHUNK), undefined);
});

Deno.test("writes can be forbidden, reads go on", () => {
  const { table, reader } = tableAndReader();
  table.grant(1, 1, LENT, 1);
  assertEquals(reader.isWritable, true);
  table.forbidWrites();
  assertEquals(reader.isWritable, false);
  assertEquals(placeOf(reader, CHUNK), CHUNK);
  assertEquals(
    new LeaseReader(new LeaseTable(CHUNK, false).memory, 0).isWritable,
    false,
  );
});

Deno.test("writes are reported once, of each source by itself", () => {
  const { table, reader } = tableAndReader();
  table.grant(1, 1, LENT, 1);
  table.grant(2, 2, LENT, 1);
  assertEquals(table.takeWritten(1), false);
  for (let times = 0; times < 2; times++) {
    reader.use(CHUNK, 1);
    reader.noteWritten(1);
    reader.release();
    assertEquals(table.takeWritten(2), false);
    assertEquals(table.takeWritten(1), true);
    assertEquals(table.takeWritten(1), false);
  }
  // A write that has failed may have been done in part.
  reader.use(2 * CHUNK, 1);
  reader.noteWritten(0);
  reader.release();
  assertEquals(table.takeWritten(2), true);
});

Deno.test("sources beyond what the table can name are not leased", () => {
  const { table, reader } = tableAndReader();
  table.grant(1, 1 << 20, LENT, 1);
  assertStrictEquals(placeOf(reader, CHUNK), undefined);
  assertEquals(table.takeWritten(1 << 20), false);
});

Deno.test("so many threads take part, and one that leaves makes room", () => {
  const table = new LeaseTable(CHUNK, true);
  const threads = Array.from({ length: LEASE_THREADS_MAX }, () => table.join());
  assertEquals(new Set(threads).size, LEASE_THREADS_MAX);
  assertStrictEquals(table.join(), undefined);
  table.leave(17);
  assertEquals(table.join(), 17);
});

/**
 * A file whose chunk 8 is leased to a thread that is in the middle of a call.
 */
async function withSlowThread(
  job: Pick<SlowJob, "offset" | "length" | "writes">,
  act: (table: LeaseTable, file: FileDevice) => void,
): Promise<SlowResult> {
  const path = await Deno.makeTempFile();
  await Deno.truncate(path, 4 * CHUNK);
  const file = new FileDevice(path);
  const module = new URL("./slow_read_thread.ts", import.meta.url);
  const worker = new Worker(module, { type: "module" });
  try {
    const table = new LeaseTable(CHUNK, true);
    const lent = file.lend();
    if (lent === undefined) throw new Error("There are no native calls");
    table.grant(8, 1, { ...lent, tellsCached: false }, 2);
    const words = new Int32Array(new SharedArrayBuffer(8));
    const { promise, resolve } = Promise.withResolvers<SlowResult>();
    worker.onmessage = ({ data }: MessageEvent<SlowResult>) => resolve(data);
    const thread = table.join() ?? -1;
    const { memory } = table;
    const shared = words.buffer as SharedArrayBuffer;
    worker.postMessage({ ...job, memory, thread, shared } satisfies SlowJob);
    const inside = Atomics.waitAsync(words, WORD.inside, 0);
    if (inside.async) await Promise.race([inside.value, promise]);
    act(table, file);
    Atomics.store(words, WORD.goOn, 1);
    Atomics.notify(words, WORD.goOn);
    return await promise;
  } finally {
    worker.terminate();
    await file.close();
    await Deno.remove(path);
  }
}

for (
  const [what, change] of [
    ["withdraws the lease", (table: LeaseTable) => table.withdraw(8)],
    ["ends all leases", (table: LeaseTable) => table.end()],
    [
      "needs its place in the table",
      (table: LeaseTable) => table.grant(8 + 2 ** 20, 1, LENT, 3),
    ],
  ] as const
) {
  testNatively(
    `a read that waits for the disk does not hold up an owner that ${what}`,
    async () => {
      const read = { offset: 8 * CHUNK, length: 4096, writes: false };
      const result = await withSlowThread(read, (table, file) => {
        change(table);
        // From here on the place is another chunk's.
        file.write(new Uint8Array(CHUNK).fill(9), 2 * CHUNK);
      });
      assertEquals(result, { done: false, wasTold: true });
    },
  );
}

testNatively(
  "a read that waited for the disk counts under its lease",
  async () => {
    const read = { offset: 8 * CHUNK, length: 4096, writes: false };
    const result = await withSlowThread(read, (table) => table.withdraw(9));
    assertEquals(result, { done: true, wasTold: true });
  },
);

for (const [offset, length] of [[512, 4096], [0, 512], [4095, 2]] as const) {
  testNatively(
    `a write of ${length} bytes at ${offset} waits for the disk before it begins`,
    async () => {
      const write = { offset: 8 * CHUNK + offset, length, writes: true };
      const result = await withSlowThread(write, (table, file) => {
        table.withdraw(8);
        file.write(new Uint8Array(CHUNK).fill(9), 2 * CHUNK);
      });
      assertEquals(result, { done: false, wasTold: true });
    },
  );
}

testNatively(
  "a leased disk reads and writes what is leased, and counts",
  async () => {
    const path = await Deno.makeTempFile();
    try {
      await Deno.truncate(path, 4 * CHUNK);
      using _closing = { [Symbol.dispose]: () => void file.close() };
      const file = new FileDevice(path);
      const table = new LeaseTable(CHUNK, true);
      const disk = new LeasedDisk(table.memory, table.join() ?? -1);
      const lent = file.lend();
      if (lent === undefined) throw new Error("There are no native calls");
      table.grant(8, 1, lent, 2);
      const buffer = new NativeBuffer(4096);
      buffer.bytes.fill(7);
      assertEquals(disk.write(buffer.address, 4096, 8 * CHUNK + 512), true);
      assertEquals(disk.write(buffer.address, 4096, 7 * CHUNK), false);
      buffer.bytes.fill(0);
      assertEquals(disk.read(buffer.address, 100, 8 * CHUNK + 512), true);
      assertEquals(disk.read(buffer.address, 100, 9 * CHUNK), false);
      assertEquals(buffer.bytes.indexOf(0), 100);
      const found = new Uint8Array(4096);
      file.read(found, 2 * CHUNK + 512);
      assertEquals(found, new Uint8Array(4096).fill(7));
      const transfers = { reads: 1, bytesRead: 100, writes: 1 };
      const work = { ...transfers, bytesWritten: 4096, flushes: 0 };
      assertEquals(table.work, work);
      assertEquals(table.takeWritten(1), true);
      table.forbidWrites();
      assertEquals(disk.write(buffer.address, 4096, 8 * CHUNK), false);
    } finally {
      await Deno.remove(path);
    }
  },
);

testNatively(
  "a leased disk leaves what fails to the owner, counted as written",
  async () => {
    const path = await Deno.makeTempFile();
    try {
      const table = new LeaseTable(CHUNK, true);
      const disk = new LeasedDisk(table.memory, table.join() ?? -1);
      const file = new FileDevice(path, { readOnly: true });
      using _closing = { [Symbol.dispose]: () => void file.close() };
      const lent = file.lend();
      if (lent === undefined) throw new Error("There are no native calls");
      table.grant(0, 1, lent, 0);
      const { address } = new NativeBuffer(4096);
      // An empty file, open for reading only.
      assertEquals(disk.read(address, 4096, 0), false);
      assertEquals(disk.write(address, 4096, 0), false);
      assertEquals(table.takeWritten(1), true);
      assertEquals(table.work.writes, 0);
    } finally {
      await Deno.remove(path);
    }
  },
);

Deno.test("what was written by others is flushed", async () => {
  const path = await Deno.makeTempFile();
  try {
    const file = new FileDevice(path);
    using _closing = { [Symbol.dispose]: () => void file.close() };
    await file.flush();
    assertStrictEquals(file.flush(), undefined);
    file.touched();
    const flushing = file.flush();
    assertEquals(flushing instanceof Promise, true);
    await flushing;
    assertStrictEquals(file.flush(), undefined);
  } finally {
    await Deno.remove(path);
  }
});
