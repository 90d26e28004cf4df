/**
 * This project's NBD server on one flat file, without a pool: what the pool
 * costs is the difference to it. A program of its own, with the permissions
 * that the command has:
 *
 * ```sh
 * deno run --allow-read --allow-write --allow-ffi --allow-net \
 *   bench/flat_server.ts SOCKET FILE
 * ```
 *
 * @module
 */

import { FileDevice } from "../device/mod.ts";
import { NbdServer } from "../nbd/mod.ts";
import { trackDescriptors } from "../nbd/server/stream/mod.ts";

/** Serves a file until SIGTERM. */
async function main(): Promise<void> {
  const [socket = "", path = ""] = Deno.args;
  const device = new FileDevice(path);
  const server = new NbdServer({
    exports: [{ name: "bench", description: "", device, readOnly: false }],
  });
  Deno.addSignalListener("SIGTERM", () => {
    server.close().then(() => device.close()).then(() => Deno.exit(0));
  });
  const listener = Deno.listen({ transport: "unix", path: socket });
  server.serve(trackDescriptors(listener));
  await server.finished;
}

if (import.meta.main) await main();
