/**
 * Hostile clients on a thread of their own: what they cost does not delay the
 * clients whose latency is measured.
 *
 * @module
 */

import { Attack, HOSTILE_KINDS } from "../tests/helpers/hostile.ts";
import type { NbdAddress } from "../tests/helpers/nbd_client.ts";

/** Which attack a thread makes. */
interface Order {
  readonly address: NbdAddress;
  readonly kind: string;
  readonly clients: number;
}

/** Hostile clients at work on a thread. To be used with `using`. */
export class HostileThread implements Disposable {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /**
   * Starts the thread and lets the clients send.
   *
   * @param address The server.
   * @param kind The name of what they do.
   * @param clients How many.
   * @returns The attack, which has begun.
   */
  static async begin(
    address: NbdAddress,
    kind: string,
    clients: number,
  ): Promise<HostileThread> {
    const worker = new Worker(import.meta.url, { type: "module" });
    await new Promise<void>((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage({ address, kind, clients } satisfies Order);
    });
    return new HostileThread(worker);
  }

  /** Ends it: the clients go without a word. */
  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

const scope = globalThis as unknown as {
  onmessage?: (event: MessageEvent<Order>) => void;
  postMessage?: (message: string) => void;
};
// The same file is the thread's program; the main thread only imports it.
if (typeof WorkerGlobalScope !== "undefined") {
  scope.onmessage = async ({ data: { address, kind, clients } }) => {
    const found = HOSTILE_KINDS.find(({ name }) => name === kind);
    if (found === undefined) throw new Error(`No attack is called "${kind}"`);
    await Attack.begin(address, found, clients);
    scope.postMessage?.("begun");
  };
}

declare const WorkerGlobalScope: unknown;
