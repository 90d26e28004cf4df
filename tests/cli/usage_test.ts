/**
 * Wrong command lines: `virstor` prints one clear line and a hint, exits with
 * code 64, and does nothing.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { COMMANDS } from "../../cli/commands/command_table.ts";
import { Workspace } from "../helpers/virstor.ts";

/** What is typed, and what is answered. */
const CASES: readonly (readonly [string[], string])[] = [
  [[], 'No command is given\nTry "virstor --help"'],
  [["frob"], 'Unknown command "frob"\nTry "virstor --help"'],
  [
    ["sttaus", "demo"],
    'Unknown command "sttaus"\nDid you mean "status"? Try "virstor --help"',
  ],
  [
    ["volume", "remve"],
    'Unknown command "volume remve"\nDid you mean "volume remove"? There are ' +
    '"volume create", "volume list", "volume remove", "volume rename", ' +
    '"volume set", "volume flatten"',
  ],
  [["--frob"], 'Unknown option "--frob"\nTry "virstor --help"'],
  [
    ["stop", "-fx", "demo"],
    'Unknown option "-x"\nTry "virstor stop --help"',
  ],
  [
    ["status", "--jsn"],
    'Unknown option "--jsn"\nDid you mean "--json"? Try "virstor status --help"',
  ],
  [["label"], 'Command "label" needs NAME\n'],
  [["label", "demo"], 'Command "label" needs PATH\n'],
  [["stop"], 'Command "stop" needs NAME\nUsage: virstor stop [-fv] NAME...'],
  [
    ["check", "demo", "other"],
    'Command "check" takes no argument "other"\n' +
    "Usage: virstor check [--json] NAME",
  ],
  [
    ["label", "demo", "a", "-s"],
    'Option --virsize needs a value: VIRSIZE\nTry "virstor label --help"',
  ],
  [
    ["label", "--create=", "demo", "a"],
    'Option --create needs a value: SIZE\nTry "virstor label --help"',
  ],
  [
    ["label", "-s", "1G", "--virsize", "2G", "demo", "a"],
    'Option --virsize is given twice\nTry "virstor label --help"',
  ],
  [
    ["label", "-s", "much", "demo", "a"],
    'Cannot read virtual size "much": a size is a number with an optional ' +
    "suffix K, M, G, T or P\nFor instance 512M, 1.5G or 2TiB",
  ],
  [
    ["label", "-m", "1.3", "demo", "a"],
    'Cannot use chunk size "1.3": it is not a whole number of bytes\n',
  ],
  [
    ["label", "--format", "zfs", "demo", "a"],
    'Unknown format "zfs"\nFormats are native and freebsd',
  ],
  [
    ["remove", "demo", "a", "--wait", "--detach"],
    "Options --wait and --detach exclude one another\n",
  ],
  [
    ["remove", "demo", "a", "--cancel", "--dry-run"],
    "Options --dry-run and --cancel exclude one another\n",
  ],
  [
    ["remove", "demo", "a", "--cancel", "--rate", "1M"],
    "Options --cancel and --rate exclude one another\n",
  ],
  [
    ["remove", "demo", "a", "--rate", "fast"],
    'Cannot read rate "fast": a size is a number with an optional suffix ' +
    "K, M, G, T or P\n",
  ],
  [["remove", "demo"], 'Command "remove" needs PATH\n'],
  [
    ["resize", "demo"],
    'Command "resize" needs SIZE\nUsage: virstor resize [-f] POOL[/VOLUME] [+|-]SIZE',
  ],
  [["repair"], 'Command "repair" needs NAME\n'],
  [
    ["serve", "demo", "--on-full", "panic"],
    'Option --on-full has no value "panic"\nValues are delay and error',
  ],
  [
    ["serve", "demo", "--full-timeout", "soon"],
    'Option --full-timeout needs a number, not "soon"\n',
  ],
  [
    ["serve", "demo", "--chunk-watermark", "1.5"],
    'Option --chunk-watermark needs a number, not "1.5"\n',
  ],
  [
    ["serve", "demo", "--listen", "everywhere"],
    'Cannot listen on "everywhere": it is no HOST:PORT\n',
  ],
  [
    ["serve", "demo", "--listen", "localhost:99999"],
    'Cannot listen on "localhost:99999": port 99999 is out of range\n' +
    "A port is 0 to 65535; 0 stands for any free one\n",
  ],
  [
    ["serve", "demo", "--listen", "[::1]:123456789012345678901"],
    'Cannot listen on "[::1]:123456789012345678901": port ' +
    "123456789012345678901 is out of range\n",
  ],
  [
    ["serve", "demo", "--listen", "65536"],
    'Cannot listen on "65536": port 65536 is out of range\n',
  ],
  [
    ["demo", "--listen", "localhost:65536"],
    'Cannot listen on "localhost:65536": port 65536 is out of range\n',
  ],
  [["label", "-h", "demo"], 'Command "label" needs PATH\n'],
  [
    ["serve", "demo", "--socket-mode", "999"],
    'Option --socket-mode needs an octal number, not "999"\n',
  ],
  [
    ["serve", "demo", "--allow", "10.0.0.0/33"],
    'Option --allow needs a network, not "10.0.0.0/33"\n',
  ],
  [
    ["serve", "demo", "--socket-owner", ":"],
    'Option --socket-owner needs USER, USER:GROUP or :GROUP, not ":"\n' +
    "Names or numbers\n",
  ],
  [
    ["serve", "demo", "--socket-owner", "root:no-such-group"],
    'Option --socket-owner names an unknown group "no-such-group"\n' +
    "It is not in /etc/group; numbers need not be there\n",
  ],
  [
    ["serve", "demo", "--max-clients", "0"],
    "Option --max-clients takes 1 or more, not 0\n",
  ],
  [
    ["serve", "demo", "--threads", "65"],
    "Option --threads takes 0 to 64, not 65\n",
  ],
  [
    ["serve", "demo", "--grace", "soon"],
    'Option --grace needs a number, not "soon"\n',
  ],
  [
    ["serve", "demo", "--log-level", "loud"],
    'Option --log-level has no value "loud"\n' +
    "Values are error, warning, info and debug\n",
  ],
  [
    ["serve", "demo", "--log-format", "xml"],
    'Option --log-format has no value "xml"\nValues are text and json\n',
  ],
  [
    ["serve", "demo", "demo"],
    'Pool "demo" is named twice\n',
  ],
];

