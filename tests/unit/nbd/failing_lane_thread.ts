/**
 * What runs in place of the thread of a lane in tests: the real one, which
 * fails while it makes something durable.
 *
 * @module
 */

import { NativeIo } from "../../../device/linux/mod.ts";

NativeIo.prototype.makeDurable = () => {
  throw new Error("Failed by the test");
};
await import("../../../nbd/server/lanes/lane_thread.ts");
