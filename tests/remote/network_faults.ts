/**
 * Faults of a real network under a verified load: nothing may fail, and nothing
 * may be wrong. The tests take seconds, `deno task remote` takes as long as its
 * caller wants.
 *
 * @module
 */

import { assert } from "@std/assert";
import { NbdDisk, type NbdDiskOptions } from "../../nbd/client/mod.ts";
import { PATIENCE_MS, pause } from "../helpers/patience.ts";
import { makeScratch } from "../helpers/scratch.ts";
import { TwoMachines } from "./two_machines.ts";
import { BLOCK, VerifiedLoad } from "./verified_load.ts";

const BLOCKS = 256;
/** Bytes behind those blocks that no load writes to. */
const FREE = 64 * BLOCK;

/** How long a fault lasts. */
export interface FaultOptions {
  /** Milliseconds without the link, or with losses. */
  readonly ms: number;
  /** How often. */
  readonly rounds: number;
  /** Options of the disk. */
  readonly disk?: NbdDiskOptions;
}

/** A fault, and what it came to. */
type Fault = (
  machines: TwoMachines,
  load: VerifiedLoad,
  options: FaultOptions,
  disk: NbdDisk,
) => Promise<Readonly<Record<string, number>>>;

/** Pulls the only link, and puts it back. */
async function linkDown(
  machines: TwoMachines,
  load: VerifiedLoad,
  { ms, rounds }: FaultOptions,
): Promise<Readonly<Record<string, number>>> {
  for (let i = 0; i < rounds; i++) {
    machines.set(0, "down");
    await pause(ms);
    machines.set(0, "up");
    await load.progress(100);
  }
  return {};
}

/** Loses packets for a while. */
async function packetLoss(
  machines: TwoMachines,
  load: VerifiedLoad,
  { ms, rounds }: FaultOptions,
): Promise<Readonly<Record<string, number>>> {
  for (let i = 0; i < rounds; i++) {
    machines.lose(5);
    await Promise.all([pause(ms), load.progress(20)]);
    machines.lose(0);
    await load.progress(20);
  }
  return {};
}

/** Pulls the path in use; the other one takes over. */
async function pathPulled(
  machines: TwoMachines,
  load: VerifiedLoad,
  { ms, rounds }: FaultOptions,
  disk: NbdDisk,
): Promise<Readonly<Record<string, number>>> {
  let longest = 0;
  for (let i = 0; i < rounds; i++) {
    const pulled = performance.now();
    machines.set(i % 2, "down");
    // Not the load alone: it may write again to what was in flight, and that
    // waits until the pulled path delivers nothing any more.
    await Promise.all(newRequests(disk, i));
    longest = Math.max(longest, performance.now() - pulled);
    await load.progress(100);
    await pause(ms);
    machines.set(i % 2, "up");
  }
  return { longestMs: Math.round(longest) };
}

/** Requests of each kind, to where nothing was in flight. */
function newRequests(disk: NbdDisk, round: number): Promise<void>[] {
  const offset = BLOCKS * BLOCK + (round % 64) * BLOCK;
  const bytes = new Uint8Array(BLOCK);
  return [
    disk.read(bytes, 0),
    disk.write(new Uint8Array(BLOCK).fill(round), offset),
    disk.flush(),
  ].map(async (completion) => await completion);
}

/** The faults, by name, and how many links they need. */
export const NETWORK_FAULTS: Readonly<
  Record<string, { readonly fault: Fault; readonly links: number }>
> = {
  "the link is pulled": { fault: linkDown, links: 1 },
  "packets are lost": { fault: packetLoss, links: 1 },
  "one of two paths is pulled": { fault: pathPulled, links: 2 },
};

/**
 * Loads a remote disk on another machine while the network has a fault.
 *
 * @param name The fault.
 * @param options How long.
 * @returns Counts.
 */
export async function underFault(
  name: string,
  options: FaultOptions,
): Promise<Readonly<Record<string, number>>> {
  const found = NETWORK_FAULTS[name];
  assert(found !== undefined, name);
  await using scratch = await makeScratch();
  const image = scratch.file("image");
  await Deno.writeFile(image, new Uint8Array(BLOCKS * BLOCK + FREE));
  await using machines = new TwoMachines(found.links);
  await using _far = await machines.serve(scratch.file("pid"), ["file", image]);
  await using disk = await NbdDisk.connect(machines.uris, {
    openTimeoutMs: PATIENCE_MS,
    ...options.disk,
  });
  const load = new VerifiedLoad(disk, BLOCKS, 1);
  const running = load.run();
  // It fails the test where the test waits for it.
  running.catch(() => {});
  await Promise.race([running, load.progress(100)]);
  const result = await Promise.race([
    running.then(() => ({})),
    found.fault(machines, load, options, disk),
  ]);
  load.stop();
  await running;
  await load.checkDisk();
  await disk.flush();
  load.checkDurable(await Deno.readFile(image));
  const { reconnects } = disk.status();
  return { ...result, writes: load.count, flushes: load.flushes, reconnects };
}
