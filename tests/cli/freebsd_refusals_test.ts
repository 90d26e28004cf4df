/**
 * What is refused of pools of FreeBSD's format only.
 *
 * @module
 */
import { patchLabel, readSector, writeEntry } from "../helpers/freebsd_raw.ts";
import { MIB } from "../helpers/scratch.ts";
import { testRefusals } from "./refusal.ts";

testRefusals("freebsd", [
  {
    what: "to label a name of 16 characters",
    args: [
      "label",
      "--format",
      "freebsd",
      "--create",
      "64M",
      "abcdefghijklmnop",
      "new",
    ],
    code: 9,
    message: 'Cannot name a pool "abcdefghijklmnop": a name has 1 to 15 ' +
      "letters, digits and . _ - : + @",
  },
  {
    what: "to label an empty name",
    args: ["label", "--format", "freebsd", "--create", "64M", "", "new"],
    code: 9,
    message: 'Cannot name a pool "": a name has 1 to 15 letters, digits ' +
      "and . _ - : + @",
  },
  {
    what: "to label a virtual size that chunks make larger than 8 PiB",
    args: [
      "label",
      "--format",
      "freebsd",
      "-s",
      "8P",
      "-m",
      "3G",
      "--create",
      "64G",
      "new",
      "new",
    ],
    code: 9,
    message: "Cannot make a virtual disk of 9007199254740992 bytes: " +
      "the maximum is 9007199254740992 bytes (8 PiB), rounded up to " +
      "whole chunks",
  },
  {
    what: "to label with a map that does not fit",
    args: [
      "label",
      "--format",
      "freebsd",
      "-s",
      "8P",
      "--create",
      "64M",
      "new",
      "new",
    ],
    code: 9,
    message: "Cannot put the map of a 9007199254740992-byte disk on " +
      '"~/new": it takes 8192 chunks of 4194304 bytes, there is ' +
      "room for 15; use larger chunks, a smaller disk, or a larger " +
      "first component",
  },
  {
    what: "to label with chunks of no size",
    args: [
      "label",
      "--format",
      "freebsd",
      "-m",
      "0",
      "--create",
      "64M",
      "new",
      "new",
    ],
    code: 9,
    message: "Cannot use a chunk size of 0 bytes: it is 1 to 4294836224 " +
      "bytes",
  },
  {
    what: "to label a file that is too small",
    prepare: (work) => work.makeFile("small", 16 * MIB),
    args: ["label", "--format", "freebsd", "new", "small"],
    code: 9,
    message: 'Cannot use "~/small": 16777216 bytes have room for 3 chunks ' +
      "of 4194304 bytes, at least 4 are needed (16777728 bytes)",
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
    what: "a pool with an index twice",
    prepare: (work) => Deno.copyFile(work.path("b"), work.path("copy")),
    args: ["serve", "demo", "--component", "copy"],
    code: 2,
    message: 'Cannot open pool "demo": "~/copy" and "~/b" both claim to ' +
      "be component 1 of it",
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
    what: "a component that was cut short",
    prepare: (work) => Deno.truncate(work.path("b"), 32 * MIB),
    args: ["serve", "demo"],
    code: 3,
    message: 'Notice: "~/b", a component of pool "demo", is 33554432 bytes ' +
      "(32 MiB) shorter than the 67108864 bytes (64 MiB) that it had: it was " +
      'cut\nvirstor: Cannot open pool "demo": component 1 of 2 (counted from 0) ' +
      'is missing (there is no label on "~/b"), say where with ' +
      "--component, or run virstor taste",
  },
  {
    what: "a label that makes no sense",
    prepare: (work) => patchLabel(work.path("b"), { count: 0 }),
    args: ["serve", "demo"],
    code: 2,
    message: 'Cannot open pool "demo": the label of "~/b" is damaged: ' +
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
    what: "to add a file that is too small",
    prepare: (work) => work.makeFile("small", 16 * MIB),
    args: ["add", "demo", "small"],
    code: 9,
    message: 'Cannot use "~/small": 16777216 bytes have room for 3 chunks ' +
      "of 4194304 bytes, at least 4 are needed (16777728 bytes)",
  },
  {
    what: "to remove component 0, which holds the map",
    args: ["remove", "demo", "a"],
    code: 9,
    message: 'Cannot remove "~/a" from pool "demo": it holds the ' +
      "allocation map",
  },
  {
    what: "to resize the disk",
    args: ["resize", "demo", "2G"],
    code: 7,
    message: 'Cannot resize pool "demo": its map has room for 256 chunks ' +
      "only, a pool of the native format can grow",
  },
  {
    what: "to open it degraded",
    prepare: (work) => Deno.remove(work.path("b")),
    args: ["serve", "--degraded", "demo"],
    code: 7,
    message: 'Cannot open pool "demo" degraded: only pools of the native ' +
      "format can be",
  },
]);
