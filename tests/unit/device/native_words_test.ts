/**
 * Goal: 64-bit arguments of native calls are right, whatever the number, and
 * the engine comes to rest with them. Method: the words as they are in memory;
 * and a program of its own that makes each call very often, while the engine
 * tells what it takes back, with a canary that hands numbers over.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { NativeWords } from "../../../device/linux/native_words.ts";
import { makeScratch } from "../../helpers/scratch.ts";

const VALUES = [
  0,
  1,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 32 + 1,
  5 * 2 ** 32 + 7,
  2 ** 47 + 2 ** 31 + 3,
  2 ** 53 - 1,
];

for (const kind of ["unsigned", "signed"] as const) {
  Deno.test(`NativeWords.${kind}() gives the same number`, () => {
    const words = new NativeWords(1);
    for (const value of [...VALUES, ...VALUES.toReversed()]) {
      assertEquals(words[kind](0, value), BigInt(value));
    }
  });
}

Deno.test("NativeWords are side by side in memory, each on its own", () => {
  const words = new NativeWords(VALUES.length);
  assertEquals(words.bytes, new Uint8Array(8 * VALUES.length));
  for (const [i, value] of VALUES.entries()) {
    if (i % 2 === 0) words.unsigned(i, value);
    else words.signed(i, value);
  }
  const view = new DataView(words.bytes.buffer);
  for (const [i, value] of VALUES.entries()) {
    assertEquals(view.getBigUint64(8 * i, true), BigInt(value));
  }
});

/** Often enough that the engine compiles what calls, several times. */
const CALLS = 200_000;
/**
 * Each function may be taken back a few times before the engine knows it. What
 * is handed over wrongly is taken back for as long as it runs.
 */
const TAKEN_BACK_MAX = 12;
/** What the engine says of a number in place of a BigInt. */
const REASON = "not a BigInt";

/** What the programs begin with: a file, and the ends of a connection. */
const BEGIN = `
  import { NativeBuffer, NativeIo } from "DEVICE/linux/native_io.ts";
  import { NativeSockets } from "DEVICE/linux/native_sockets.ts";
  const memory = new NativeBuffer(8192);
  const { address, bytes } = memory;
  const path = Deno.args[0];
  const sockets = new NativeSockets();
  const io = new NativeIo();
  import fs from "node:fs";
  const file = fs.openSync(path, "w+");
  fs.writeSync(file, new Uint8Array(8192).fill(7));
  const libc = Deno.dlopen("libc.so.6", {
    socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
    pread: { parameters: ["i32", "usize", "usize", "i64"], result: "i32" },
  }).symbols;
  const ends = new Int32Array(2);
  libc.socketpair(1, 1, 0, ends);
  const [one, two] = ends;
  const assert = (isSo) => { if (!isSo) throw new Error("a call failed"); };
`;

/** Made again and again by a program of its own each. */
const WORK: Record<string, string> = {
  "NativeIo.read": `
    assert(io.read(file, address + (i & 63), 64, i & 4095));`,
  "NativeIo.readNoWait": `
    const count = io.readNoWait(file, address + (i & 63), 64, i & 4095);
    assert(count === 64 || count === -1);`,
  "NativeIo.write": `
    assert(io.write(file, address + (i & 63), 64, i & 4095));`,
  "NativeSockets.send and receive": `
    assert(sockets.send(one, address + (i & 63), 64));
    assert(sockets.receive(two, address + (i & 63), 64) === 64);`,
  "NativeSockets.sendNow and receiveNow": `
    assert(sockets.receiveNow(two, address, 64) === -1);
    assert(sockets.sendNow(one, bytes, i & 63, 128) === 128 - (i & 63));
    assert(sockets.receiveNow(two, address, 4096) === 128 - (i & 63));`,
  "NativeSockets.sendPartsNow": `
    const parts = [{ bytes, start: i & 63, end: 64 }, { bytes, start: 0, end: 64 }];
    assert(sockets.sendPartsNow(one, parts) === 128 - (i & 63));
    assert(sockets.receiveNow(two, address, 4096) === 128 - (i & 63));`,
  "NativeSockets.receiveSoon": `
    assert(sockets.sendNow(one, bytes, i & 63, 128) === 128 - (i & 63));
    assert(sockets.receiveSoon(two, address, 4096, 1) === 128 - (i & 63));`,
};

/** Hands numbers over, as they must not be. */
const CANARY = `
  assert(libc.pread(file, address + (i & 63), 64, i & 4095) === 64);`;

/**
 * @param work What to do.
 * @param calls How often.
 * @returns What the engine has taken back for a wrong argument.
 */
async function takenBack(work: string, calls = CALLS): Promise<string[]> {
  await using scratch = await makeScratch();
  const program = scratch.file("program.ts");
  const device = new URL("../../../device", import.meta.url).href;
  await Deno.writeTextFile(
    program,
    `${BEGIN.replaceAll("DEVICE", device)}
    function work(i) { ${work} }
    for (let i = 0; i < ${calls}; i++) work(i);
    // An address does not keep its memory: it has to be used to the end.
    console.log("done", bytes.length);`,
  );
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-lock",
      "--no-config",
      "--no-check",
      "-A",
      "--v8-flags=--trace-deopt",
      program,
      scratch.file("file"),
    ],
  }).output();
  const said = new TextDecoder().decode(stdout);
  assert(success, new TextDecoder().decode(stderr));
  assert(said.includes("done"));
  return said.split("\n").filter((line) => line.includes(REASON));
}

const ignore = Deno.build.os !== "linux";

for (const [name, work] of Object.entries(WORK)) {
  Deno.test({
    name: `the engine comes to rest with ${name}`,
    ignore,
    async fn() {
      const lines = await takenBack(work);
      assert(lines.length <= TAKEN_BACK_MAX, lines.slice(0, 20).join("\n"));
    },
  });
}

Deno.test({
  name: "the engine does not come to rest with numbers: the test would tell",
  ignore,
  async fn() {
    // On a busy machine the engine compiles late.
    const { length } = await takenBack(CANARY, 10 * CALLS);
    assert(length > TAKEN_BACK_MAX, `it was taken back ${length} times only`);
  },
});
