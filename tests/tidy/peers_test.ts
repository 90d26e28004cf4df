/**
 * That a test without its peer is never skipped unseen: runs the test runner
 * on a file with one such test, and reads what it says.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { hasPeer, peerPath } from "../helpers/peers.ts";
import { ROOT } from "./files.ts";

interface Run {
  readonly code: number;
  readonly output: string;
}

/** Runs one test that needs `peer`, with peers required or not. */
async function runPeerTest(peer: string, required: boolean): Promise<Run> {
  const directory = await Deno.makeTempDir({ prefix: "virstor-tidy-" });
  try {
    const helper = new URL("../helpers/peers.ts", import.meta.url);
    const file = join(directory, "needy_test.ts");
    await Deno.writeTextFile(
      file,
      `import { peerTest } from "${helper}";\n` +
        `peerTest("needs a peer", ["${peer}"], () => {});\n`,
    );
    const result = await new Deno.Command(Deno.execPath(), {
      args: [
        "test",
        "-A",
        "--no-check",
        "--config",
        join(ROOT, "deno.json"),
        file,
      ],
      env: { NO_COLOR: "1", VIRSTOR_REQUIRE_PEERS: required ? "1" : "0" },
    }).output();
    const decode = (bytes: Uint8Array): string =>
      new TextDecoder().decode(bytes);
    return {
      code: result.code,
      output: decode(result.stdout) + decode(result.stderr),
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("hasPeer() finds programs that are there, and only those", () => {
  assertEquals(hasPeer("no-such-program"), false);
  assertEquals(hasPeer(""), false);
  assertMatch(peerPath("sh") ?? "", /\/sh$/);
});

Deno.test("peerTest() runs the test if the peer is installed", async () => {
  const { code, output } = await runPeerTest("sh", true);
  assertStringIncludes(output, "1 passed | 0 failed");
  assertEquals(code, 0);
});

Deno.test("peerTest() ignores the test without its peer, and says so", async () => {
  const { code, output } = await runPeerTest("no-such-program", false);
  assertStringIncludes(
    output,
    'TEST IGNORED: "needs a peer": "no-such-program" not installed',
  );
  assertStringIncludes(output, "0 passed | 0 failed | 1 ignored");
  assertEquals(code, 0);
});

Deno.test("peerTest() fails without its peer where peers are required", async () => {
  const { code, output } = await runPeerTest("no-such-program", true);
  assertStringIncludes(output, "0 passed | 1 failed");
  assertEquals(code, 1);
});
