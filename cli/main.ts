/**
 * The program `virstor`. On anything but Deno it says that it needs Deno: it
 * imports the rest only then, which other runtimes could not load.
 *
 * @module
 */

/** The exit code for a service that is not available, of sysexits. */
const EXIT_UNAVAILABLE = 69;

/** What other runtimes have, too. */
interface OtherRuntime {
  readonly process?: {
    readonly stderr: { write(text: string): unknown };
    exit(code: number): never;
  };
}

/**
 * Runs one command.
 *
 * @param args The words after `virstor`.
 * @returns The exit code. Never throws.
 */
export async function main(args: readonly string[]): Promise<number> {
  const { runCommand } = await import("./program.ts");
  return await runCommand(args);
}

/** Ends a process that has no Deno. */
function refuseRuntime({ process }: OtherRuntime): void {
  process?.stderr.write(
    "virstor: Cannot start on this runtime: virstor needs Deno 2.9 or later; " +
      "use the command virstor, which finds Deno or gets it with npx\n",
  );
  process?.exit(EXIT_UNAVAILABLE);
}

if (!("Deno" in globalThis)) refuseRuntime(globalThis as OtherRuntime);
else if (import.meta.main) {
  const { runProcess } = await import("./program.ts");
  await runProcess();
}
