/**
 * Files that know what a power cut would leave of them, however they are
 * written: what they held when the last `fdatasync` that has ended began.
 *
 * @module
 */

import {
  type Completion,
  FileDevice,
  type WriteOptions,
} from "../../device/mod.ts";
import type { FlushObserver } from "../../device/file/mod.ts";
import type { OpenDevice } from "../../pool/core/mod.ts";

/** A file that counts what is written to it here, and not by other threads. */
class CountingFile extends FileDevice {
  writes = 0;

  override write(
    source: Uint8Array,
    offset: number,
    options?: WriteOptions,
  ): Completion {
    this.writes++;
    return super.write(source, offset, options);
  }

  /** No observer sees the flush of a thread: the event loop flushes for it. */
  override shareSync(): boolean {
    return false;
  }
}

/** All files of a test. */
export class PowerCutFiles {
  /** To be given to whatever opens components. */
  readonly open: OpenDevice = (path, options) => {
    const file = new CountingFile(path, options);
    this.#files.push(file);
    return file;
  };
  readonly #files: CountingFile[] = [];
  readonly #durable = new Map<string, Uint8Array>();

  /** How often the process that has opened them has written to them. */
  get writes(): number {
    return this.#files.reduce((sum, { writes }) => sum + writes, 0);
  }

  /** Begins to watch; what was written before was flushed. */
  watch(): void {
    for (const file of this.#files) {
      this.#durable.set(file.path, Deno.readFileSync(file.path));
      file.observer = this.#observe(file.path, file.observer);
    }
  }

  /**
   * Writes what a power cut would leave now.
   *
   * @param directory Where to.
   * @returns The paths of the copies.
   */
  copyDurable(directory: string): string[] {
    return [...this.#durable].map(([path, bytes]) => {
      const copy = `${directory}/${path.slice(path.lastIndexOf("/") + 1)}`;
      Deno.writeFileSync(copy, bytes);
      return copy;
    });
  }

  #observe(path: string, inner: FlushObserver | undefined): FlushObserver {
    let bytes = new Uint8Array();
    return {
      flushBegins: () => {
        bytes = Deno.readFileSync(path);
        inner?.flushBegins();
      },
      flushEnds: () => {
        this.#durable.set(path, bytes);
        inner?.flushEnds();
      },
    };
  }
}
