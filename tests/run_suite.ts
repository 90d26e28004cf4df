/**
 * Runs the tests as `deno task test` does: `virstor` is bundled first, as for
 * its package of npm, and starts from the bundle in most tests; and hosts
 * (`helpers/command_host.ts`) are kept for the commands that tests run often.
 * Both save the start of the runtime. With VIRSTOR_TEST_PROCESSES=1 each
 * command has a process of its own, from the sources.
 *
 * The words are options of `deno test` (`--name=value`), after the files that
 * are to be tested, if not all are.
 *
 * @module
 */

import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { HOSTS_VARIABLE } from "./helpers/hosted_command.ts";
import { eventually } from "./helpers/patience.ts";
import { BUNDLE_VARIABLE, PERMISSIONS } from "./helpers/program_words.ts";
import { runTestProcesses } from "./helpers/test_processes.ts";

/** Programs of tests that run at the same time. */
const JOBS = 4;
/** What has examples that are run. */
const DOCUMENTED = [
  ...["README.md", "docs/", "mod.ts", "errors.ts", "device/", "metadata/"],
  ...["pool/", "nbd/", "cli/"],
];
/**
 * How many files of a folder are one program: each program compiles anew what
 * it tests. The folders with the longest tests come first.
 */
const TOGETHER: readonly (readonly [folder: string, files: number])[] = [
  ...[["sigkill", 1], ["remote", 2], ["attacks", 1], ["simulation", 1]],
  ...[["stress", 1], ["fuzz", 1], ["interop", 3], ["cli", 6]],
  ...[["unit/pool", 12], ["unit/nbd", 12], ["unit/device", 18]],
  ...[["unit/metadata", 15], ["unit/cli", 3], ["conformance", 2]],
  ...[["tidy", 12], ["std", 3], ["bench", 1]],
] as const;

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const HOST = fileURLToPath(
  new URL("helpers/command_host.ts", import.meta.url),
);

/** Makes the bundle of the sources as they are now. */
async function bundle(directory: string): Promise<void> {
  const tool = join(ROOT, "tools/bundle.ts");
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", tool, directory],
    stdin: "null",
  }).spawn().status;
  if (!success) throw new Error("Cannot bundle virstor");
}

/** Keeps one host running, until the process that is returned last ends. */
class Host {
  readonly #path: string;
  #process: Deno.ChildProcess | undefined;
  #isEnding = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** Starts it; starts it anew when it has ended. */
  async start(): Promise<void> {
    const socket = `${this.#path}.socket`;
    await Deno.remove(socket).catch(() => {});
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", ...PERMISSIONS, HOST, socket],
      env: { NO_COLOR: "1", VIRSTOR_STATE_DIR: "" },
      stdin: "piped",
    }).spawn();
    this.#process = process;
    await eventually(`${socket} is there`, () => listens(socket), 10);
    void process.status.then(() => this.#isEnding ? undefined : this.start());
    await Deno.writeTextFile(`${this.#path}.taken`, `${process.pid}`);
    await Deno.rename(`${this.#path}.taken`, `${this.#path}.free`);
  }

  /** Ends it. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#process?.stdin.close();
    await this.#process?.status;
  }
}

async function listens(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch {
    return false;
  }
}

/** Writes the programs that import all files of tests. */
async function writePrograms(directory: string): Promise<string[]> {
  const written: string[] = [];
  let left = filesIn(join(ROOT, "tests"));
  for (const [folder, count] of TOGETHER) {
    const start = join(ROOT, "tests", folder) + "/";
    const files = left.filter((file) => file.startsWith(start)).sort();
    left = left.filter((file) => !files.includes(file));
    for (let i = 0; i < files.length; i += count) {
      const name = `${folder.replace("/", "_")}_${i / count + 1}_test.ts`;
      const imports = files.slice(i, i + count).map((file) =>
        `import ${JSON.stringify(pathToFileURL(file).href)};\n`
      );
      written.push(join(directory, name));
      await Deno.writeTextFile(join(directory, name), imports.join(""));
    }
  }
  return [...written, ...left];
}

/** The files of tests in a folder and below. */
function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = join(folder, name);
    if (isDirectory) return filesIn(path);
    return name.endsWith("_test.ts") ? [path] : [];
  });
}

/** Tests everything: the examples, then program by program. */
async function testAll(
  directory: string,
  env: Record<string, string>,
): Promise<number> {
  const rest = ["-A", "--no-check", ...Deno.args];
  const programs = (await writePrograms(directory)).map((path) => ({
    name: basename(path),
    args: [path, ...rest],
  }));
  const examples = ["--doc", ...DOCUMENTED, ...rest];
  return await runTestProcesses(
    [{ name: "examples", args: examples }, ...programs],
    { jobs: JOBS, cwd: ROOT, env },
  );
}

/** Tests the files that are given. */
async function testFiles(env: Record<string, string>): Promise<number> {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--parallel", "--no-check", ...Deno.args],
    env: { DENO_JOBS: `${JOBS}`, ...env },
  }).spawn().status;
  return code;
}

async function test(
  directory: string,
  env: Record<string, string>,
): Promise<number> {
  const isAll = Deno.args.every((word) => word.startsWith("-"));
  return isAll ? await testAll(directory, env) : await testFiles(env);
}

async function testWithHosts(directory: string): Promise<number> {
  const program = join(directory, "bundle");
  const hosts = join(directory, "hosts");
  await Deno.mkdir(hosts);
  const running = Array.from(
    { length: JOBS },
    (_, index) => new Host(join(hosts, `${index}`)),
  );
  await bundle(program);
  for (const host of running) await host.start();
  try {
    const places = { [BUNDLE_VARIABLE]: program, [HOSTS_VARIABLE]: hosts };
    return await test(directory, places);
  } finally {
    for (const host of running) await host.end();
  }
}

const isPlain = Deno.env.get("VIRSTOR_TEST_PROCESSES") === "1";
const directory = await Deno.makeTempDir({ prefix: "virstor-suite-" });
let code = 1;
try {
  code = await (isPlain ? test(directory, {}) : testWithHosts(directory));
} finally {
  await Deno.remove(directory, { recursive: true });
}
Deno.exit(code);
