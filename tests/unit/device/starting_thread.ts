/**
 * Starts one child after another, until it is ended. The system copies the
 * descriptors of the whole process for each of them.
 *
 * @module
 */

declare const self: { postMessage(message: string): void };

async function startMany(): Promise<never> {
  for (;;) {
    await Promise.all(
      [0, 1, 2, 3].map(() => new Deno.Command("true").output()),
    );
    self.postMessage("started");
  }
}

void startMany();
