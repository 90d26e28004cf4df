/**
 * Two machines: a network namespace of its own for the far server, and links
 * to it that can be pulled and can lose packets.
 *
 * @module
 */

import { hasPeer, peerPath, peerTest, testUnless } from "../helpers/peers.ts";
import { FarServer } from "./peers.ts";

const PORT = 10_809;

/** Runs a program of the system; fails with what it says. */
function runSync(program: string, args: readonly string[]): void {
  const { success, stderr } = new Deno.Command(peerPath(program) ?? program, {
    args: [...args],
    stdout: "null",
    stderr: "piped",
  }).outputSync();
  if (success) return;
  const text = new TextDecoder().decode(stderr);
  throw new Error(`${program} ${args.join(" ")}: ${text}`);
}

/** Machines that were made in this process. */
let machines = 0;

/** The far machine. */
export class TwoMachines implements AsyncDisposable {
  /** A URI for each link. */
  readonly uris: readonly string[];
  readonly #name: string;
  readonly #links: readonly string[];

  /**
   * Makes the far machine.
   *
   * @param links How many links lead to it.
   */
  constructor(links: number) {
    // The links of the last one may take a moment to go.
    const id = `${Deno.pid}-${++machines}`;
    const net = (Deno.pid + 97 * machines) % 256;
    this.#name = `virstor-${id}`;
    runSync("ip", ["netns", "add", this.#name]);
    const numbers = Array.from({ length: links }, (_, i) => i);
    this.#links = numbers.map((i) => `vf${i}-${id}`);
    // Addresses for benchmarks: no other network has them.
    const address = (i: number, host: number) =>
      `198.${18 + i % 2}.${net}.${4 * i + host}`;
    this.uris = numbers.map((i) => `nbd://${address(i, 2)}:${PORT}/`);
    for (const [i, link] of this.#links.entries()) {
      const near = `vn${i}-${id}`;
      runSync("ip", [
        ...["link", "add", near, "type", "veth"],
        ...["peer", "name", link, "netns", this.#name],
      ]);
      runSync("ip", ["address", "add", `${address(i, 1)}/30`, "dev", near]);
      runSync("ip", ["link", "set", near, "up"]);
      this.#far(["address", "add", `${address(i, 2)}/30`, "dev", link]);
      this.#far(["link", "set", link, "up"]);
    }
  }

  /**
   * Starts nbdkit on the far machine.
   *
   * @param pidFile A file that it makes when it listens.
   * @param args Filters, plugin and their parameters.
   * @returns The server; its own URI leads nowhere.
   */
  serve(pidFile: string, args: readonly string[]): Promise<FarServer> {
    const nbdkit = [peerPath("nbdkit") ?? "nbdkit", "--foreground"];
    return FarServer.start("ip", [
      ...["netns", "exec", this.#name, ...nbdkit, "--exit-with-parent"],
      // With several, nbdkit 1.32 crashes when a connection is lost.
      ...["--threads", "1", "--port", `${PORT}`, "--pidfile", pidFile],
      ...args,
    ], pidFile);
  }

  /**
   * Pulls a link, or puts it back.
   *
   * @param index Which one, from 0.
   * @param state Whether it is there.
   */
  set(index: number, state: "down" | "up"): void {
    this.#far(["link", "set", this.#links[index] ?? "", state]);
  }

  /**
   * Loses packets in both directions, on all links.
   *
   * @param percent How many; 0 none.
   */
  lose(percent: number): void {
    const chains = ["input", "output"].map((hook) =>
      `chain ${hook} { type filter hook ${hook} priority 0; ` +
      `numgen random mod 100 < ${percent} drop; }`
    );
    const nft = (rules: string) =>
      runSync("ip", ["netns", "exec", this.#name, "nft", rules]);
    nft("flush ruleset");
    if (percent > 0) nft(`table inet loss {\n${chains.join("\n")}\n}`);
  }

  /** Removes the machine with its links. The server must have ended. */
  [Symbol.asyncDispose](): Promise<void> {
    runSync("ip", ["netns", "delete", this.#name]);
    return Promise.resolve();
  }

  #far(args: readonly string[]): void {
    runSync("ip", ["-n", this.#name, ...args]);
  }
}

/** What a test with two machines runs. */
const PEERS = ["ip", "nft", "nbdkit"];

/** Why there cannot be another machine here, if so. */
export function reasonAgainst(): string | undefined {
  const missing = PEERS.find((peer) => !hasPeer(peer));
  if (missing !== undefined) return `"${missing}" not installed`;
  const name = `virstor-try-${Deno.pid}`;
  try {
    runSync("ip", ["netns", "add", name]);
    runSync("ip", ["netns", "delete", name]);
    return undefined;
  } catch {
    return "no network namespace can be made; that needs root";
  }
}

/**
 * Declares a test with two machines.
 *
 * @param name The name of the test.
 * @param fn The test.
 */
export function twoMachinesTest(name: string, fn: () => Promise<void>): void {
  if (PEERS.every(hasPeer)) testUnless(name, reasonAgainst(), fn);
  else peerTest(name, PEERS, fn);
}
