/**
 * Two processes never write to one remote component, and no journal is
 * replayed that is not the component's own.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { exists } from "@std/fs";
import { VirstorError } from "../../../errors.ts";
import {
  encodeOwnerBlock,
  OWNER_BLOCK_SIZE,
  ownerBlockPosition,
} from "../../../metadata/journal/mod.ts";
import {
  type FarOwner,
  openRemoteComponent,
  type OpenRemoteOptions,
  readOwnerBlock,
  type RemoteComponent,
} from "../../../pool/remote/mod.ts";
import { isZero } from "../../helpers/bytes.ts";
import { FarMemory } from "../../helpers/far_memory.ts";
import { eventually, pause } from "../../helpers/patience.ts";
import { makeScratch, pattern, type Scratch } from "../../helpers/scratch.ts";

const SIZE = 2 ** 20;
/** Timers of one process fire in the order in which they are due. */
const INTERVAL_MS = 40;

/** A far disk, hosts that connect to it, and what they are notified of. */
class Setting {
  readonly content = new Uint8Array(SIZE);
  readonly notices: string[] = [];
  readonly #scratch: Scratch;

  constructor(scratch: Scratch) {
    this.#scratch = scratch;
  }

  connect(): FarMemory {
    return new FarMemory(SIZE, this.content);
  }

  open(
    host: string,
    far: FarMemory = this.connect(),
    options: Partial<OpenRemoteOptions> = {},
  ): Promise<RemoteComponent> {
    return openRemoteComponent({
      path: "nbd://far/",
      far,
      host,
      journalOf: () => this.journalOf(host),
      journalSize: 2 ** 20,
      intervalMs: INTERVAL_MS,
      onNotice: (line) => this.notices.push(line),
      ...options,
    });
  }

  journalOf(host: string): string {
    return this.#scratch.file(`journal-${host}`);
  }
}

async function read(
  component: RemoteComponent,
  length: number,
): Promise<Uint8Array> {
  const target = new Uint8Array(length);
  await component.read(target, 0);
  return target;
}

Deno.test("an owner whose block is gone says so, and names no other process", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const far = setting.connect();
  const component = await setting.open("one", far);
  const start = ownerBlockPosition(SIZE);
  // As a far side that has lost what was not flushed.
  setting.content.fill(0, start, start + OWNER_BLOCK_SIZE);
  await eventually("it notices", () => component.status().failure !== "");
  await assertRejects(
    async () => await component.write(pattern(10, 4), 0),
    VirstorError,
    "Cannot write to the component any more: its owner block is gone: ",
  );
  await component.close();
});

Deno.test("a remote component that is in use elsewhere is refused", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  await using first = await setting.open("one");
  const error = await assertRejects(
    () => setting.open("two"),
    VirstorError,
    'Cannot open "nbd://far/": it is in use on host "one"',
  );
  assertEquals(error.code, "busy");
  assert(!await exists(setting.journalOf("two")));
  assert(/"nbd:\/\/far\/" was not given up on host "one"/.test(
    setting.notices.join(),
  ));
  // On the same host the lock of the journal says so.
  const other = await assertRejects(() => setting.open("one"), VirstorError);
  assertEquals(other.code, "busy");
  first.write(pattern(1000, 1), 0);
  await first.flush();
  assertEquals(setting.content.slice(0, 1000), pattern(1000, 1));
});

Deno.test("a remote component that was given up is opened elsewhere, and the old journal is not replayed", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const first = await setting.open("one");
  first.write(pattern(1000, 1), 0);
  await first.flush();
  await first.close();
  const block = await readOwnerBlock(setting.connect());
  assertEquals([block?.isInUse, block?.generation], [false, 1]);
  const old = await Deno.readFile(setting.journalOf("one"));
  const second = await setting.open("two");
  assertEquals(setting.notices, []);
  second.write(pattern(1000, 2), 0);
  await second.flush();
  await second.close();
  // The old journal could undo that.
  const third = await setting.open("one");
  assertEquals(await read(third, 1000), pattern(1000, 2));
  await third.flush();
  assertEquals(setting.content.slice(0, 1000), pattern(1000, 2));
  assertEquals((await readOwnerBlock(setting.connect()))?.generation, 3);
  const aside = `${setting.journalOf("one")}.aside`;
  assertEquals(setting.notices, [
    `The journal "${setting.journalOf("one")}" is not of the last opening of ` +
    `"nbd://far/": it is "${aside}" now, and not replayed`,
  ]);
  assertEquals((await Deno.readFile(aside)).length, old.length);
  await third.close();
});

