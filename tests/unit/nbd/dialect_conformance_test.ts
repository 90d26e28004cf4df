/**
 * The conformance battery over NBD in the dialects with chunks, several
 * requests under way; the client checks every chunk. The simple dialect is
 * among the others, in `tests/conformance/`.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { WriteOptions, WriteZeroesOptions } from "../../../device/mod.ts";
import { NbdServer } from "../../../nbd/mod.ts";
import { type Disk, testConformance } from "../../conformance/battery.ts";
import { BusyClient, type Reply } from "../../helpers/busy_client.ts";
import { type Dialect, NBD } from "../../helpers/nbd_client.ts";
import type { Scratch } from "../../helpers/scratch.ts";
import { exportOf } from "./serving.ts";
import { SparseDevice } from "./sparse_device.ts";

const SIZE = 16 * 1024 * 1024;

/** A device with holes at the end of a socket. */
class RemoteDisk implements Disk {
  readonly size: number = SIZE;
  readonly #client: BusyClient;
  readonly #server: NbdServer;

  private constructor(client: BusyClient, server: NbdServer) {
    this.#client = client;
    this.#server = server;
  }

  static async open(scratch: Scratch, dialect: Dialect): Promise<RemoteDisk> {
    const path = scratch.file("nbd.sock");
    const server = new NbdServer({ exports: [exportOf(new Sparse(SIZE))] });
    server.serve(Deno.listen({ transport: "unix", path }));
    const client = await BusyClient.open({ path }, "disk", dialect);
    return new RemoteDisk(client, server);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return succeeded(await this.#client.read(offset, length)).payload;
  }

  async write(
    source: Uint8Array,
    offset: number,
    options: WriteOptions = {},
  ): Promise<void> {
    const flags = options.fua === true ? NBD.CMD_FLAG_FUA : 0;
    succeeded(await this.#client.write(offset, source.slice(), flags));
  }

  async flush(): Promise<void> {
    succeeded(await this.#client.flush());
  }

  async discard(offset: number, length: number): Promise<void> {
    succeeded(await this.#client.trim(offset, length));
  }

  async writeZeroes(
    offset: number,
    length: number,
    options: WriteZeroesOptions = {},
  ): Promise<void> {
    const flags = (options.fua === true ? NBD.CMD_FLAG_FUA : 0) |
      (options.noHole === true ? NBD.CMD_FLAG_NO_HOLE : 0);
    succeeded(await this.#client.writeZeroes(offset, length, flags));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.disconnect();
    await this.#server.close();
  }
}

/** Zeroed units are holes again. */
class Sparse extends SparseDevice {
  override writeZeroes(offset: number, length: number): undefined {
    super.writeZeroes(offset, length);
    const unit = 64 * 1024;
    for (let i = Math.ceil(offset / unit);; i++) {
      if ((i + 1) * unit > offset + length) return;
      this.kinds.delete(i);
    }
  }
}

function succeeded(reply: Reply): Reply {
  assertEquals(reply.errno, 0);
  return reply;
}

for (const dialect of ["structured", "extended"] as const) {
  testConformance({
    name: `A device with holes over NBD, ${dialect},`,
    make: (scratch) => RemoteDisk.open(scratch, dialect),
  });
}
