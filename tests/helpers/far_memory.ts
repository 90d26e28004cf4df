/**
 * A far side in memory, for tests of remote components: it can be held, and can
 * refuse.
 *
 * @module
 */

import { MemoryDevice } from "../../device/mod.ts";
import { VirstorError } from "../../errors.ts";
import type { FarDisk } from "../../pool/remote/mod.ts";

/** A request that was carried out. */
export interface FarRequest {
  readonly what: "flush" | "write" | "zero";
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A disk on another machine. */
export class FarMemory implements FarDisk {
  readonly size: number;
  /** What it holds. */
  readonly content: Uint8Array;
  /** What it was asked to change, in order. */
  readonly requests: FarRequest[] = [];
  /** Number of requests that are refused from now on. */
  refusals = 0;
  /** Called with the kind of each request that arrives. */
  onRequest: ((what: FarRequest["what"] | "read") => void) | undefined;
  /** Called before each request; settles when the far side goes on with it. */
  travel: () => Promise<void> = () => Promise.resolve();
  readonly #memory: MemoryDevice;
  #held: PromiseWithResolvers<void> | undefined;
  #closed = false;

  /**
   * Makes a disk of zeroes, or another connection to a disk.
   *
   * @param size Bytes.
   * @param content What the disk holds.
   */
  constructor(size: number, content: Uint8Array = new Uint8Array(size)) {
    this.size = size;
    this.content = content;
    this.#memory = new MemoryDevice(this.content);
  }

  /** Holds all requests from now on. */
  hold(): void {
    this.#held ??= Promise.withResolvers();
    this.#held.promise.catch(() => {});
  }

  /** Goes on. */
  release(): void {
    this.#held?.resolve();
    this.#held = undefined;
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    await this.#ready("read");
    this.#memory.read(target, offset);
  }

  async write(source: Uint8Array, offset: number): Promise<void> {
    const bytes = source.slice();
    await this.#ready("write");
    this.#refuse();
    this.requests.push({ what: "write", offset, bytes });
    this.#memory.write(bytes, offset);
  }

  async writeZeroes(offset: number, length: number): Promise<void> {
    await this.#ready("zero");
    this.#refuse();
    const bytes = new Uint8Array(length);
    this.requests.push({ what: "zero", offset, bytes });
    this.#memory.write(bytes, offset);
  }

  async flush(): Promise<void> {
    await this.#ready("flush");
    this.#refuse();
    const bytes = new Uint8Array();
    this.requests.push({ what: "flush", offset: 0, bytes });
  }

  close(): undefined {
    this.#closed = true;
    this.#held?.reject(new VirstorError("io", "The far side is closed"));
  }

  async #ready(what: FarRequest["what"] | "read"): Promise<void> {
    this.onRequest?.(what);
    await this.travel();
    await this.#held?.promise;
    if (this.#closed) throw new VirstorError("io", "The far side is closed");
  }

  #refuse(): void {
    if (this.refusals === 0) return;
    this.refusals -= 1;
    throw new VirstorError("io", "The far side refuses");
  }
}
