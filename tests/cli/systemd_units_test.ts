/**
 * The units in `contrib/systemd` are sound, closed, and start what there is.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { COMMANDS } from "../../cli/commands/command_table.ts";
import { parseCommand } from "../../cli/terminal/arguments.ts";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch, type Scratch } from "../helpers/scratch.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const UNITS = ["virstor@.service", "virstor@.socket"];
/** The highest exposure that is accepted, of 10. */
const EXPOSURE_MAX = 2;

function readUnit(name: string): Promise<string> {
  return Deno.readTextFile(`${ROOT}contrib/systemd/${name}`);
}

/** Copies the units, with the program where it is here. */
async function install(scratch: Scratch): Promise<string[]> {
  const paths: string[] = [];
  for (const name of UNITS) {
    const text = await readUnit(name);
    const path = scratch.file(name);
    const program = `${ROOT}virstor`;
    await Deno.writeTextFile(
      path,
      text.replaceAll("/opt/virstor/virstor", program),
    );
    paths.push(path);
  }
  return paths;
}

async function analyze(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command("systemd-analyze", {
    args,
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  assertEquals({ code, stderr: decoder.decode(stderr) }, {
    code: 0,
    stderr: "",
  });
  return decoder.decode(stdout);
}

peerTest(
  "systemd-analyze finds nothing wrong with the units",
  ["systemd-analyze"],
  async () => {
    await using scratch = await makeScratch();
    // The manual pages need not be installed.
    await analyze("verify", "--man=no", ...await install(scratch));
  },
);

peerTest(
  "systemd-analyze rates the exposure of the service low",
  ["systemd-analyze"],
  async () => {
    await using scratch = await makeScratch();
    const [service = ""] = await install(scratch);
    const text = await analyze("security", "--offline=true", service);
    const [, exposure] = /exposure level for \S+: ([\d.]+)/.exec(text) ?? [];
    assert(Number(exposure) <= EXPOSURE_MAX, text);
  },
);

Deno.test("the service starts a command that there is", async () => {
  const unit = (await readUnit("virstor@.service")).replaceAll("\\\n", " ");
  const [, line = ""] = /^ExecStart=(.*)$/m.exec(unit) ?? [];
  const [program, name, ...words] = line.trim().split(/\s+/);
  assertEquals(program, "/opt/virstor/virstor");
  const spec = COMMANDS.find((command) => command.name === name);
  assert(spec !== undefined);
  const invocation = parseCommand(spec, words);
  assertEquals(invocation.operands, ["%i"]);
  assertEquals(invocation.value("socket"), "/run/virstor-%i/nbd.sock");
});
