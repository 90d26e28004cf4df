/**
 * How commands reach components on other machines, and where the journals of
 * these components lie.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { RemoteComponents } from "../../pool/mod.ts";
import { parseSize, printNotices, readVariable } from "../terminal/mod.ts";
import { absolutePath, parentPath } from "./paths.ts";
import { makeDirectory, syncDirectory } from "./registry_file.ts";

/** The smallest journal, bytes. */
const JOURNAL_SIZE_MIN = 1 << 20;

/** Where journals lie, and how large they are. */
interface Journals {
  readonly directory: string;
  readonly size: number | undefined;
}

/** The value of `--journal`; undefined if it is not given. */
let journalOption: string | undefined;

/**
 * Takes the value of `--journal` for this process.
 *
 * @param text `DIR`, `DIR,SIZE` or `,SIZE`.
 * @throws {UsageError} If the size is malformed.
 */
export function useJournals(text: string): void {
  // Also a command that needs no journal refuses what is no size.
  journalsOf(text, "/");
  journalOption = text;
}

/**
 * How to reach components on other machines.
 *
 * @param stateDirectory The state directory.
 * @param withoutJournal Whether to go on without a journal that is elsewhere.
 * @returns The option `remote` of the library.
 */
export function remoteComponents(
  stateDirectory: string,
  withoutJournal = false,
): RemoteComponents {
  let found: Journals | undefined;
  const journals = () =>
    found ??= journalsOf(
      journalOption ?? readVariable("VIRSTOR_JOURNAL") ?? "",
      stateDirectory,
    );
  return {
    connect: async (uris, options) => {
      await makePrivateDirectory(journals().directory);
      const { NbdDisk } = await import("../../nbd/client/mod.ts");
      return await NbdDisk.connect(uris, options);
    },
    get journals() {
      return journals().directory;
    },
    get journalSize() {
      return journals().size ?? 2 ** 30;
    },
    get intervalMs() {
      return ownerInterval();
    },
    withoutJournal,
    onNotice: (message) => printNotices([message]),
  };
}

/** Journals hold data: others must not read them. */
async function makePrivateDirectory(path: string): Promise<void> {
  await makeDirectory(parentPath(path));
  try {
    await Deno.mkdir(path, { mode: 0o700 });
    await syncDirectory(parentPath(path));
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

function journalsOf(text: string, stateDirectory: string): Journals {
  const comma = text.lastIndexOf(",");
  const [path, size] = comma < 0
    ? [text, ""]
    : [text.slice(0, comma), text.slice(comma + 1)];
  const bytes = size === "" ? undefined : parseSize(size, "journal size");
  if (bytes !== undefined && bytes < JOURNAL_SIZE_MIN) {
    throw new VirstorError(
      "invalid",
      `Cannot use a journal of ${size}: the minimum is 1 MiB`,
    );
  }
  const whole = bytes === undefined
    ? undefined
    : Math.ceil(bytes / JOURNAL_SIZE_MIN) * JOURNAL_SIZE_MIN;
  return {
    directory: path === "" ? `${stateDirectory}/journals` : absolutePath(path),
    size: whole,
  };
}

/** Milliseconds in which an owner rewrites its block twice. */
function ownerInterval(): number {
  const text = readVariable("VIRSTOR_OWNER_INTERVAL") ?? "12";
  const seconds = Number(text);
  if (seconds >= 0.1 && seconds <= 3600) return Math.round(seconds * 1000);
  throw new VirstorError(
    "invalid",
    `Cannot use VIRSTOR_OWNER_INTERVAL: "${text}" is not 0.1 to 3600 seconds`,
  );
}
