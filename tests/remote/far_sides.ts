/**
 * The far servers that are killed in tests, each over a raw image.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Scratch } from "../helpers/scratch.ts";
import { CERTIFICATES } from "../helpers/tls_client.ts";
import { OldServer } from "./old_server.ts";
import { FarServer, type Killable } from "./peers.ts";

/** A far server. */
export interface FarSide {
  /** The program that must be installed. */
  readonly peer: string;
  /** Whether it loses what was not flushed. */
  readonly forgets: boolean;
  /** Whether it is too slow for the suite. */
  readonly isSlow?: boolean;
  /** Whether it differs from others for the remote disk only, not for pools. */
  readonly isFilter?: boolean;
  /** Starts it. */
  start(scratch: Scratch, image: string): Promise<Killable>;
}

const OWN = fileURLToPath(new URL("./own_server.ts", import.meta.url));

/** nbdkit with filters before its file plugin. */
function filtered(
  filters: readonly string[],
  parameters: readonly string[] = [],
): FarSide {
  return {
    peer: "nbdkit",
    forgets: false,
    isFilter: true,
    start: (scratch, image) =>
      FarServer.nbdkit(scratch.file("s"), [
        ...filters.map((filter) => `--filter=${filter}`),
        ...["file", image, ...parameters],
      ]),
  };
}

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
  "our own server over TLS": {
    peer: "sh",
    forgets: false,
    start: async (scratch, image) => {
      const socket = scratch.file("s");
      const args = ["run", "-A", "--quiet", OWN, image, socket, "tls"];
      const server = await FarServer.start(Deno.execPath(), args, socket);
      return {
        uri: `nbds+unix:///disk?socket=${socket}&` +
          `tls-certificates=${CERTIFICATES}good`,
        start: () => server.start(),
        kill: () => server.kill(),
        [Symbol.asyncDispose]: () => server.kill(),
      };
    },
  },
  "nbdkit with delays": filtered(["delay"], [
    ...["delay-read=2ms", "delay-write=2ms"],
  ]),
  "nbdkit with whole blocks only": filtered(["blocksize-policy"], [
    ...["blocksize-minimum=4096", "blocksize-preferred=64K"],
    ...["blocksize-maximum=128K", "blocksize-error-policy=error"],
  ]),
  "nbdkit without extents": filtered(["noextents"]),
  "nbdkit that retries what fails": {
    ...filtered(["retry", "error"], [
      ...["retry-delay=1", "retry-exponential=no"],
      ...["error-pwrite-rate=0.1%", "error-pread-rate=0.1%"],
    ]),
    isSlow: true,
  },
};
