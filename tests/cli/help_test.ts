/**
 * The help texts, word for word. After a change on purpose:
 * `VIRSTOR_UPDATE_GOLDEN=1 deno test -A tests/cli/help_test.ts`, and read the
 * difference.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import config from "../../deno.json" with { type: "json" };
import { parseCommand } from "../../cli/terminal/arguments.ts";
import { COMMANDS } from "../../cli/commands/command_table.ts";
import {
  EXIT_CODE_MEANINGS,
  EXIT_CODES,
} from "../../cli/terminal/exit_code.ts";
import { Workspace } from "../helpers/virstor.ts";

const GOLDEN = new URL("./testdata/help.txt", import.meta.url);

Deno.test("virstor --help of every command is as pinned", async () => {
  await using work = await Workspace.create();
  const texts = [`$ virstor --help\n${await work.succeed(["--help"])}`];
  for (const { name } of COMMANDS) {
    const text = await work.succeed([...name.split(" "), "--help"]);
    texts.push(`$ virstor ${name} --help\n${text}`);
  }
  const all = texts.join("\n");
  if (Deno.env.get("VIRSTOR_UPDATE_GOLDEN") === "1") {
    await Deno.writeTextFile(GOLDEN, all);
  }
  assertEquals(all, await Deno.readTextFile(GOLDEN));
  for (const line of all.split("\n")) {
    assertEquals(line.length <= 80, true, `The line is too long: ${line}`);
  }
});

Deno.test("virstor help COMMAND is the same as COMMAND --help", async () => {
  await using work = await Workspace.create();
  assertEquals(await work.succeed(["help"]), await work.succeed(["--help"]));
  assertEquals(
    await work.succeed(["help", "serve"]),
    await work.succeed(["serve", "--help"]),
  );
  assertEquals(
    await work.succeed(["help", "volume", "list"]),
    await work.succeed(["volume", "list", "--help"]),
  );
  assertEquals(
    await work.succeed(["help", "volume"]),
    await work.succeed(["volume", "--help"]),
  );
  const { code, stderr } = await work.run(["help", "serf"]);
  assertEquals(code, 64);
  assertStringIncludes(stderr, 'virstor: Unknown command "serf"');
});

Deno.test("virstor -h is the same as --help", async () => {
  await using work = await Workspace.create();
  assertEquals(await work.succeed(["-h"]), await work.succeed(["--help"]));
  for (const name of ["status", "label", "volume", "volume list"]) {
    assertEquals(
      await work.succeed([...name.split(" "), "-h"]),
      await work.succeed([...name.split(" "), "--help"]),
    );
  }
});

Deno.test("every command understands -h", () => {
  for (const spec of COMMANDS) {
    assertEquals(parseCommand(spec, ["-h"]).flag("help"), true, spec.name);
    // Two commands have gvirstor's -h, beside other words.
    const isOwn = spec.options.some(({ short }) => short === "h");
    const { flag } = parseCommand(spec, ["-h", "demo", "a"]);
    assertEquals(flag("help"), !isOwn, spec.name);
    assertEquals(flag("hardcode"), isOwn, spec.name);
  }
});

Deno.test("virstor --help needs no state directory", async () => {
  await using work = await Workspace.create();
  const env = { HOME: "", VIRSTOR_STATE_DIR: "" };
  await work.succeed(["help"], { env });
  await work.succeed(["status", "--help"], { env });
  const { code, stderr } = await work.run(["status"], { env });
  assertEquals(code, 9);
  assertEquals(
    stderr,
    "virstor: Cannot find the state directory: HOME is not set; " +
      "give it with --state-dir or VIRSTOR_STATE_DIR\n",
  );
});

Deno.test("virstor --version prints the version of deno.json", async () => {
  await using work = await Workspace.create();
  const text = await work.succeed(["--version"]);
  const [first, runtime, native] = text.split("\n");
  assertEquals(first, `virstor ${config.version}`);
  assertMatch(runtime ?? "", new RegExp(`^Deno ${Deno.version.deno} with V8 `));
  if (Deno.build.os === "linux") {
    assertMatch(native ?? "", /^Native calls: holes, .*threads for clients/);
  }
  assertEquals(await work.succeed(["version"]), text);
  const report = JSON.parse(await work.succeed(["version", "--json"]));
  assertEquals(report.virstor, config.version);
  assertEquals(report.nativeCalls.files, Deno.build.os === "linux");
});

Deno.test("virstor version tells that there are no native calls", async () => {
  const main = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-env", main, "version"],
  }).output();
  const [, , native] = new TextDecoder().decode(stdout).split("\n");
  assertEquals(
    native,
    "Not available: holes, locks and block devices, threads for clients, " +
      "return of memory, libblkid",
  );
});

Deno.test("EXIT_CODE_MEANINGS explains every exit code once", () => {
  const explained = EXIT_CODE_MEANINGS.map(([code]) => code);
  assertEquals(new Set(explained).size, explained.length);
  for (const code of Object.values(EXIT_CODES)) {
    assertEquals(explained.includes(code), true, `Nothing explains ${code}`);
  }
});
