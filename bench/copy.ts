/**
 * `virstor copy` beside nbdcopy and `qemu-img convert`: a local file to a local
 * export of nbdkit, and back: `bench/copy.ts [MEBIBYTES] [ROUNDS]`. All make
 * what they copy durable.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { peerPath } from "../tests/helpers/peers.ts";
import { FarServer } from "../tests/remote/peers.ts";
import { run } from "./processes.ts";

const MIB = 1024 * 1024;
const [mebibytes = "1024", rounds = "5"] = Deno.args;
const size = Number(mebibytes) * MIB;
const LAUNCHER = fileURLToPath(new URL("../virstor", import.meta.url));

/** The programs: each from a place to another one. */
const PROGRAMS: Readonly<
  Record<string, (from: string, to: string) => string[]>
> = {
  virstor: (from, to) => [LAUNCHER, "copy", "-f", from, to],
  nbdcopy: (from, to) => ["nbdcopy", "--flush", from, to],
  "qemu-img": (from, to) => [
    ...["qemu-img", "convert", "-n", "-W", "-f", "raw", "-O", "raw"],
    // Without a cache mode it ignores flushes.
    ...["-t", "writeback", from, to],
  ],
};

async function seconds(command: readonly string[]): Promise<number> {
  const [program = "", ...args] = command;
  await run("sync", []);
  const begin = performance.now();
  await run(program, args);
  return (performance.now() - begin) / 1000;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

const directory = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "copy-" });
try {
  const [source, image, target] = ["source", "image", "target"].map((name) =>
    `${directory}/${name}`
  );
  const file = await Deno.open(source ?? "", { create: true, write: true });
  const piece = new Uint8Array(MIB);
  for (let at = 0; at < size; at += MIB) {
    for (let i = 0; i < MIB; i += 65_536) {
      crypto.getRandomValues(piece.subarray(i, i + 65_536));
    }
    await file.write(piece);
  }
  file.close();
  for (const path of [image, target]) {
    await Deno.writeFile(path ?? "", new Uint8Array());
    await Deno.truncate(path ?? "", size);
  }
  await using far = await FarServer.nbdkit(`${directory}/s`, [
    "file",
    image ?? "",
  ]);
  const ways = [["in", source, far.uri], ["out", far.uri, target]] as const;
  const names = Object.keys(PROGRAMS).filter((name) =>
    name === "virstor" || peerPath(name) !== undefined
  );
  for (const [way, from = "", to = ""] of ways) {
    const times = new Map<string, number[]>();
    for (let round = 0; round < Number(rounds); round++) {
      for (let i = 0; i < names.length; i++) {
        // Each round begins with another program.
        const name = names[(i + round) % names.length] ?? "";
        const command = PROGRAMS[name]?.(from, to) ?? [];
        times.set(name, [...times.get(name) ?? [], await seconds(command)]);
      }
    }
    const own = median(times.get("virstor") ?? []);
    for (const [name, all] of times) {
      const rate = Number(mebibytes) / median(all);
      const ratio = median(all) / own;
      // deno-lint-ignore no-console
      console.log(
        `copy ${way}: ${name} ${rate.toFixed(0)} MiB/s, virstor is ${
          ratio.toFixed(2)
        }x`,
      );
    }
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}