Deno.test("a process that was killed finds its journal, and need not watch", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const far = setting.connect();
  const first = await setting.open("one", far);
  far.hold();
  first.write(pattern(1000, 1), 0);
  await first.close();
  assertEquals((await readOwnerBlock(setting.connect()))?.isInUse, true);
  const second = await setting.open("one", setting.connect(), {
    // With this interval a watch would last for hours.
    intervalMs: 10_000_000,
  });
  assertEquals(setting.notices, []);
  assertEquals(await read(second, 1000), pattern(1000, 1));
  await second.flush();
  assertEquals(setting.content.slice(0, 1000), pattern(1000, 1));
  await second.close();
  assertEquals((await readOwnerBlock(setting.connect()))?.isInUse, false);
});

Deno.test("a component whose journal is elsewhere is refused, unless forced", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const far = setting.connect();
  const first = await setting.open("one", far);
  await first.flush();
  far.hold();
  first.write(pattern(1000, 1), 0);
  await first.close();
  const error = await assertRejects(
    () => setting.open("two"),
    VirstorError,
    'Cannot open "nbd://far/": host "one" has not given it up, and its ' +
      "journal, which may hold writes that are not here, is not on this host",
  );
  assertEquals(error.code, "failed");
  const second = await setting.open("two", setting.connect(), { force: true });
  assertEquals(await read(second, 1000), new Uint8Array(1000));
  await second.close();
});

Deno.test("a journal in another directory of this host is asked for", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const far = setting.connect();
  const first = await setting.open("one", far);
  far.hold();
  first.write(pattern(1000, 1), 0);
  await first.close();
  const elsewhere = scratch.file("elsewhere");
  await assertRejects(
    () =>
      setting.open("one", setting.connect(), { journalOf: () => elsewhere }),
    VirstorError,
    `is not at "${elsewhere}": name its directory with --journal`,
  );
  await (await setting.open("one")).close();
});

Deno.test("an owner that was suspended gives up what is still its own", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const far = setting.connect();
  const first = await setting.open("one", far);
  await first.flush();
  far.hold();
  await pause(3 * INTERVAL_MS);
  far.release();
  await first.close();
  assertEquals((await readOwnerBlock(setting.connect()))?.isInUse, false);
});

Deno.test("an owner that was suspended reads nothing that another has taken", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const far = setting.connect();
  const first = await setting.open("one", far);
  await first.flush();
  far.hold();
  await pause(3 * INTERVAL_MS);
  const second = await setting.open("two", setting.connect(), { force: true });
  second.write(pattern(1000, 9), 0);
  await second.flush();
  far.release();
  await assertRejects(
    () => read(first, 1000),
    VirstorError,
    'another process has taken it, on host "two"',
  );
  await first.close();
  await second.close();
});

Deno.test("a read that was on its way while another took the component fails", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const far = setting.connect();
  const first = await setting.open("one", far);
  await first.flush();
  // It is admitted, and then has not arrived.
  await read(first, 1);
  far.hold();
  const reading = read(first, 1000);
  reading.catch(() => {});
  await pause(3 * INTERVAL_MS);
  const second = await setting.open("two", setting.connect(), { force: true });
  second.write(pattern(1000, 9), 0);
  await second.flush();
  far.release();
  await assertRejects(
    () => reading,
    VirstorError,
    'another process has taken it, on host "two"',
  );
  await first.close();
  await second.close();
});

Deno.test("an owner that was suspended gives up nothing that another has taken", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const first = await setting.open("one");
  const block = await readOwnerBlock(setting.connect());
  assert(block !== undefined);
  const position = ownerBlockPosition(SIZE);
  const taken = { ...block, ownerUuid: crypto.randomUUID(), host: "two" };
  setting.content.set(encodeOwnerBlock(taken, position), position);
  // As while the process is stopped: no timer fires.
  const end = performance.now() + 2 * INTERVAL_MS;
  while (performance.now() < end);
  await first.close();
  const after = await readOwnerBlock(setting.connect());
  assertEquals([after?.host, after?.isInUse], ["two", true]);
});

