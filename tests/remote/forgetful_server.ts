/**
 * Our own server over a disk that forgets, at a restart, what was not flushed.
 *
 * @module
 */

import type {
  BlockDevice,
  Completion,
  DeviceCapabilities,
  Extent,
  WriteOptions,
} from "../../device/mod.ts";
import { MemoryDevice } from "../../device/mod.ts";
import { NbdServer } from "../../nbd/mod.ts";

/** A disk whose writes are lost unless they are flushed. */
export class ForgetfulDevice implements BlockDevice {
  readonly size: number;
  readonly blockSize: number;
  readonly capabilities: DeviceCapabilities;
  /** What survives. */
  readonly durable: Uint8Array;
  readonly #bytes: Uint8Array;
  readonly #memory: MemoryDevice;

  /**
   * Makes a disk of zeroes.
   *
   * @param size Bytes.
   * @param blockSize Bytes.
   */
  constructor(size: number, blockSize = 1) {
    this.size = size;
    this.blockSize = blockSize;
    this.durable = new Uint8Array(size);
    this.#bytes = new Uint8Array(size);
    this.#memory = new MemoryDevice(this.#bytes, { blockSize });
    this.capabilities = this.#memory.capabilities;
  }

  /** Loses what was not flushed. */
  forget(): void {
    this.#bytes.set(this.durable);
  }

  read(target: Uint8Array, offset: number): Completion {
    return this.#memory.read(target, offset);
  }

  write(
    source: Uint8Array,
    offset: number,
    options?: WriteOptions,
  ): Completion {
    this.#memory.write(source, offset);
    this.#keep(offset, source.length, options);
    return undefined;
  }

  flush(): Completion {
    this.durable.set(this.#bytes);
    return undefined;
  }

  discard(
    offset: number,
    length: number,
    options?: WriteOptions,
  ): Completion {
    return this.writeZeroes(offset, length, options);
  }

  writeZeroes(
    offset: number,
    length: number,
    options?: WriteOptions,
  ): Completion {
    this.#memory.writeZeroes(offset, length);
    this.#keep(offset, length, options);
    return undefined;
  }

  extents(offset: number, length: number): Extent[] {
    return this.#memory.extents(offset, length);
  }

  close(): Completion {
    return undefined;
  }

  #keep(offset: number, length: number, options?: WriteOptions): void {
    if (options?.fua !== true) return;
    const part = this.#bytes.subarray(offset, offset + length);
    this.durable.set(part, offset);
  }
}

/** A server of such a disk, which can restart. */
export class ForgetfulServer implements AsyncDisposable {
  /** The disk; another one may take its place before a restart. */
  device: ForgetfulDevice;
  readonly #path: string;
  #server: NbdServer;
  #count = 0;

  /**
   * Serves a disk.
   *
   * @param path Where its Unix sockets are: each start has another one.
   * @param device The disk.
   */
  constructor(path: string, device: ForgetfulDevice) {
    this.#path = path;
    this.device = device;
    this.#server = this.#serve();
  }

  /** The Unix socket. */
  get socket(): string {
    return `${this.#path}-${this.#count}`;
  }

  /** Connects. */
  connect(): Promise<Deno.Conn> {
    return Deno.connect({ transport: "unix", path: this.socket });
  }

  /** Restarts: ends all connections, and forgets. */
  async afterCut(): Promise<void> {
    await this.#server.close();
    this.device.forget();
    this.#count += 1;
    this.#server = this.#serve();
  }

  /** Ends the server. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close();
  }

  #serve(): NbdServer {
    const { device } = this;
    const server = new NbdServer({
      exports: [{ name: "disk", description: "", device, readOnly: false }],
    });
    server.serve(Deno.listen({ transport: "unix", path: this.socket }));
    return server;
  }
}
