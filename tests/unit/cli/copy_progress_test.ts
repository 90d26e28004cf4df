/**
 * What `virstor copy` says of its progress: no time left that cannot be known.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { CopyProgress } from "../../../cli/commands/copy_progress.ts";

const GIB = 2 ** 30;

Deno.test("the progress of a copy has the time left only where it can be known", () => {
  let now = 0;
  const progress = new CopyProgress(() => now);
  assertEquals(progress.text(), "0 B, 0 B/s");
  progress.begin(1024 * GIB);
  assertEquals(progress.text(), "0%, 0 B/s");
  now = 100;
  progress.at(4096);
  // The rate of so short a time says nothing.
  assertEquals(progress.text(), "0%, 40 KiB/s");
  now = 2000;
  progress.at(2 * GIB);
  assertEquals(progress.text(), "0%, 1 GiB/s, 17 min 2 s left");
  now = 4000;
  progress.at(2 * GIB);
  assertEquals(progress.text(), "0%, 512 MiB/s, 34 min 4 s left");
  now = 64_000;
  assertEquals(progress.text(), "0%, 32 MiB/s, no progress for 1 min 2 s");
  progress.at(3 * GIB);
  assertEquals(progress.text(), "0%, 48 MiB/s, 6 h 3 min left");
});

Deno.test("the progress of a stream has neither a share nor a time left", () => {
  let now = 0;
  const progress = new CopyProgress(() => now);
  now = 1000;
  progress.at(GIB);
  assertEquals(progress.text(), "1 GiB, 1 GiB/s");
  now = 8000;
  assertEquals(
    progress.text(),
    "1 GiB, 128 MiB/s, no progress for 7 s",
  );
});
