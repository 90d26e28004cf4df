/**
 * Completion in real shells: what they insert when a key is pressed.
 *
 * @module
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { exists } from "@std/fs";
import { COMMANDS } from "../../cli/commands/command_table.ts";
import { hasPeer, peerTest, testUnless } from "../helpers/peers.ts";
import { Workspace } from "../helpers/virstor.ts";

/** The second words of the commands for volumes. */
const VOLUME_WORDS = COMMANDS.map(({ name }) => name)
  .filter((name) => name.startsWith("volume "))
  .map((name) => name.replace("volume ", ""));
/** Inserts all candidates. */
const ALL = "\x1b*";
/** Names that a shell must not evaluate, and must quote. */
const ODD_NAMES = ["$(touch pwned)", "two words", "it's", "*", "~", "a;b#&!c"];
/** A name that a command would take for an option. */
const DASHED = "-dash";
/** A file whose name has a newline. */
const NEWLINE = "new\nline";

/** Two pools, and some odd ones in the registry. */
async function makePools(): Promise<Workspace> {
  const work = await Workspace.create();
  for (const name of ["demo", "data"]) {
    await work.succeed(["label", "-s", "1G", "--create", "2M", name, name]);
  }
  await work.succeed(["volume", "create", "-s", "1M", "data/vol"]);
  await work.succeed(["snapshot", "data/vol@mon"]);
  await work.succeed(["snapshot", "demo@tue"]);
  for (const name of ["extra file", "co:lon", NEWLINE, "$(touch pwned)"]) {
    await work.makeFile(name, 0);
  }
  for (const [index, name] of [...ODD_NAMES, DASHED].entries()) {
    const volumes = [`${name}/v`, `${name}@s`];
    const entry = { name, id: `${index}`, components: [], volumes };
    await Deno.writeTextFile(
      work.path(`state/pools/odd${index}.json`),
      JSON.stringify(entry, null, 2) + "\n",
    );
  }
  return work;
}

