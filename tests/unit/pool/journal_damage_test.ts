/**
 * A journal that lacks records without a power cut, which is damage: a kill of
 * the process loses none.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { FileDevice } from "../../../device/file/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { recoverJournal } from "../../../pool/remote/mod.ts";
import { ofEarlierBoot } from "../../helpers/other_boot.ts";
import { makeScratch } from "../../helpers/scratch.ts";
import { byte, kill, Setting, SIZE } from "./remote_setting.ts";

Deno.test("a journal that lacks flushed writes of this boot is refused, and stays as it is", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const first = await setting.open();
  first.write(byte(1), 0);
  await first.flush();
  const older = await Deno.readFile(setting.journal);
  first.write(byte(2), 0);
  await first.flush();
  // Only the journal has this one.
  first.write(byte(3), 1);
  // An end of the process would write another header.
  const right = await Deno.readFile(setting.journal);
  await kill(first);
  const damaged = right.slice();
  // The payload of the second record.
  damaged[8192 + 512 + 80] = 9;
  for (const wrong of [older, damaged]) {
    await Deno.writeFile(setting.journal, wrong);
    const error = await assertRejects(() => setting.open(), VirstorError);
    assertEquals(error.code, "corrupt");
    assertEquals(
      error.message,
      `Cannot use the journal "${setting.journal}": it lacks writes that its ` +
        "component has flushed, though this machine was not started anew " +
        "since: it is an older copy, or damaged; it may hold writes that its " +
        "component lacks: move it elsewhere to do without them",
    );
    assertEquals(await Deno.readFile(setting.journal), wrong);
  }
  await Deno.writeFile(setting.journal, right);
  setting.content[1] = 0;
  await using second = await setting.open();
  await second.flush();
  assertEquals(setting.content.slice(0, 2), new Uint8Array([2, 3]));
  assertEquals(setting.notices, []);
});

Deno.test("damage among the last records of a journal is refused in the same boot", async () => {
  await using scratch = await makeScratch();
  const setting = new Setting(scratch);
  const first = await setting.open();
  for (let i = 0; i < 6; i++) first.write(byte(i + 1), i);
  const journal = await Deno.readFile(setting.journal);
  await kill(first);
  const { journal: path } = setting;
  for (const [record, isEnd] of [[0, false], [3, false], [5, true]] as const) {
    const at = 8192 + record * 512;
    for (const [from, to] of [[80, 81], [0, 512], [0, 512 * 9]] as const) {
      const bytes = journal.slice();
      bytes.fill(0xee, at + from, Math.min(at + to, 8192 + 6 * 512));
      // What is gone from there on to the end is not told from the end.
      const isWhole = isEnd || to > 512;
      await Deno.writeFile(path, bytes);
      if (!isWhole) {
        const error = await assertRejects(() => setting.open(), VirstorError);
        assertEquals(error.code, "corrupt");
        const { message } = error;
        const said = `record ${record + 1} at byte ${at} is damaged or missing`;
        assert(message.includes(`${said}: record ${record + 2} at`), message);
        assertEquals(await Deno.readFile(path), bytes);
      }
      // After a power cut the record is the end.
      const now = isWhole ? bytes : ofEarlierBoot(bytes);
      await Deno.writeFile(path, now);
      const device = new FileDevice(path);
      const owner = setting.owner?.block;
      assert(owner !== undefined);
      const { componentUuid, generation } = owner;
      const { records } = await recoverJournal(device, {
        ...{ componentUuid, generation, componentSize: SIZE },
      });
      assertEquals(records.length, record);
      await device.close();
    }
  }
});
