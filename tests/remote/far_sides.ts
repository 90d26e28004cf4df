/**
 * The far servers that are killed in tests, each over a raw image.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Scratch } from "../helpers/scratch.ts";
import { OldServer } from "./old_server.ts";
import { FarServer, type Killable } from "./peers.ts";

/** A far server. */
export interface FarSide {
  /** The program that must be installed. */
  readonly peer: string;
  /** Whether it loses what was not flushed. */
  readonly forgets: boolean;
  /** Starts it. */
  start(scratch: Scratch, image: string): Promise<Killable>;
}

const OWN = fileURLToPath(new URL("./own_server.ts", import.meta.url));

/** The far servers, by name. */
export const FAR_SIDES: Readonly<Record<string, FarSide>> = {
  "nbdkit that forgets": {
    peer: "nbdkit",
    forgets: true,
    start: (scratch, image) =>
      FarServer.nbdkit(scratch.file("s"), [
        ...["--filter=cache", "file", image, "cache=writeback"],
      ]),
  },
  "qemu-nbd": {
    peer: "qemu-nbd",
    forgets: false,
    start: (scratch, image) => FarServer.qemu(scratch.file("s"), image),
  },
  "nbd-server": {
    peer: "nbd-server",
    forgets: false,
    start: async (scratch, image) => {
      const server = new OldServer(scratch.path, image);
      await server.start();
      return server;
    },
  },
  "our own server": {
    peer: "sh",
    forgets: false,
    start: (scratch, image) => {
      const socket = scratch.file("s");
      const args = ["run", "-A", "--quiet", OWN, image, socket];
      return FarServer.start(Deno.execPath(), args, socket);
    },
  },
};