for (const [args, expected] of CASES) {
  Deno.test(`virstor refuses the usage "${args.join(" ")}"`, async () => {
    await using work = await Workspace.create();
    const { code, stdout, stderr } = await work.run(args);
    assertEquals(stderr.slice(0, expected.length + 9), `virstor: ${expected}`);
    assertEquals(code, 64);
    assertEquals(stdout, "");
    assertEquals(stderr.trimEnd().split("\n").length <= 3, true, stderr);
    assertEquals(Array.from(Deno.readDirSync(work.directory)), []);
  });
}

Deno.test("every command refuses an unknown option", async () => {
  await using work = await Workspace.create();
  for (const { name } of COMMANDS) {
    const { code, stderr } = await work.run([
      ...name.split(" "),
      "--no-such-option",
    ]);
    assertEquals({ code, stderr }, {
      code: 64,
      stderr: `virstor: Unknown option "--no-such-option"\n` +
        `Try "virstor ${name} --help"\n`,
    });
  }
});

Deno.test("a command that finds no pool names the one that may be meant", async () => {
  await using work = await Workspace.create();
  await work.succeed(["label", "-s", "1G", "--create", "2M", "prod", "a"]);
  const asked = async (...args: string[]) => (await work.run(args)).stderr;
  for (const args of [["status", "prodd"], ["resize", "rpod/data", "2G"]]) {
    assertMatch(await asked(...args), /; did you mean "prod"\?\n$/);
  }
  assertEquals((await asked("status", "other")).includes("mean"), false);
});
