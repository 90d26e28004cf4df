/**
 * What runs in place of the thread of a lane in tests: the real one, whose
 * reports arrive late, as they do on a machine that has no time for them.
 *
 * @module
 */

import type {
  LaneJob,
  LaneReport,
} from "../../../nbd/server/lanes/lane_messages.ts";

/** How late each report arrives, milliseconds: longer than a server looks. */
const LATE_MS = 200;

/** What a thread knows of the one that started it. */
interface Thread {
  onmessage: ((event: MessageEvent<LaneJob>) => void) | null;
  postMessage(report: LaneReport): void;
}

const outside = globalThis as unknown as Thread;
const module = new URL(
  "../../../nbd/server/lanes/lane_thread.ts",
  import.meta.url,
);
const inside = new Worker(module, { type: "module" });
outside.onmessage = ({ data }) => inside.postMessage(data);
inside.onmessage = ({ data }: MessageEvent<LaneReport>) => {
  setTimeout(() => outside.postMessage(data), LATE_MS);
};
