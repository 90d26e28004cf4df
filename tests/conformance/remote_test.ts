/**
 * The conformance battery, run against remote disks: what our client makes of
 * far servers that speak each dialect, and of one with large blocks.
 *
 * @module
 */

import {
  type BlockDevice,
  createSparseFile,
  FileDevice,
  MemoryDevice,
} from "../../device/mod.ts";
import { NbdDisk } from "../../nbd/client/mod.ts";
import { NbdServer } from "../../nbd/mod.ts";
import { Journal, RemoteComponent } from "../../pool/remote/mod.ts";
import { PATIENCE_MS } from "../helpers/patience.ts";
import { hasPeer } from "../helpers/peers.ts";
import { MIB, type Scratch } from "../helpers/scratch.ts";
import { FarServer } from "../remote/peers.ts";
import { DiskHere } from "./disk_here.ts";
import { testConformance, testLocalConformance } from "./battery.ts";

const SIZE = 16 * MIB;

/** A disk behind our own server. */
async function overOurs(
  scratch: Scratch,
  device: BlockDevice,
): Promise<DiskHere> {
  const path = scratch.file("nbd.sock");
  const server = new NbdServer({
    exports: [{ name: "disk", description: "", device, readOnly: false }],
  });
  server.serve(Deno.listen({ transport: "unix", path }));
  const disk = await NbdDisk.connect(`nbd+unix:///disk?socket=${path}`);
  return new DiskHere(disk, { close: () => server.close() });
}

testLocalConformance({
  name: "NbdDisk of our own server",
  make: (scratch) => overOurs(scratch, new MemoryDevice(SIZE)),
});

testLocalConformance({
  name: "RemoteComponent of our own server",
  make: async (scratch) => {
    const disk = await overOurs(scratch, new MemoryDevice(SIZE));
    const path = scratch.file("journal");
    createSparseFile(path, SIZE);
    const journal = await Journal.create(new FileDevice(path), {
      componentUuid: crypto.randomUUID(),
      generation: 1,
      componentSize: SIZE,
    });
    const far = disk.device;
    const component = new RemoteComponent({ path: "nbd://far/", far, journal });
    return new DiskHere(component, {
      close: () => disk[Symbol.asyncDispose](),
    });
  },
});

testConformance({
  name: "NbdDisk of our own server with blocks of 4 KiB",
  make: (scratch) =>
    overOurs(scratch, new MemoryDevice(SIZE, { blockSize: 4096 })),
});

/** A disk behind nbdkit. */
async function overNbdkit(
  scratch: Scratch,
  args: readonly string[],
): Promise<DiskHere> {
  const far = await FarServer.nbdkit(scratch.file("nbd.sock"), args);
  const disk = await NbdDisk.connect(far.uri, {
    openTimeoutMs: PATIENCE_MS,
  });
  return new DiskHere(disk, { close: () => far.kill() });
}

if (hasPeer("nbdkit")) {
  testConformance({
    name: "NbdDisk of nbdkit without chunks",
    make: (scratch) => overNbdkit(scratch, ["--no-sr", "memory", `${SIZE}`]),
  });
  testConformance({
    name: "NbdDisk of nbdkit that takes 64 KiB in blocks of 512",
    make: (scratch) =>
      overNbdkit(scratch, [
        ...["--filter=blocksize-policy", "memory", `${SIZE}`],
        ...["blocksize-minimum=512", "blocksize-preferred=4096"],
        ...["blocksize-maximum=64k", "blocksize-error-policy=error"],
      ]),
  });
  testConformance({
    name: "NbdDisk of a plain newstyle nbdkit without WRITE_ZEROES",
    make: (scratch) =>
      overNbdkit(scratch, [
        ...["--mask-handshake=0", "--filter=nozero", "memory"],
        `${SIZE}`,
      ]),
  });
}
