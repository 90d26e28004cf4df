/**
 * Everything that is refused: one line that says what was being done, what was
 * found and what to do, the right exit code, and no change to any file.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import {
  patchLabel,
  readAt,
  readSector,
  writeEntry,
} from "../helpers/freebsd_raw.ts";
import { Workspace } from "../helpers/virstor.ts";

const MIB = 1024 ** 2;
/** What is compared of each end of a file: labels and maps, bytes. */
const END_SIZE = 64 * 1024;

/** What is refused. */
interface Refusal {
  /** In words: "virstor refuses ...". */
  readonly what: string;
  /** Prepares more than the pool "demo" of the files a and b. */
  prepare?(work: Workspace): unknown;
  /** What is typed. */
  readonly args: readonly string[];
  /** The exit code. */
  readonly code: number;
  /** The message, with `~` for the workspace, and I and J for random ids. */
  readonly message: string;
}

const REFUSALS: readonly Refusal[] = [
  {
    what: "to label a name of 16 characters",
    args: ["label", "--create", "64M", "abcdefghijklmnop", "new"],
    code: 9,
    message: 'Cannot name a pool "abcdefghijklmnop": a name has 1 to 15 ' +
      "letters, digits and . _ - : + @",
  },
  {
    what: "to label an empty name",
    args: ["label", "--create", "64M", "", "new"],
    code: 9,
    message: 'Cannot name a pool "": a name has 1 to 15 letters, digits ' +
      "and . _ - : + @",
  },
  {
    what: "to label a virtual size above 8 PiB",
    args: ["label", "-s", "9P", "--create", "64M", "new", "new"],
    code: 9,
    message: 'Cannot use virtual size "9P": the most is 8P (2^53 bytes)',
  },
  {
    what: "to label a virtual size that chunks make larger than 8 PiB",
    args: ["label", "-s", "8P", "-m", "3G", "--create", "64G", "new", "new"],
    code: 9,
    message: "Cannot make a virtual disk of 9007199254740992 bytes: " +
      "9007199254740992 bytes (8 PiB) is the most, rounded up to " +
      "64 chunks",
  },
  {
    what: "to label with a map that does not fit",
    args: ["label", "-s", "8P", "--create", "64M", "new", "new"],
    code: 9,
    message: "Cannot put the map of a 9007199254740992-byte disk on " +
      '"~/new": it takes 8192 chunks of 4194304 bytes, there is ' +
      "room for 15; use larger chunks, a smaller disk, or a larger " +
      "first component",
  },
  {
    what: "to label with chunks of no size",
    args: ["label", "-m", "0", "--create", "64M", "new", "new"],
    code: 9,
    message: "Cannot use a chunk size of 0 bytes: it is 1 to 4294836224 " +
      "bytes",
  },
  {
    what: "to label a directory",
    prepare: (work) => Deno.mkdir(work.path("d")),
    args: ["label", "new", "d"],
    code: 9,
    message: 'Cannot use "~/d": it is a directory',
  },
  {
    what: "to label a file that is too small",
    prepare: (work) => work.makeFile("small", 16 * MIB),
    args: ["label", "new", "small"],
    code: 9,
    message: 'Cannot use "~/small": 16777216 bytes have room for 3 chunks ' +
      "of 4194304 bytes, at least 4 are needed (16777728 bytes)",
  },
  {
    what: "to label a file that is not there",
    args: ["label", "new", "nowhere"],
    code: 3,
    message: 'Cannot open "~/nowhere": there is no such file, --create ' +
      "SIZE makes it",
  },
  {
    what: "to label a file that carries a label",
    args: ["label", "-s", "1G", "new", "a"],
    code: 4,
    message: 'Cannot use "~/a": it carries a label of pool "demo" ' +
      "already, -f overwrites it",
  },
  {
    what: "to label all of which one carries a label",
    args: ["label", "-s", "1G", "--create", "64M", "new", "new", "a"],
    code: 4,
    message: 'Cannot use "~/a": it carries a label of pool "demo" ' +
      "already, -f overwrites it",
  },
  {
    what: "to label a name that is another pool's",
    args: ["label", "-s", "1G", "--create", "64M", "demo", "new"],
    code: 4,
    message: 'Cannot label pool "demo": there is one of this name, on ' +
      '"~/a"; choose another name, or use -f',
  },
  {
    what: "to label the same file twice",
    prepare: (work) => work.makeFile("new", 64 * MIB),
    args: ["label", "-s", "1G", "new", "new", "./new"],
    code: 4,
    message: 'Cannot use "~/new": it is given twice, also as "~/new"',
  },
  {
    what: "to label the same file twice, by a symbolic link",
    prepare: async (work) => {
      await work.makeFile("new", 64 * MIB);
      await Deno.symlink(work.path("new"), work.path("link"));
    },
    args: ["label", "-s", "1G", "new", "new", "link"],
    code: 4,
    message: 'Cannot use "~/link": it is given twice, also as "~/new"',
  },
  {
    what: "to label the same file twice, by a hard link",
    prepare: async (work) => {
      await work.makeFile("new", 64 * MIB);
      await Deno.link(work.path("new"), work.path("link"));
    },
    args: ["label", "-s", "1G", "new", "new", "link"],
    code: 4,
    message: 'Cannot use "~/link": it is given twice, also as "~/new"',
  },
  {
    what: "a pool that is not known",
    args: ["serve", "nobody"],
    code: 3,
    message: 'Cannot find pool "nobody": it is not registered in ' +
      '"~/state"; look for it with "virstor taste DIR"',
  },
  {
    what: "to stop a pool that is not served",
    args: ["stop", "demo"],
    code: 3,
    message: 'Cannot stop pool "demo": it is not served, as far as ' +
      '"~/state" tells',
  },
  {
    what: "a pool whose files are gone",
    prepare: async (work) => {
      await Deno.remove(work.path("a"));
      await Deno.remove(work.path("b"));
    },
    args: ["serve", "demo"],
    code: 3,
    message: 'Cannot open pool "demo": none of its components is here ' +
      '(cannot open "~/a": there is no such file; cannot open "~/b": there ' +
      "is no such file), say where they are with --component, or run " +
      "virstor taste",
  },
  {
    what: "a pool with a component missing",
    prepare: (work) => Deno.remove(work.path("b")),
    args: ["serve", "demo", "--component", "a"],
    code: 3,
    message: 'Cannot open pool "demo": component 1 of 2 (counted from 0) ' +
      'is missing (cannot open "~/b": there is no such file), say where ' +
      "with --component, or run virstor taste",
  },
  {
    what: "a pool with the file of another in its place",
    prepare: async (work) => {
      await work.succeed(
        ["label", "-s", "1G", "--create", "64M", "other", "c"],
      );
      await Deno.rename(work.path("c"), work.path("b"));
    },
    args: ["serve", "demo"],
    code: 3,
    message: 'Cannot open pool "demo": component 1 of 2 (counted from 0) ' +
      'is missing ("~/b" is a component of pool "other"), say where with ' +
      "--component, or run virstor taste",
  },
  {
    what: "a pool with an index twice",
    prepare: (work) => Deno.copyFile(work.path("b"), work.path("copy")),
    args: ["serve", "demo", "--component", "copy"],
    code: 2,
    message: 'Cannot open pool "demo": "~/copy" and "~/b" both claim to ' +
      "be component 1 of it",
  },
  {
    what: "a pool with two ids under one name",
    prepare: (work) =>
      work.succeed(
        ["label", "-f", "-s", "1G", "--create", "64M", "demo", "c"],
        { env: { VIRSTOR_STATE_DIR: work.path("other-state") } },
      ),
    args: ["serve", "demo", "--component", "c"],
    code: 2,
    message: 'Cannot open pool "demo": "~/c" and "~/a" are of two pools ' +
      "of this name (ids I and J), clear the stale one or give " +
      "--component for each",
  },
  {
    what: "to register two pools of one name",
    prepare: (work) =>
      work.succeed(
        ["label", "-f", "-s", "1G", "--create", "64M", "demo", "c"],
        { env: { VIRSTOR_STATE_DIR: work.path("other-state") } },
      ),
    args: ["taste", "."],
    code: 4,
    message: 'Cannot register pool "demo": "~/a" and "~/c" belong to ' +
      "different pools of this name; taste the files of one of " +
      "them only",
  },
  {
    what: "a component that was cut short",
    prepare: (work) => Deno.truncate(work.path("b"), 32 * MIB),
    args: ["serve", "demo"],
    code: 3,
    message: 'Cannot open pool "demo": component 1 of 2 (counted from 0) ' +
      'is missing (there is no label on "~/b"), say where with ' +
      "--component, or run virstor taste",
  },
  {
    what: "a component of another size than its label says",
    prepare: async (work) => {
      const label = readSector(work.path("b"));
      await Deno.writeFile(work.path("b"), label, { append: true });
    },
    args: ["serve", "demo"],
    code: 2,
    message: 'Cannot open pool "demo": the size of "~/b" is 67109376 ' +
      "bytes, but its label says 67108864: it was cut, extended or " +
      "copied badly",
  },
  {
    what: "a label that makes no sense",
    prepare: (work) => patchLabel(work.path("b"), { count: 0 }),
    args: ["serve", "demo"],
    code: 2,
    message: 'Cannot open pool "demo": the label of "~/b" makes no sense: ' +
      "the pool has no components",
  },
  {
    what: "a label of another version",
    prepare: (work) => patchLabel(work.path("b"), { version: 9 }),
    args: ["serve", "demo"],
    code: 7,
    message: 'Cannot open pool "demo": cannot use the label of "~/b": its ' +
      "version is 9, expected 1",
  },
  {
    what: "a map entry that points outside",
    prepare: (work) =>
      writeEntry(work.path("a"), 5, { flags: 1, component: 0, chunk: 200 }),
    args: ["serve", "demo"],
    code: 2,
    message: 'Cannot open pool "demo": the map entry of virtual chunk 5 ' +
      'points to chunk 200 of component 0, which has 15 ("~/a at ' +
      '40"), virstor check tells more',
  },
  {
    what: "to add a file of the pool itself",
    args: ["add", "demo", "a"],
    code: 4,
    message: 'Cannot use "~/a": it is in the pool already',
  },
  {
    what: "to add a file that carries a label",
    prepare: (work) =>
      work.succeed(["label", "-s", "1G", "--create", "64M", "other", "c"]),
    args: ["add", "demo", "c"],
    code: 4,
    message: 'Cannot use "~/c": it carries a label of pool "other" ' +
      "already, -f overwrites it",
  },
  {
    what: "to add a file that is too small",
    prepare: (work) => work.makeFile("small", 16 * MIB),
    args: ["add", "demo", "small"],
    code: 9,
    message: 'Cannot use "~/small": 16777216 bytes have room for 3 chunks ' +
      "of 4194304 bytes, at least 4 are needed (16777728 bytes)",
  },
  {
    what: "to add a directory",
    prepare: (work) => Deno.mkdir(work.path("d")),
    args: ["add", "demo", "d"],
    code: 9,
    message: 'Cannot use "~/d": it is a directory',
  },
  {
    what: "to add the same file twice",
    prepare: (work) => work.makeFile("new", 64 * MIB),
    args: ["add", "demo", "new", "new"],
    code: 4,
    message: 'Cannot use "~/new": it is given twice, also as "~/new"',
  },
  {
    what: "to remove a file that is no component",
    prepare: (work) => work.makeFile("new", 64 * MIB),
    args: ["remove", "demo", "new"],
    code: 9,
    message: 'Cannot remove "~/new": it is no component of pool "demo"',
  },
  {
    what: "to remove component 0, which holds the map",
    args: ["remove", "demo", "a"],
    code: 9,
    message: 'Cannot remove "~/a" from pool "demo": it holds the ' +
      "allocation map",
  },
  {
    what: "to clear a file without a label",
    prepare: (work) => work.makeFile("new", 64 * MIB),
    args: ["clear", "a", "new"],
    code: 3,
    message: 'Cannot clear "~/new": it carries no label',
  },
  {
    what: "to dump a file without a label",
    prepare: (work) => work.makeFile("new", 64 * MIB),
    args: ["dump", "a", "new"],
    code: 3,
    message: 'There is no label on "new"',
  },
  {
    what: "to taste what is not there",
    args: ["taste", "nowhere"],
    code: 3,
    message: 'Cannot look at "~/nowhere": there is no such file',
  },
  {
    what: "a state directory that is a file",
    args: ["--state-dir", "a", "label", "--create", "64M", "new", "new"],
    code: 1,
    message: 'Cannot make the state directory "~/a": Not a directory (os ' +
      "error 20): mkdir '~/a/pools'; use another --state-dir",
  },
];

