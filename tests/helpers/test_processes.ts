/**
 * Runs programs of tests, several at a time, each in a process of its own. In
 * one process their threads would wait for each other whenever one of them gets
 * memory or gives it back, which took an eighth of the processor's time.
 *
 * @module
 */

/** A program of tests. */
export interface TestProgram {
  /** What it is called in the output. */
  readonly name: string;
  /** The words after `deno test`. */
  readonly args: readonly string[];
}

/** How programs are run. */
export interface TestProcessOptions {
  /** How many at a time. */
  readonly jobs: number;
  /** Where. */
  readonly cwd: string;
  /** Their environment, in addition to that of this process. */
  readonly env: Readonly<Record<string, string>>;
  /** Where the output goes; to standard output unless given. */
  readonly show?: (text: string) => void | Promise<void>;
}

/** How many tests there were, by what became of them. */
type Counts = Record<
  "passed" | "steps" | "failed" | "ignored" | "filtered",
  number
>;

/** What became of a program. */
interface Outcome {
  readonly code: number;
  /** What it wrote. */
  readonly output: string;
}

/** The line that closes the output of a program. */
const CLOSING = /^(?:ok|FAILED) \| (\d.*) \(.*\)$/gm;
/** Where the output of a program begins to say what failed. */
const ERRORS = "\n ERRORS \n";
// deno-lint-ignore no-control-regex
const COLORS = /\x1b\[[\d;]*m/g;

/**
 * Runs all programs. What each writes is shown when it ends; in the end what
 * has failed, and how many tests there were, as `deno test` says it.
 *
 * @param programs The programs; the longest ones should be first.
 * @param options How.
 * @returns The exit code: 0 if all tests have passed.
 */
export async function runTestProcesses(
  programs: readonly TestProgram[],
  options: TestProcessOptions,
): Promise<number> {
  const { jobs, show = print } = options;
  const start = performance.now();
  const total = { passed: 0, steps: 0, failed: 0, ignored: 0 };
  const failures: string[] = [];
  const left = programs.values();
  const work = async () => {
    for (const program of left) {
      const { code, output } = await run(program, options);
      await show(`== ${program.name}\n${output}`);
      const counts = countsIn(output);
      // One that counts no tests has ended before them.
      const isSound = code === 0 && counts !== undefined &&
        Object.values(counts).some((count) => count > 0);
      if (!isSound && (counts?.failed ?? 0) === 0) total.failed++;
      for (const kind of ["passed", "steps", "failed", "ignored"] as const) {
        total[kind] += counts?.[kind] ?? 0;
      }
      if (isSound) continue;
      const plain = output.replaceAll(COLORS, "");
      const at = Math.max(0, plain.indexOf(ERRORS));
      failures.push(
        `== ${program.name}, exit code ${code}\n${plain.slice(at)}`,
      );
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  const { passed, steps, failed, ignored } = total;
  const isSound = failures.length === 0;
  const time = inMinutes(performance.now() - start);
  await show(
    `${failures.join("\n")}\n${isSound ? "ok" : "FAILED"} | ` +
      `${passed} passed (${steps} steps) | ${failed} failed | ` +
      `${ignored} ignored (${time})\n`,
  );
  return isSound ? 0 : 1;
}

async function run(
  { args }: TestProgram,
  { cwd, env }: TestProcessOptions,
): Promise<Outcome> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["test", ...args],
    cwd,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      output += decoder.decode(bytes, { stream: true });
    }
  };
  await Promise.all([collect(process.stdout), collect(process.stderr)]);
  const { code } = await process.status;
  return { code, output };
}

/** What the closing line counts; undefined if there is none. */
function countsIn(output: string): Counts | undefined {
  const lines = [...output.replaceAll(COLORS, "").matchAll(CLOSING)];
  const text = lines.at(-1)?.[1];
  if (text === undefined) return undefined;
  const count = (kind: RegExp) =>
    [...text.matchAll(kind)].reduce(
      (sum, [, number]) => sum + Number(number),
      0,
    );
  return {
    passed: count(/(\d+) passed/g),
    steps: count(/(\d+) steps?/g),
    failed: count(/(\d+) failed/g),
    ignored: count(/(\d+) ignored/g),
    filtered: count(/(\d+) filtered out/g),
  };
}

function inMinutes(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  return `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}

async function print(text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) {
    at += await Deno.stdout.write(bytes.subarray(at));
  }
}
