/**
 * Output that its writer does not wait for: a terminal that is held, or a pipe
 * whose reader has stopped, must not stop a server of disks.
 *
 * @module
 */

const encoder = new TextEncoder();
/** Bytes that wait at most; later lines are lost, and counted. */
const WAITING_MAX = 256 * 1024;
/** Milliseconds between two looks whether there is room again. */
const RETRY_MS = 100;
/** A pipe or a terminal with room takes so many bytes without waiting. */
const PIECE = 4096;

/** Where the bytes go. */
export interface QueuedOutputOptions {
  /**
   * Writes bytes.
   *
   * @param bytes At most 4096.
   * @returns How many of them were written.
   * @throws {Error} If they cannot be written: what waits is dropped then.
   */
  readonly write: (bytes: Uint8Array) => number;
  /**
   * Tells whether 4096 bytes can be written without waiting.
   *
   * @param waitMs Milliseconds to wait for that, whole.
   * @returns Whether they can.
   */
  readonly hasRoom: (waitMs: number) => boolean;
  /**
   * Makes the text that stands in place of texts that were lost.
   *
   * @param count How many.
   * @returns The text, with its line break.
   */
  readonly textForLost: (count: number) => string;
}

/** Texts that are written in order, as there is room for them. */
export class QueuedOutput {
  readonly #options: QueuedOutputOptions;
  readonly #waiting: Uint8Array[] = [];
  #bytes = 0;
  #lost = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Begins with nothing that waits.
   *
   * @param options Where the bytes go.
   */
  constructor(options: QueuedOutputOptions) {
    this.#options = options;
  }

  /**
   * Writes a text now if there is room, else later. Never throws.
   *
   * @param text One line, or several, with line breaks.
   */
  write(text: string): void {
    const bytes = encoder.encode(text);
    // What comes behind a gap is lost, too, until the gap is reported.
    if (this.#lost > 0 || this.#bytes + bytes.length > WAITING_MAX) {
      this.#lost += 1;
    } else this.#add(bytes);
    this.#send();
  }

  /**
   * Writes what waits, before the process ends. Blocks meanwhile.
   *
   * @param waitMs Milliseconds to wait for room at most.
   */
  finish(waitMs: number): void {
    const end = performance.now() + waitMs;
    for (;;) {
      this.#send();
      if (this.#waiting.length === 0) break;
      const leftMs = Math.ceil(end - performance.now());
      if (leftMs <= 0 || !this.#options.hasRoom(leftMs)) break;
    }
    clearTimeout(this.#timer);
  }

  #add(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      this.#sendWhileRoom();
    } catch {
      // Its reader is gone.
      this.#waiting.length = 0;
      this.#bytes = 0;
      this.#lost = 0;
    }
    if (this.#waiting.length === 0) return;
    this.#timer = setTimeout(() => this.#send(), RETRY_MS);
  }

  #sendWhileRoom(): void {
    const { write, hasRoom, textForLost } = this.#options;
    for (;;) {
      const [first] = this.#waiting;
      if (first === undefined) {
        if (this.#lost === 0) return;
        const text = textForLost(this.#lost);
        this.#lost = 0;
        this.#add(encoder.encode(text));
        continue;
      }
      if (!hasRoom(0)) return;
      const count = write(first.subarray(0, PIECE));
      this.#bytes -= count;
      if (count === first.length) this.#waiting.shift();
      else this.#waiting[0] = first.subarray(count);
    }
  }
}