Deno.test("an owner that was cut off writes nothing after another has taken the component", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const far = setting.connect();
  const lost: string[] = [];
  const first = await setting.open("one", far, {
    onLost: ({ message }) => lost.push(message),
  });
  first.write(pattern(1000, 1), 0);
  await first.flush();
  // Its network hangs, and it goes on.
  far.hold();
  first.write(pattern(1000, 2), 0);
  const second = await setting.open("two", setting.connect(), { force: true });
  second.write(pattern(500, 3), 0);
  await second.flush();
  const before = far.requests.length;
  far.release();
  await eventually(
    "the first one notices",
    () => first.status().failure !== "",
  );
  await assertRejects(
    async () => await first.write(pattern(10, 4), 0),
    VirstorError,
    "Cannot write to the component any more: another process has taken it, " +
      'on host "two"',
  );
  assertEquals(lost, [
    "Cannot write to the component any more: another process has taken it, " +
    'on host "two"',
  ]);
  const late = far.requests.slice(before);
  // What was on its way when the network hung cannot be called back.
  assert(late.length <= 1, `${late.length} requests`);
  await first.close();
  second.write(pattern(1000, 5), 0);
  await second.flush();
  assertEquals(setting.content.slice(0, 1000), pattern(1000, 5));
  await second.close();
});

Deno.test("an older state of the far side is noticed when the journal is newer", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  await (await setting.open("one")).close();
  const backup = setting.content.slice();
  const far = setting.connect();
  const second = await setting.open("one", far);
  far.hold();
  second.write(pattern(1000, 1), 0);
  await second.close();
  setting.content.set(backup);
  await assertRejects(
    () => setting.open("one"),
    VirstorError,
    "it is an older state of this component (opening 1, its journal has " +
      "writes of opening 2), replace it by the newer one",
  );
});

Deno.test("nothing that is written to a component reaches its owner block", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  await using component = await setting.open("one");
  const position = ownerBlockPosition(SIZE);
  for (
    const [offset, length] of [
      [0, SIZE],
      [position - 1, 2],
      [position, 4096],
      [position + 4095, 2],
      [position + 100, 10],
    ] as const
  ) {
    setting.content.fill(7, position + 4096, position + 5000);
    component.writeZeroes(offset, length);
    await component.flush();
    assertEquals((await readOwnerBlock(setting.connect()))?.host, "one");
    const end = offset + length;
    if (end <= position + 4096) continue;
    const after = setting.content.slice(position + 4096, Math.min(end, SIZE));
    assert(isZero(after.subarray(0, 900)));
  }
  assert(isZero(setting.content.slice(0, position)));
  for (const offset of [position - 5, position, position + 4095]) {
    await assertRejects(
      async () => await component.write(new Uint8Array(10), offset),
      VirstorError,
      "they reach into the owner block",
    );
  }
});

Deno.test("a damaged owner block is refused, and a reconnect tells owners apart", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  let owner: FarOwner | undefined;
  const component = await setting.open("one", setting.connect(), {
    onOwner: (taken) => owner = taken,
  });
  const identify = () =>
    owner?.identify((offset, length) =>
      Promise.resolve(setting.content.slice(offset, offset + length))
    );
  assertEquals(await identify(), "");
  await component.close();
  const second = await setting.open("two");
  await assertRejects(
    async () => await identify(),
    VirstorError,
    'The component is in use on host "two"',
  );
  await second.close();
  const position = ownerBlockPosition(SIZE);
  setting.content.fill(1, position + 60, position + 64);
  await assertRejects(
    () => setting.open("one"),
    VirstorError,
    `Cannot use the owner block at byte ${position}: its checksum is wrong`,
  );
  setting.content.fill(0, position, position + OWNER_BLOCK_SIZE);
  assertEquals(await identify(), "no component: it was never written");
});

Deno.test("a far side that refuses its owner block for good fails the component", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const far = setting.connect();
  const component = await setting.open("one", far);
  far.refusals = 3;
  await eventually("it was refused", () => far.refusals === 0);
  component.write(pattern(100, 1), 0);
  await component.flush();
  far.refusals = Infinity;
  await eventually(
    "the component fails",
    () => component.status().failure !== "",
  );
  await assertRejects(
    async () => await component.write(pattern(100, 2), 0),
    VirstorError,
    "Cannot write to the component any more: The far side refuses",
  );
  await component.close();
});
