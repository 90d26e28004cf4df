/**
 * A program that reports progress until its terminal no longer reports its
 * width.
 *
 * @module
 */
import { withProgress } from "../../cli/terminal/output.ts";

const done = Promise.withResolvers<void>();
await withProgress("Evacuating \u4ed3\u5e93", done.promise, () => {
  // That line is written before this ends.
  if (Deno.consoleSize().columns === 0) setTimeout(done.resolve);
  return "\u{1f4bd} \u4ed3\u5e93 ".repeat(20);
});
