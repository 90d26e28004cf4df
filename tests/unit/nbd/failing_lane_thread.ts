/**
 * What runs in place of the thread of a lane in tests: the real one, until it
 * has made something durable. Then this thread fails before it reports that.
 *
 * @module
 */

import type {
  LaneJob,
  LaneReport,
} from "../../../nbd/server/lanes/lane_messages.ts";

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
  if (data.kind === "flushed") throw new Error("Failed by the test");
  outside.postMessage(data);
};
