/**
 * The flush mark of a remote component: when it is written, and what an opening
 * does with a journal that is behind it.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createSparseFile, FileDevice } from "../../../device/file/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { checksumOf } from "../../../metadata/common/mod.ts";
import {
  encodeFlushMark,
  encodeOwnerBlock,
  flushMarkPosition,
  newerJournalHeader,
  ownerBlockPosition,
} from "../../../metadata/journal/mod.ts";
import {
  Journal,
  JOURNAL_SIZE_MIN,
  openerOf,
  readFlushMark,
  recoverJournal,
} from "../../../pool/remote/mod.ts";
import { ofEarlierBoot } from "../../helpers/other_boot.ts";
import { eventually } from "../../helpers/patience.ts";
import { makeScratch, pattern } from "../../helpers/scratch.ts";
import { byte, firstByte, kill, Setting, SIZE } from "./remote_setting.ts";

const MARK = flushMarkPosition(SIZE);

Deno.test("a flush of a remote component writes the mark first, and again when it is repeated", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const far = setting.connect();
  await using component = await setting.open(far);
  component.write(byte(1), 0);
  await component.flush();
  const order = () =>
    far.requests.filter(({ what, offset }) =>
      what === "flush" || offset === MARK
    ).map(({ what }) => what === "flush" ? "flush" : "mark");
  assertEquals(order(), ["mark", "flush"]);
  assertEquals((await readFlushMark(setting.connect()))?.sequence, 1);
  far.requests.length = 0;
  component.write(byte(2), 0);
  let left = 1;
  far.onRequest = (what) => {
    if (what !== "flush" || left === 0) return;
    left -= 1;
    far.refusals = 1;
  };
  await component.flush();
  assertEquals(order(), ["mark", "mark", "flush"]);
  assertEquals((await readFlushMark(setting.connect()))?.sequence, 2);
});

Deno.test("a flush of a remote component waits until the far side has the mark", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const far = setting.connect();
  await using component = await setting.open(far);
  const write = far.write.bind(far);
  const [sent, goes] = [Promise.withResolvers(), Promise.withResolvers()];
  far.write = async (source, offset) => {
    const bytes = source.slice();
    if (offset === MARK) {
      sent.resolve(undefined);
      await goes.promise;
    }
    await write(bytes, offset);
  };
  component.write(byte(1), 0);
  const flush = component.flush();
  await sent.promise;
  while (setting.content[0] !== 1) await Promise.resolve();
  for (let i = 0; i < 100; i++) await Promise.resolve();
  const flushes = () => far.requests.filter(({ what }) => what === "flush");
  assertEquals(flushes().length, 0);
  goes.resolve(undefined);
  await flush;
  assertEquals(flushes().length, 1);
});

Deno.test("a mark that the far side refuses is written before the flush all the same", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const far = setting.connect();
  await using component = await setting.open(far);
  await component.flush();
  far.requests.length = 0;
  const write = far.write.bind(far);
  let refused = 0;
  far.write = (source, offset) => {
    if (offset === MARK && refused++ === 0) {
      return Promise.reject(new VirstorError("io", "The far side refuses"));
    }
    return write(source, offset);
  };
  component.write(byte(2), 0);
  await component.flush();
  assertEquals(refused, 2);
  const marks = far.requests.map(({ what, offset }) =>
    offset === MARK ? "mark" : what
  );
  assertEquals(marks.slice(-2), ["mark", "flush"]);
  assertEquals((await readFlushMark(setting.connect()))?.sequence, 1);
});

Deno.test("a journal that lacks what the far side has flushed is not replayed, and says so", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const first = await setting.open();
  first.write(byte(1), 0);
  await first.flush();
  const before = await Deno.readFile(setting.journal);
  for (const value of [2, 3]) first.write(byte(value), 0);
  await first.flush();
  await kill(first);
  // The power cut: the journal is what was on the disk some time before.
  await Deno.writeFile(setting.journal, ofEarlierBoot(before));
  const second = await setting.open();
  assertEquals(await firstByte(second), 3);
  assertEquals(setting.notices, [
    `The journal "${setting.journal}" lacks writes that "nbd://far/" has ` +
    "flushed, as after a power cut of this machine: none of it is replayed, " +
    "and what was not flushed is lost",
  ]);
  // What follows is not taken for lost, before the first flush.
  second.write(byte(4), 0);
  await kill(second);
  const third = await setting.open();
  assertEquals(await firstByte(third), 4);
  assertEquals(setting.notices.length, 1);
  await third.flush();
  assertEquals(setting.content[0], 4);
  await third.close();
});

Deno.test("a hole among the records before the mark is noticed, and one behind it ends the journal", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const first = await setting.open();
  for (const value of [1, 2, 3]) first.write(byte(value), value);
  await first.flush();
  for (const value of [4, 5]) first.write(byte(value), value);
  // An end of the process would write another header.
  const journal = await Deno.readFile(setting.journal);
  await kill(first);
  const content = setting.content.slice();
  for (const [lost, isLost] of [[2, true], [3, true], [4, false]] as const) {
    const bytes = ofEarlierBoot(journal.slice());
    bytes.fill(0, 8192 + (lost - 1) * 512, 8192 + lost * 512);
    await Deno.writeFile(setting.journal, bytes);
    setting.content.set(content);
    setting.notices.length = 0;
    const component = await setting.open();
    assertEquals(setting.notices.length, isLost ? 1 : 0, `record ${lost}`);
    await component.flush();
    assertEquals(setting.content.slice(1, 4), new Uint8Array([1, 2, 3]));
    await kill(component);
  }
});

Deno.test("a journal that was left by a kill is replayed whole, whatever the mark says", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const far = setting.connect();
  const first = await setting.open(far);
  first.write(byte(1), 0);
  await first.flush();
  // The far side has the mark of a flush that it never carried out.
  const flush = Promise.withResolvers<void>();
  far.flush = () => flush.promise;
  first.write(byte(2), 0);
  const pending = Promise.resolve(first.flush());
  pending.catch(() => {});
  first.write(byte(3), 1);
  while ((await readFlushMark(setting.connect()))?.sequence !== 2) {
    await Promise.resolve();
  }
  flush.reject(new VirstorError("io", "It is gone"));
  await kill(first);
  // It lost its power, and of the rest it has the mark alone.
  setting.content.fill(0, 0, 2);
  await using second = await setting.open();
  assertEquals(setting.notices, []);
  await second.flush();
  assertEquals(setting.content.slice(0, 2), new Uint8Array([2, 3]));
});

Deno.test("an owner knows a far side that went back behind its last flush, at once", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  await using component = await setting.open();
  const identify = (content: Uint8Array) =>
    setting.owner?.identify((offset, length) =>
      Promise.resolve(content.slice(offset, offset + length))
    );
  const older = "an older state of this component";
  assertEquals(await identify(setting.content), "");
  component.write(byte(1), 0);
  await component.flush();
  const first = setting.content.slice();
  component.write(byte(2), 0);
  await component.flush();
  assertEquals(await identify(setting.content), "");
  assertEquals(await identify(first), older);
  const none = setting.content.slice();
  none.fill(0, MARK, MARK + 512);
  assertEquals(await identify(none), older);
  // The mark of an earlier journal counts other records.
  const mark = await readFlushMark(setting.connect());
  assert(mark !== undefined);
  const other = { ...mark, ownerUuid: mark.journalUuid, sequence: 99 };
  none.set(encodeFlushMark(other, MARK), MARK);
  assertEquals(await identify(none), older);
});

Deno.test("an owner writes no mark while it cannot see its block", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const far = setting.connect();
  await using component = await setting.open(far);
  const { owner } = setting;
  assert(owner !== undefined);
  component.write(byte(1), 0);
  await component.flush();
  const sector = setting.content.slice(MARK, MARK + 512);
  far.hold();
  await eventually("its block is not seen", () => {
    const pending = owner.admit();
    pending?.catch(() => {});
    return pending !== undefined;
  });
  const marked = assertRejects(() => owner.mark(99), VirstorError);
  // Meanwhile another process takes the component.
  const at = ownerBlockPosition(SIZE);
  const ownerUuid = crypto.randomUUID();
  const taken = { ...owner.block, ownerUuid, host: "two" };
  setting.content.set(encodeOwnerBlock(taken, at), at);
  far.release();
  assert(/on host "two"/.test((await marked).message));
  assertEquals(setting.content.slice(MARK, MARK + 512), sector);
});

Deno.test("a component that is only read shows no journal that lacks what was flushed", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const first = await setting.open();
  first.write(byte(1), 0);
  await first.flush();
  const before = await Deno.readFile(setting.journal);
  first.write(byte(2), 0);
  await first.flush();
  const after = await Deno.readFile(setting.journal);
  await kill(first);
  const { componentUuid } = setting.owner?.block ?? {};
  const open = openerOf({
    connect: () =>
      Promise.resolve(
        Object.assign(setting.connect(), { capabilities: { readOnly: false } }),
      ),
    journals: scratch.path,
    onNotice: (line) => setting.notices.push(line),
  });
  for (const [bytes, notices] of [[after, 0], [before, 1]] as const) {
    const path = scratch.file(`${componentUuid}.journal`);
    await Deno.writeFile(path, ofEarlierBoot(bytes));
    const reader = await open("nbd://far/", { readOnly: true, lock: "shared" });
    const target = new Uint8Array(1);
    await reader.read(target, 0);
    assertEquals([target[0], setting.notices.length], [2, notices]);
    await reader.close();
  }
});

Deno.test("a journal of an earlier opening than the mark is not replayed, one of another mark is", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("journal");
  createSparseFile(path, JOURNAL_SIZE_MIN);
  const owner = {
    componentUuid: "c0c1c2c3-c4c5-46c7-88c9-cacbcccdcecf",
    generation: 7,
    componentSize: SIZE,
  };
  const journal = await Journal.create(new FileDevice(path), owner);
  journal.write(byte(1), 0);
  journal.write(byte(2), 0);
  const mark = {
    ...{ componentUuid: owner.componentUuid, ownerUuid: journal.uuid },
    ...{ journalUuid: journal.uuid, epoch: 1, sequence: 2 },
  };
  await journal.close();
  const uuid = "00112233-4455-4677-8899-aabbccddeeff";
  const bootId = crypto.randomUUID();
  for (
    const [change, count] of [
      [{}, 2],
      [{ sequence: 0 }, 2],
      [{ sequence: 3 }, 0],
      [{ sequence: 1, epoch: 2 }, 0],
      [{ sequence: 3, journalUuid: uuid }, 2],
      [{ sequence: 3, componentUuid: uuid }, 2],
    ] as const
  ) {
    const device = new FileDevice(path);
    const changed = { ...mark, ...change };
    const now = { ...owner, bootId };
    const found = await recoverJournal(device, now, changed);
    assertEquals([found.records.length, found.isLost], [count, count === 0]);
    if (found.isLost) {
      assertEquals(found.header.tailSequence, changed.sequence + 1);
    }
    await device.close();
  }
});

Deno.test("a damaged mark is refused, and what an older program left there is none", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const first = await setting.open();
  first.write(byte(1), 0);
  await first.flush();
  await kill(first);
  const mark = setting.content.slice(MARK, MARK + 512);
  setting.content[MARK + 100] = 1;
  const error = await assertRejects(() => setting.open(), VirstorError);
  assertEquals(error.code, "corrupt");
  assertEquals(
    error.message,
    `Cannot use the flush mark at byte ${MARK}: its checksum is wrong`,
  );
  for (const bytes of [new Uint8Array(512), pattern(512, 1), mark]) {
    setting.content.set(bytes, MARK);
    const component = await setting.open();
    assertEquals(await firstByte(component), 1);
    await kill(component);
  }
  assertEquals(setting.notices, []);
});

Deno.test("a journal of version 1 is replayed, and is of version 2 from then on", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("journal");
  const owner = {
    componentUuid: "c0c1c2c3-c4c5-46c7-88c9-cacbcccdcecf",
    generation: 7,
    componentSize: SIZE,
  };
  createSparseFile(path, JOURNAL_SIZE_MIN);
  const first = await Journal.create(new FileDevice(path), owner);
  first.write(pattern(100, 1), 5);
  await first.close();
  const bytes = await Deno.readFile(path);
  const header = bytes.subarray(0, 512);
  const view = new DataView(header.buffer);
  view.setUint32(20, 1, true);
  view.setUint32(16, checksumOf(header, 16), true);
  await Deno.writeFile(path, bytes);
  const second = await Journal.open(new FileDevice(path), owner);
  assertEquals(second.recovered.map(({ offset }) => offset), [5]);
  await second.close();
  const now = await Deno.readFile(path);
  // An older program finds no header that it would take for the newer one.
  for (const slot of [0, 4096]) {
    assertEquals(new DataView(now.buffer).getUint32(slot + 20, true), 2);
  }
  const found = newerJournalHeader(now.subarray(0, 8192));
  assert(typeof found !== "string");
  const { slot, version, header: { epoch, counter } } = found;
  assertEquals([slot, version, epoch, counter], [0, 2, 2, 3]);
});