for (const { what, prepare, args, code, message } of REFUSALS) {
  Deno.test(`virstor refuses ${what}`, async () => {
    await using work = await Workspace.create();
    await work.succeed(
      ["label", "-s", "1G", "--create", "64M", "demo", "a", "b"],
    );
    await prepare?.(work);
    const before = await filesOf(work.directory);
    const { stderr, ...result } = await work.run(args);
    const said = stderr.replaceAll(work.directory, "~")
      .replace(/ids \d+ and \d+/, "ids I and J");
    assertEquals(
      { ...result, stderr: said },
      { code, stdout: "", stderr: `virstor: ${message}\n` },
    );
    assertEquals(await filesOf(work.directory), before);
  });
}

/**
 * The files of a directory, with what tells whether they were written: they
 * are sparse, so their blocks tell it of all but the two ends.
 */
async function filesOf(directory: string): Promise<Record<string, unknown>> {
  const files: Record<string, unknown> = {};
  for await (const { name, isFile } of Deno.readDir(directory)) {
    if (!isFile) continue;
    const path = `${directory}/${name}`;
    const { size, blocks } = await Deno.stat(path);
    files[name] = {
      size,
      blocks,
      head: readAt(path, 0, END_SIZE),
      tail: readAt(path, Math.max(0, size - END_SIZE), END_SIZE),
    };
  }
  return files;
}
