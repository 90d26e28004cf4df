/**
 * The units in `contrib/systemd` are sound, closed, and start what there is.
 *
 * @module
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { COMMANDS } from "../../cli/commands/command_table.ts";
import { systemdUnits, USUAL_PATHS } from "../../cli/manuals/mod.ts";
import { parseCommand } from "../../cli/terminal/arguments.ts";
import { hasPeer, peerTest } from "../helpers/peers.ts";
import { makeScratch, type Scratch } from "../helpers/scratch.ts";
import { makeSmallPool } from "./served.ts";

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

Deno.test('the units in contrib/systemd are those that "deno task man" writes', async () => {
  for (const [name, text] of systemdUnits(USUAL_PATHS)) {
    assertEquals(await readUnit(name), text);
  }
});

Deno.test("virstor install-units writes units with the paths of this machine", async () => {
  await using work = await makeSmallPool("native", ["a", "b c"]);
  await Deno.mkdir(work.path("units"));
  const write = ["install-units", "--write", "units", "--user", "disks"];
  // The launcher of the sources is to be found in the units.
  const sources = { fromSources: true };
  const done = await work.succeed([...write, "demo"], sources);
  assertStringIncludes(done, `Wrote ${work.path("units/virstor@.service")}\n`);
  const path = work.path("units/virstor@.service");
  const unit = await Deno.readTextFile(path);
  for (
    const line of [
      "User=disks",
      `Environment=VIRSTOR_STATE_DIR=${work.stateDirectory}`,
      `ReadWritePaths=${work.directory} ${work.stateDirectory}`,
      `RequiresMountsFor=${work.directory} ${work.stateDirectory}`,
    ]
  ) assertStringIncludes(unit, `\n${line}\n`);
  assertStringIncludes(unit, `\nExecStart=${ROOT}virstor serve `);
  const printed = await work.succeed(
    ["install-units", "--user", "disks"],
    sources,
  );
  assertStringIncludes(printed, unit);
  if (hasPeer("systemd-analyze")) {
    await analyze("verify", "--man=no", path);
    const text = await analyze("security", "--offline=true", path);
    const [, exposure] = /exposure level for \S+: ([\d.]+)/.exec(text) ?? [];
    assert(Number(exposure) <= EXPOSURE_MAX, text);
  }
  // Writing the same again changes nothing; what was changed is not lost.
  await work.succeed([...write, "demo"], sources);
  await Deno.writeTextFile(path, "changed");
  const refused = await work.run([...write, "demo"], sources);
  assertEquals(refused.code, 4);
  assertEquals(await Deno.readTextFile(path), "changed");
  await work.succeed([...write, "-f", "demo"], sources);
  assertEquals(await Deno.readTextFile(path), unit);
  assertEquals((await work.run([...write, "other"], sources)).code, 3);
});

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
