/**
 * Output that waits for its reader while its writer goes on.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { QueuedOutput } from "../../../cli/terminal/queued_output.ts";
import { eventually } from "../../helpers/patience.ts";

/** A reader that takes so many pieces, and what it has got. */
class Reader {
  room = 0;
  isGone = false;
  text = "";
  readonly output = new QueuedOutput({
    write: (bytes) => {
      if (this.isGone) throw new Error("Broken pipe");
      assert(bytes.length <= 4096);
      this.room -= 1;
      this.text += new TextDecoder().decode(bytes);
      return bytes.length;
    },
    hasRoom: () => this.room > 0 || this.isGone,
    textForLost: (count) => `${count} lost\n`,
  });
}

Deno.test("queued output is written at once while there is room", () => {
  const reader = new Reader();
  reader.room = 3;
  reader.output.write("one\n");
  reader.output.write(`${"2".repeat(5000)}\n`);
  assertEquals(reader.text, `one\n${"2".repeat(5000)}\n`);
});

Deno.test("queued output waits for room, in order", async () => {
  const reader = new Reader();
  reader.output.write("one\n");
  reader.output.write("two\n");
  assertEquals(reader.text, "");
  reader.room = 2;
  await eventually("the reader got it", () => reader.text === "one\ntwo\n");
});

Deno.test("queued output is bounded, and says what it lacks", () => {
  const reader = new Reader();
  const line = `${"x".repeat(999)}\n`;
  for (let count = 0; count < 300; count++) reader.output.write(line);
  reader.room = 1000;
  reader.output.write("late\n");
  const kept = Math.floor(256 * 1024 / 1000);
  assertEquals(reader.text, line.repeat(kept) + `${301 - kept} lost\n`);
  reader.output.write("later\n");
  assert(reader.text.endsWith("lost\nlater\n"));
});

Deno.test("queued output forgets what waits when its reader is gone", () => {
  const reader = new Reader();
  reader.output.write("one\n");
  reader.isGone = true;
  reader.output.write("two\n");
  reader.isGone = false;
  reader.room = 10;
  reader.output.write("three\n");
  assertEquals(reader.text, "three\n");
});

Deno.test("the end gives a reader a moment, and no more", () => {
  const reader = new Reader();
  reader.output.write("one\n");
  reader.output.finish(5);
  assertEquals(reader.text, "");
  reader.room = 1;
  reader.output.finish(5);
  assertEquals(reader.text, "one\n");
});
