/**
 * What runs in the thread of a lane: it serves the connections that it is
 * given, one after the other.
 *
 * @module
 */

import { Lane } from "./lane.ts";
import type { LaneJob, LaneReport } from "./lane_messages.ts";

/** What a thread knows of the one that started it. */
interface Thread {
  onmessage: ((event: MessageEvent<LaneJob>) => void) | null;
  postMessage(report: LaneReport, transfer?: Transferable[]): void;
}

const thread = globalThis as unknown as Thread;
const lane = new Lane((report) => {
  const isData = report.kind === "bytes";
  thread.postMessage(report, isData ? [report.bytes.buffer] : []);
});
thread.onmessage = ({ data }) => lane.serve(data);
thread.postMessage({ kind: "ready" });
