/**
 * What is said of a far side that leaves requests without an answer.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { FarNews } from "../../../pool/remote/far_news.ts";
import { SILENT_MS, WatchedFar } from "../../../pool/remote/watched_far.ts";

/** A far side that answers nothing until it is closed, or released. */
function silentFar() {
  const answer = Promise.withResolvers<void>();
  answer.promise.catch(() => {});
  const request = () => answer.promise;
  const far = {
    size: 512,
    read: request,
    write: request,
    writeZeroes: request,
    flush: request,
    close: () => {
      answer.reject(new Error("closed"));
      return undefined;
    },
  };
  return { far, answer };
}

/** Reads until the far side counts as silent, then ends the silence. */
async function heard(end: "answer" | "close"): Promise<boolean[]> {
  const { now } = performance;
  const { setTimeout } = globalThis;
  let look = () => {};
  Object.assign(globalThis, { setTimeout: (call: () => void) => look = call });
  try {
    const news: boolean[] = [];
    const { far, answer } = silentFar();
    const watched = new WatchedFar(
      far,
      () => undefined,
      (isSilent) => news.push(isSilent),
    );
    const reading = Promise.resolve(watched.read(new Uint8Array(1), 0));
    performance.now = () => now.call(performance) + SILENT_MS;
    look();
    if (end === "answer") answer.resolve();
    else watched.close();
    await reading.catch(() => {});
    return news;
  } finally {
    performance.now = now;
    Object.assign(globalThis, { setTimeout });
  }
}

Deno.test("a far side that answers after a silence is said to answer again", async () => {
  assertEquals(await heard("answer"), [true, false]);
});

Deno.test("a far side that is closed in a silence is not said to answer again", async () => {
  assertEquals(await heard("close"), [true]);
});

Deno.test("events say that a far side is silent, and answers; of a lost connection they do not", () => {
  const states: string[] = [];
  const news = new FarNews({
    path: "nbd://far/",
    onEvent: ({ state, path, uri }) => {
      assertEquals([path, uri], ["nbd://far/", "nbd://far/"]);
      states.push(state);
    },
    onNotice: undefined,
  });
  for (const isSilent of [true, true, false, false]) news.silent(isSilent);
  assertEquals(states.splice(0), ["stalled", "answers"]);
  news.silent(true);
  news.heard({ kind: "lost", message: "it is lost" });
  for (const isSilent of [false, true]) news.silent(isSilent);
  news.heard({ kind: "retry", message: "not yet" });
  news.heard({ kind: "connected", message: "it is there" });
  news.silent(false);
  assertEquals(states, ["stalled", "lost", "connected"]);
});
