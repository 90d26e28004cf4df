/**
 * Everything that is refused: one line that says what was being done, what was
 * found and what to do, the right exit code, and no change to any file.
 *
 * @module
 */
import { MIB } from "../helpers/scratch.ts";
import { testRefusals } from "./refusal.ts";

testRefusals("native", [
  {
    what: "to label a virtual size above 8 PiB",
    args: ["label", "-s", "9P", "--create", "64M", "new", "new"],
    code: 9,
    message: 'Cannot use virtual size "9P": the most is 8P (2^53 bytes)',
  },
  {
    what: "to label a directory",
    prepare: (work) => Deno.mkdir(work.path("d")),
    args: ["label", "new", "d"],
    code: 9,
    message: 'Cannot use "~/d": it is a directory',
  },
  {
    what: "to label a file that is not there",
    args: ["label", "new", "nowhere"],
    code: 3,
    message: 'Cannot open "~/nowhere": there is no such file, --create ' +
      "SIZE makes it",
  },
  {
    what: "to label a file in a directory that is not there",
    args: ["label", "new", "nowhere/deeper/c"],
    code: 3,
    message: 'Cannot open "~/nowhere/deeper/c": there is no directory ' +
      '"~/nowhere"',
  },
  {
    what: "to create a file in a directory that is not there",
    args: ["label", "--create", "64M", "new", "c", "nowhere/deeper/d"],
    code: 3,
    message: 'Cannot create "~/nowhere/deeper/d": there is no directory ' +
      '"~/nowhere", only files are made',
  },
  {
    what: "to create a file below a file",
    args: ["label", "--create", "64M", "new", "c", "a/d"],
    code: 3,
    message:
      'Cannot create "~/a/d": "~/a" is no directory, only files are made',
  },
  {
    what: "to add a file in a directory that is not there",
    isOpened: true,
    args: ["add", "--create", "64M", "demo", "nowhere/c"],
    code: 3,
    message:
      'Cannot create "~/nowhere/c": there is no directory "~/nowhere", ' +
      "only files are made",
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
    message: 'Cannot label pool "demo": a pool of this name exists, on ' +
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
    args: ["serve", "absent"],
    code: 3,
    message: 'Cannot find pool "absent": it is not registered in ' +
      '"~/state"; look for it with "virstor taste DIR"',
  },
  {
    what: "to stop a pool that is not served",
    args: ["stop", "demo"],
    code: 3,
    message: 'Cannot stop pool "demo": no process serves it under state ' +
      'directory "~/state"; if one does under another, name that with ' +
      "--state-dir",
  },
  {
    what: "a pool whose files are gone",
    prepare: async (work) => {
      await Deno.remove(work.path("a"));
      await Deno.remove(work.path("b"));
    },
    args: ["serve", "demo"],
    code: 3,
    message: 'Cannot open pool "demo": none of its components was found ' +
      '(cannot open "~/a": there is no such file; cannot open "~/b": there ' +
      "is no such file), say where they are with --component, or run " +
      "virstor taste",
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
    message: 'Cannot open pool "demo": component 1 (ID) of 2 (counted from ' +
      '0) is missing ("~/b" is a component of pool "other"), say where with ' +
      "--component, or run virstor taste",
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
      "of this name (ids ID and ID), clear the stale one or give " +
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
    what: "to add a file of the pool itself",
    isOpened: true,
    args: ["add", "demo", "a"],
    code: 4,
    message: 'Cannot use "~/a": it is in the pool already',
  },
  {
    what: "to add a file that carries a label",
    isOpened: true,
    prepare: (work) =>
      work.succeed(["label", "-s", "1G", "--create", "64M", "other", "c"]),
    args: ["add", "demo", "c"],
    code: 4,
    message: 'Cannot use "~/c": it carries a label of pool "other" ' +
      "already, -f overwrites it",
  },
  {
    what: "to add a directory",
    isOpened: true,
    prepare: (work) => Deno.mkdir(work.path("d")),
    args: ["add", "demo", "d"],
    code: 9,
    message: 'Cannot use "~/d": it is a directory',
  },
  {
    what: "to add the same file twice",
    isOpened: true,
    prepare: (work) => work.makeFile("new", 64 * MIB),
    args: ["add", "demo", "new", "new"],
    code: 4,
    message: 'Cannot use "~/new": it is given twice, also as "~/new"',
  },
  {
    what: "to remove a file that is no component",
    isOpened: true,
    prepare: (work) => work.makeFile("new", 64 * MIB),
    args: ["remove", "demo", "new"],
    code: 9,
    message: 'Cannot remove "~/new": it is no component of pool "demo"',
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
    message: 'Cannot examine "~/nowhere": there is no such file',
  },
  {
    what: "a state directory that is a file",
    args: ["--state-dir", "a", "label", "--create", "64M", "new", "new"],
    code: 1,
    message: 'Cannot make the state directory "~/a": Not a directory (os ' +
      "error 20): mkdir '~/a/pools'; use another --state-dir",
  },
  {
    what: "to tie components to their names",
    args: ["label", "-h", "--create", "64M", "new", "new"],
    code: 9,
    message: 'Cannot tie "~/new" to its name with -h: that is for --format ' +
      "freebsd, the native format knows its components by UUID",
  },
  {
    what: "to label a name of 256 bytes",
    args: ["label", "--create", "64M", "ä".repeat(128), "new"],
    code: 9,
    message: `Cannot name a pool "${"ä".repeat(128)}": a name has 1 to 255 ` +
      "bytes of UTF-8 and no control characters",
  },
  {
    what: "to label an empty name",
    args: ["label", "--create", "64M", "", "new"],
    code: 9,
    message: 'Cannot name a pool "": a name has 1 to 255 bytes of UTF-8 and ' +
      "no control characters",
  },
  {
    what: "to label with chunks above 1 GiB",
    args: ["label", "-m", "1025M", "--create", "64G", "new", "new"],
    code: 9,
    message: "Cannot use a chunk size of 1074790400 bytes: it is 1 to " +
      "1073741824 bytes",
  },
  {
    what: "to add a component that is tied to its name",
    isOpened: true,
    args: ["add", "-h", "--create", "64M", "demo", "new"],
    code: 9,
    message: 'Cannot tie "~/new" to its name with -h: that is for --format ' +
      "freebsd, the native format knows its components by UUID",
  },
  {
    what: "to remove all components",
    isOpened: true,
    args: ["remove", "demo", "a", "b"],
    code: 9,
    message: 'Cannot remove all components of pool "demo": one has to stay',
  },
  {
    what: "a volume in place of its pool",
    args: ["status", "demo/v"],
    code: 64,
    message: 'Command "status" takes no volume, as "demo/v" is\nName "demo"',
  },
  {
    what: "to stop a volume",
    args: ["stop", "demo/v"],
    code: 64,
    message: 'Command "stop" takes no volume, as "demo/v" is\nName "demo"',
  },
  {
    what: "a snapshot in place of a volume",
    isOpened: true,
    args: ["resize", "demo/v@s", "1G"],
    code: 64,
    message: 'Command "resize" takes no snapshot, as "demo/v@s" is\n' +
      'Name "demo/v"',
  },
  {
    what: "to detach from the removal of a component of a stopped pool",
    args: ["remove", "--detach", "demo", "a"],
    code: 64,
    message: 'Cannot detach from the evacuation of pool "demo": the pool is ' +
      "not served, so no process would continue it\n" +
      "Leave --detach out, or serve the pool",
  },
  {
    what: "to keep a component that is not being removed",
    isOpened: true,
    args: ["remove", "--cancel", "demo", "a"],
    code: 9,
    message: 'Cannot keep "~/a" in pool "demo": it is not being removed',
  },
  {
    what: "to make the disk smaller",
    isOpened: true,
    args: ["resize", "demo", "512M"],
    code: 9,
    message: 'Cannot make pool "demo" smaller: shrinking needs --force; ' +
      "shrink the file system on it first",
  },
  {
    what: "a disk of no size",
    isOpened: true,
    args: ["resize", "--force", "demo", "0"],
    code: 9,
    message: 'Cannot resize pool "demo" to 0 bytes: it is 1 to ' +
      "9007199254740992 bytes (8 PiB)",
  },
  {
    what: "a pool with a component missing",
    prepare: (work) => Deno.remove(work.path("b")),
    args: ["serve", "demo", "--component", "a"],
    code: 3,
    message: 'Cannot open pool "demo": component 1 (ID) of 2 (counted from ' +
      '0) is missing (cannot open "~/b": there is no such file), say where ' +
      "with --component, or run virstor taste",
  },
  {
    what: "to repair a pool that is not known",
    args: ["repair", "absent"],
    code: 3,
    message: 'Cannot find pool "absent": it is not registered in ' +
      '"~/state"; look for it with "virstor taste DIR"',
  },
]);
