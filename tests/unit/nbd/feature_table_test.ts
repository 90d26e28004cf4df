/**
 * The tables of docs/nbd.md are those of the code: every number that the
 * server speaks is there under the protocol's name, and no other.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import * as limits from "../../../nbd/wire/limits.ts";
import * as protocol from "../../../nbd/wire/protocol.ts";
import { NBD } from "../../helpers/nbd_client.ts";
import { serve } from "./serving.ts";

const TEXT = await Deno.readTextFile(
  new URL("../../../docs/nbd.md", import.meta.url),
);

/** First two columns of the table under a heading; the name is code. */
function tableUnder(heading: string): Map<string, string> {
  const start = TEXT.search(new RegExp(`^##+ ${heading}$`, "m"));
  assert(start >= 0, `"${heading}" is missing`);
  const section = TEXT.slice(start + 3).split(/^##+ /m, 1)[0] ?? "";
  const rows = section.matchAll(/^\| `(\w+)` +\| ([^|]+?) +\|/gm);
  return new Map([...rows].map(([, name = "", value = ""]) => [name, value]));
}

/** `7`, `2^31+9`. */
function numberOf(value: string): number {
  const [, exponent, rest] = /^2\^(\d+)\+(\d+)$/.exec(value) ?? [];
  return exponent === undefined
    ? Number(value)
    : 2 ** Number(exponent) + Number(rest);
}

/** `32 MiB`, `256`. */
function sizeOf(value: string): number {
  const [, count, unit] = /^(\d+)(?: ([KM]iB))?$/.exec(value) ?? [];
  const units: Record<string, number> = { KiB: 1024, MiB: 1024 * 1024 };
  return Number(count) * (units[unit ?? ""] ?? 1);
}

/** Parts of messages, which have no row of their own. */
const NO_ROWS = /MAGIC|HEADER_SIZE|^CHUNK_DONE$/;

/** Numbers of the code by name, without the prefix. */
function numbersOf(prefix: RegExp): Record<string, number> {
  return Object.fromEntries(
    Object.entries(protocol)
      .filter(([name]) => prefix.test(name) && !NO_ROWS.test(name))
      .map(([name, value]) => [name.replace(prefix, ""), value]),
  );
}

/** Where the protocol shortens a word, the code does not. */
const SHORTER: readonly [RegExp, string][] = [
  [/^ERROR_EXTENDED_HEADERS_REQUIRED$/, "ERR_EXT_HEADER_REQD"],
  [/^ERROR_TLS_REQUIRED$/, "ERR_TLS_REQD"],
  [/^ERROR_UNSUPPORTED$/, "ERR_UNSUP"],
  [/^ERROR_(?!OFFSET)/, "ERR_"],
  [/^DISCONNECT$/, "DISC"],
  [/^BLOCK_STATUS_PAYLOAD$/, "BLOCK_STAT_PAYLOAD"],
];

function protocolName(name: string): string {
  for (const [pattern, shorter] of SHORTER) {
    if (pattern.test(name)) return name.replace(pattern, shorter);
  }
  return name;
}

for (
  const [heading, prefix, isBit] of [
    ["Options", /^OPTION_(?!REPLY)/, false],
    ["Option replies", /^REPLY_/, false],
    ["Information types", /^INFO_/, false],
    ["Transmission flags", /^EXPORT_(?!NAME)/, true],
    ["Commands", /^COMMAND_/, false],
    ["Command flags", /^FLAG_/, true],
    ["Chunks", /^CHUNK_/, false],
    ["Errors", /^(?=E[A-Z]+$)/, false],
    ["Metadata contexts", /^STATE_/, true],
  ] as const
) {
  Deno.test(`docs/nbd.md has the numbers of "${heading}" as the code has them`, () => {
    const documented = [...tableUnder(heading)].map(([name, value]) => {
      const number = numberOf(value);
      return [name, isBit ? 2 ** number : number];
    });
    const known = Object.entries(numbersOf(prefix))
      .map(([name, number]) => [protocolName(name), number]);
    assert(documented.length > 1);
    assertEquals(
      Object.fromEntries(documented),
      Object.fromEntries(known),
    );
  });
}

Deno.test("docs/nbd.md has the limits as the code has them", () => {
  const known: Record<string, unknown> = { ...protocol, ...limits };
  const documented = tableUnder("Limits");
  for (const [name, value] of documented) {
    assertEquals([name, sizeOf(value)], [name, known[name]]);
  }
  const defaults = tableUnder("Limits of a server");
  assertEquals(
    Object.fromEntries(defaults.entries().map(([k, v]) => [k, sizeOf(v)])),
    { ...limits.DEFAULT_LIMITS },
  );
  const buffers = [
    "RECEIVE_BUFFER_SIZE",
    "REPLY_BUFFERS_MAX",
    "DEFAULT_LIMITS",
  ];
  const left = Object.keys(limits).filter((name) =>
    !documented.has(name) && !buffers.includes(name)
  );
  assertEquals(left, []);
});

Deno.test("the server knows the options of docs/nbd.md, and no others", async () => {
  const documented = [...tableUnder("Options").values()].map(Number);
  await using serving = await serve();
  const known: number[] = [];
  for (let option = 1; option < 40; option++) {
    using client = await serving.greeted();
    if (option === NBD.OPT_EXPORT_NAME) {
      assertEquals((await client.exportName("")).size, 1024n * 1024n);
      known.push(option);
      continue;
    }
    const [reply] = await client.option(option);
    if (reply?.type !== NBD.REP_ERR_UNSUP) known.push(option);
  }
  assertEquals(known, documented);
});

/** Short names of several programs. */
const FAMILIES: Readonly<Record<string, readonly string[]>> = {
  libnbd: ["nbdsh", "nbdinfo", "nbdcopy"],
  qemu: ["qemu-img", "qemu-io"],
};

/** The last column of the table under a heading, by name. */
function testedWith(heading: string): [name: string, programs: string[]][] {
  const start = TEXT.search(new RegExp(`^##+ ${heading}$`, "m"));
  const section = TEXT.slice(start + 3).split(/^##+ /m, 1)[0] ?? "";
  const rows = section.matchAll(/^\| `(\w+)` .*\| ([^|]+?) +\|$/gm);
  return [...rows].map(([, name = "", cell = ""]) => [name, cell.split(", ")]);
}

async function textOfTests(directories: readonly string[]): Promise<string> {
  const texts: string[] = [];
  for (const directory of directories) {
    const url = new URL(`../../${directory}/`, import.meta.url);
    for await (const { name } of Deno.readDir(url)) {
      // Not this one, which names everything.
      if (!name.endsWith(".ts") || import.meta.url.endsWith(name)) continue;
      texts.push(await Deno.readTextFile(new URL(name, url)));
    }
  }
  return texts.join("\n");
}

for (
  const [heading, prefix] of [
    ["Options", "OPT_"],
    ["Commands", "CMD_"],
    ["Command flags", "CMD_FLAG_"],
    ["Transmission flags", "FLAG_"],
  ] as const
) {
  Deno.test(`docs/nbd.md names only clients that try "${heading}"`, async () => {
    const interop = await textOfTests(["interop"]);
    const own = await textOfTests(["interop", "unit/nbd"]);
    const rows = testedWith(heading);
    assertEquals(rows.length, tableUnder(heading).size);
    for (const [name, programs] of rows) {
      for (const program of programs) {
        const isTried = program === "own"
          ? new RegExp(`\\b${prefix}${name}\\b`).test(own)
          : (FAMILIES[program] ?? [program]).every((one) =>
            interop.includes(`"${one}"`)
          );
        assert(isTried, `no test tries ${name} with ${program}`);
      }
    }
  });
}

Deno.test("docs/nbd.md tells since which version, one that there is", async () => {
  const [, version = ""] = /since version\s+(\d+\.\d+\.\d+)/.exec(TEXT) ?? [];
  const changes = await Deno.readTextFile(
    new URL("../../../CHANGELOG.md", import.meta.url),
  );
  assert(changes.includes(`\n## ${version} `), `version "${version}"`);
});