/** Types lines into a shell on a terminal. */
async function typeInto(
  work: Workspace,
  shell: string,
  lines: readonly string[],
): Promise<string[][]> {
  const process = new Deno.Command("script", {
    args: ["-qec", shell, "/dev/null"],
    cwd: work.directory,
    env: {
      ZDOTDIR: work.directory,
      VIRSTOR_STATE_DIR: work.stateDirectory,
      HOME: work.directory,
      TERM: "dumb",
      INPUTRC: "/dev/null",
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const input = process.stdin.getWriter();
  const text = lines.map((line) => `virstor ${line}\r`).join("") + "exit\r";
  await input.write(new TextEncoder().encode(text));
  const shown = await new Response(process.stdout).text();
  await process.status;
  await input.close().catch(() => {});
  const written = await Deno.readTextFile(work.path("out")).catch(() => "");
  const calls = written.split("\n").slice(0, -1);
  // The shell has evaluated no name.
  assertEquals(await exists(work.path("pwned")), false);
  assertEquals(calls.length, lines.length, shown);
  return calls.map((call) => call.split("\t").slice(0, -1));
}

/** The function that the lines call: it notes its arguments. */
const NOTE = `virstor() {
  printf '%s\\t' "\${@//$'\\n'/\\\\n}" >>"$HOME/out"; echo >>"$HOME/out"; }\n`;

async function typeIntoBash(
  work: Workspace,
  lines: readonly string[],
): Promise<string[][]> {
  const script = await work.succeed(["completion", "bash"]);
  const rc = `${script}${NOTE}bind 'set enable-bracketed-paste off'\n`;
  await Deno.writeTextFile(work.path("bashrc"), rc);
  return await typeInto(work, "bash --noprofile --rcfile bashrc -i", lines);
}

async function typeIntoZsh(
  work: Workspace,
  lines: readonly string[],
): Promise<string[][]> {
  const script = await work.succeed(["completion", "zsh"]);
  const rc = `autoload -Uz compinit; compinit -u -D
${script}${NOTE}unset zle_bracketed_paste
zle -C all-matches complete-word _generic
bindkey '\\e*' all-matches
zstyle ':completion:all-matches::::' completer _all_matches _complete
zstyle ':completion:all-matches:*' insert true
`;
  await Deno.writeTextFile(work.path(".zshrc"), rc);
  return await typeInto(work, "zsh -i", lines);
}

/** Keys, and the arguments that the command gets then, sorted. */
type Case = readonly [keys: string, ...args: string[]];

const SNAPSHOTS_REMOVED = [
  ...["snapshot", "remove", "data/vol@mon", "demo@tue"],
] as const;

/** What every shell does. */
const CASES: readonly Case[] = [
  [ALL, ...new Set(COMMANDS.map(({ name }) => name.split(" ")[0] ?? ""))],
  ["stat\t", "status"],
  [`volume ${ALL}`, "volume", ...VOLUME_WORDS],
  [`volume remove --d\tda\t`, "volume", "remove", "--dry-run", "data/vol"],
  [`volume rename da\tnew`, "volume", "rename", "data/vol", "new"],
  [`volume create -s 1M da\tnew`, "volume", "create", "-s", "1M", "data/new"],
  [`volume set data/\tquota=1G`, "volume", "set", "data/vol", "quota=1G"],
  [`snapshot dem\twed`, "snapshot", "demo@wed"],
  [`snapshot data/\twed`, "snapshot", "data/vol@wed"],
  [`snapshot list data/\t`, "snapshot", "list", "data/vol"],
  [`rollback demo@t\t`, "rollback", "demo@tue"],
  [`diff data\tdata/v\t`, "diff", "data/vol@mon", "data/vol@mon"],
  [`resize data/\t2G`, "resize", "data/vol", "2G"],
  [`serve --exit\tde\t`, "serve", "--exit-on-last-client", "demo"],
  [`label --format ${ALL}`, "label", "--format", "freebsd", "native"],
  ["serve --log-level=w\t", "serve", "--log-level=warning"],
  ["serve --tls r\t de\t", "serve", "--tls", "required", "demo"],
  ["--state-dir state comp\tb\t", "--state-dir", "state", "completion", "bash"],
  [`status ${ALL}`, "status", "demo", "data", ...ODD_NAMES],
  ["stop tw\t", "stop", "two words"],
  ["stop \\*\t", "stop", "*"],
  ["stop a\\;\t", "stop", "a;b#&!c"],
  // An option only behind the end of options.
  ["stop -- -d\t", "stop", "--", DASHED],
  ["add demo new\t", "add", "demo", "new\\nline"],
  ["copy two\\ words@\tex\t", "copy", "two words@s", "extra file"],
  // The first operand is a pool, the others are files.
  [`add -f de\tex\t`, "add", "-f", "demo", "extra file"],
  [`label -s 10G new da\t`, "label", "-s", "10G", "new", "data"],
  ["clone dem\tda\tcopy", "clone", "demo@tue", "data/copy"],
  ["copy demo@t\tex\t", "copy", "demo@tue", "extra file"],
  [`snapshot remove da\tdem\t`, ...SNAPSHOTS_REMOVED],
  [`snapshot remove tw\t`, "snapshot", "remove", "two words@s"],
  [`--state-dir=none status ${ALL}`, "--state-dir=none", "status"],
];

function assertCases(calls: readonly string[][], cases: readonly Case[]) {
  assertEquals(
    calls.map((args, i) => [cases[i]?.[0], ...args.toSorted()]),
    cases.map(([keys, ...args]) => [keys, ...args.toSorted()]),
  );
}

peerTest("virstor completion bash completes in bash", [
  "bash",
  "script",
], async () => {
  await using work = await makePools();
  const cases: Case[] = [
    ...CASES,
    [`stop "tw\t`, "stop", "two words"],
    [`status d${ALL} -v`, "status", "demo", "data", "-v"],
    [`dump co:\t`, "dump", "co:lon"],
    ["snapshot -- dem\tmon", "snapshot", "--", "demo@mon"],
  ];
  const calls = await typeIntoBash(work, cases.map(([keys]) => keys));
  assertCases(calls, cases);
});

/** Why the tests of a shell do not run, if they do not. */
function lacking(...programs: string[]): string | undefined {
  const missing = programs.find((program) => !hasPeer(program));
  return missing === undefined ? undefined : `"${missing}" not installed`;
}

testUnless(
  "virstor completion zsh completes in zsh",
  lacking("zsh", "script"),
  async () => {
    await using work = await makePools();
    const calls = await typeIntoZsh(work, CASES.map(([keys]) => keys));
    assertCases(calls, CASES);
  },
);

testUnless(
  "virstor completion fish completes in fish",
  lacking("fish"),
  async () => {
    await using work = await makePools();
    const script = await work.succeed(["completion", "fish"]);
    await Deno.writeTextFile(work.path("virstor.fish"), script);
    const cases: Case[] = [
      ["stat", "status"],
      ["volume ", ...VOLUME_WORDS],
      ["volume remove da", "data/vol"],
      ["volume create -s 1M da", "data/"],
      ["snapshot da", "data/vol@", "data@"],
      ["snapshot list da", "data", "data/vol"],
      ["rollback dem", "demo@tue"],
      ["serve --exit", "--exit-on-last-client"],
      ["label --format ", "freebsd", "native"],
      ["serve --tls r", "required"],
      ["--state-dir state completion ba", "bash"],
      ["status ", "demo", "data", ...ODD_NAMES],
      ["status -- -d", DASHED],
      ["add -f de", "demo"],
      ["add -f demo ex", "extra file"],
      ["clone demo@tue da", "data/"],
      ["snapshot remove data/vol@mon de", "demo@tue"],
    ];
    for (const [line, ...expected] of cases) {
      const { stdout } = await new Deno.Command("fish", {
        args: [
          ...["--no-config", "-c"],
          `source virstor.fish; complete -C 'virstor ${line}'`,
        ],
        cwd: work.directory,
        env: {
          VIRSTOR_STATE_DIR: work.stateDirectory,
          HOME: work.directory,
        },
      }).output();
      const words = new TextDecoder().decode(stdout).split("\n").slice(0, -1)
        .map((each) => each.replace(/\t.*/, ""));
      assertEquals([line, ...words.toSorted()], [line, ...expected.toSorted()]);
    }
  },
);

Deno.test("virstor completion refuses other shells", async () => {
  await using work = await Workspace.create();
  const { code, stderr } = await work.run(["completion", "csh"]);
  assertEquals(code, 64);
  assertStringIncludes(stderr, 'There is no completion for "csh"');
});
