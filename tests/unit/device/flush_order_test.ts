/**
 * Flushes of a file that come while one runs, and just as it ends.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { KIB, makeScratch } from "../../helpers/scratch.ts";
import { makeSparse } from "../../helpers/small_pools.ts";

Deno.test("FileDevice shares the next flush with a caller that asks just as another ends", async () => {
  await using scratch = await makeScratch();
  const device = new FileDevice(makeSparse(scratch.file("disk"), 64 * KIB));
  const log: string[] = [];
  device.observer = {
    flushBegins: () => log.push("begins"),
    flushEnds: () => log.push("ends"),
  };
  const write = () => device.write(new Uint8Array(512), 0);
  write();
  const first = Promise.resolve(device.flush());
  // Its end is reported before the next one begins.
  const third = first.then(() => {
    write();
    log.push("asks again");
    return device.flush();
  });
  write();
  const second = device.flush();
  await Promise.all([first, second, third]);
  assertEquals(log, ["begins", "ends", "asks again", "begins", "ends"]);
  assertEquals(device.flush(), undefined);
  await device.close();
});
