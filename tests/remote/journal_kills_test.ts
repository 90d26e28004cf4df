/**
 * A process with a remote component and its far server, which forgets, are
 * killed together: what was flushed is on the far side, and what was
 * acknowledged is there after the replay of the journal. Now and then the
 * journal is what it was before, as after a power cut: then what was flushed is
 * there.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { ofEarlierBoot } from "../helpers/other_boot.ts";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch } from "../helpers/scratch.ts";
import { Random } from "../simulation/random.ts";
import { openOwned, OWNED_END } from "./journaled.ts";
import { FarServer } from "./peers.ts";
import { BLOCK } from "./verified_load.ts";

const BLOCKS = 128;
const ROUNDS = 6;
const PROCESS = fileURLToPath(new URL("./journal_process.ts", import.meta.url));

/** The lines that a process prints until it is killed. */
async function linesOf(
  args: readonly string[],
  isEnough: (lines: number) => boolean,
  kill: () => Promise<void>,
): Promise<string[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", PROCESS, ...args],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  let text = "";
  let killing: Promise<void> | undefined;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (killing !== undefined || !isEnough(text.split("\n").length)) continue;
    // Which of the two dies first is left to chance.
    child.kill("SIGKILL");
    killing = kill();
  }
  await killing;
  await child.status;
  assert(killing !== undefined, "the process wrote until it was killed");
  // A line that was cut off was not printed.
  return text.split("\n").slice(0, -1);
}

/** The versions of all blocks, which must be whole. */
function versionsIn(image: Uint8Array): number[] {
  const words = new Uint32Array(image.slice().buffer);
  return Array.from({ length: BLOCKS }, (_, block) => {
    const start = block * BLOCK / 4;
    const version = words[start] ?? 0;
    for (let i = start; i < start + BLOCK / 4; i += 2) {
      const isWhole = words[i] === version &&
        words[i + 1] === (version === 0 ? 0 : block);
      assert(isWhole, `block ${block} is mixed, or another one`);
    }
    return version;
  });
}

/** What the lines of a process say, on top of what there was. */
function noted(
  lines: readonly string[],
  before: readonly number[],
  durable: readonly number[],
): { acknowledged: number[]; flushed: number[]; flushes: number } {
  const writes: [number, number][] = [];
  let [covered, flushes] = [0, 0];
  for (const line of lines) {
    const [what = "", number = ""] = line.split(" ");
    if (what !== "flush") writes.push([Number(what), Number(number)]);
    else {
      covered = Number(number);
      flushes += 1;
    }
  }
  const [acknowledged, flushed] = [[...before], [...durable]];
  for (const [i, [block, version]] of writes.entries()) {
    acknowledged[block] = version;
    if (i < covered) flushed[block] = version;
  }
  return { acknowledged, flushed, flushes };
}

peerTest(
  "a process that is killed with its far server leaves everything in its journal",
  ["nbdkit"],
  async () => {
    await using scratch = await makeScratch();
    const [image, journal] = [scratch.file("image"), scratch.file("journal")];
    await Deno.writeFile(image, new Uint8Array(BLOCKS * BLOCK + OWNED_END));
    await using far = await FarServer.nbdkit(scratch.file("s"), [
      ...["--filter=cache", "file", image, "cache=writeback"],
    ]);
    const random = new Random(1);
    let versions = new Array<number>(BLOCKS).fill(0);
    let floor = versions;
    let [replayed, flushes] = [0, 0];
    for (let round = 0; round < ROUNDS; round++) {
      const wanted = 50 + random.below(400);
      const isCut = round % 3 === 2;
      const before = isCut ? await Deno.readFile(journal) : undefined;
      const lines = await linesOf(
        [far.uri, journal, `${BLOCKS}`, `${round}`],
        (count) => count > wanted,
        () => far.kill(),
      );
      const found = noted(lines, versions, floor);
      flushes += found.flushes;
      const durable = versionsIn(await Deno.readFile(image));
      floor = durable;
      for (const [block, version] of durable.entries()) {
        assert(version >= (found.flushed[block] ?? 0), `block ${block}`);
        if (version < (found.acknowledged[block] ?? 0)) replayed += 1;
      }
      if (before !== undefined) {
        await Deno.writeFile(journal, ofEarlierBoot(before));
      }
      await far.start();
      const component = await openOwned(far.uri, journal);
      const content = new Uint8Array(BLOCKS * BLOCK);
      await component.read(content, 0);
      versions = versionsIn(content);
      for (const [block, version] of versions.entries()) {
        const newest = found.acknowledged[block] ?? 0;
        const least = isCut ? found.flushed[block] ?? 0 : newest;
        // A write may have been done, and its line not printed.
        assert(version >= least && version <= newest + 1, `block ${block}`);
      }
      // Half of the time the next process finds the journal as it is.
      if (round % 2 === 0) {
        await component.flush();
        assertEquals(component.status().pending, 0);
        await component.close();
        await far.kill();
        const there = await Deno.readFile(image);
        assertEquals(there.subarray(0, content.length), content);
        floor = versions;
        await far.start();
      } else await component.close();
    }
    // Otherwise the test shows nothing.
    assert(replayed > 0, "the far side had forgotten something");
    assert(flushes > 0, "something was flushed");
  },
);
