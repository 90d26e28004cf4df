/**
 * Goal: a command that asks the server of a pool starts fast. Most of its time
 * is the start of the runtime, then each file and each module of `node:` that
 * it loads. Method: the imports are followed as Deno sees them, from the
 * program and the file of the command, without those that wait for a call.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../", import.meta.url);

/** The files of the commands that do no more than ask a served pool. */
const ASKING = [
  ...["check", "clone", "diff", "events", "list", "remove", "resize"],
  ...["rollback", "set", "snapshot", "snapshot_list", "snapshot_remove"],
  ...["status", "stop", "volume_create", "volume_flatten", "volume_list"],
  ...["volume_remove", "volume_rename", "volume_set"],
];
/** The rooms that they load. */
const ROOMS = ["cli", "cli/commands", "cli/control", "cli/state"]
  .concat("cli/terminal", "std/cli", "");
/** `set` needs the table of settings. */
const MORE_ROOMS: Readonly<Record<string, string>> = { set: "cli/calls" };
/** The most modules that `status` loads. */
const STATUS_MODULES_MAX = 50;

interface GraphModule {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly isDynamic?: boolean;
    readonly code?: { readonly specifier: string };
  }[];
}

/** All modules of the program, by address. */
async function readGraph(): Promise<ReadonlyMap<string, GraphModule>> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "cli/main.ts"],
    cwd: fileURLToPath(ROOT),
  }).output();
  assert(success);
  const { modules }: { modules: GraphModule[] } = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  return new Map(modules.map((each) => [each.specifier, each]));
}

/** What is loaded before a command runs: files from the root, or `node:...`. */
function loadedFor(
  graph: ReadonlyMap<string, GraphModule>,
  command: string,
): string[] {
  const found = new Set<string>();
  const visit = (address: string): void => {
    if (found.has(address)) return;
    found.add(address);
    for (const { isDynamic, code } of graph.get(address)?.dependencies ?? []) {
      if (isDynamic !== true && code !== undefined) visit(code.specifier);
    }
  };
  for (const path of ["main", "program", `commands/${command}`]) {
    const { href } = new URL(`cli/${path}.ts`, ROOT);
    assert(graph.has(href), path);
    visit(href);
  }
  return [...found].map((address) => address.replace(ROOT.href, ""));
}

Deno.test("a command that asks a server loads no pool, no native calls, nothing of node:", async () => {
  const graph = await readGraph();
  for (const command of ASKING) {
    const loaded = loadedFor(graph, command);
    const rooms = new Set(loaded.map((path) => path.replace(/\/?[^/]*$/, "")));
    const more = [...rooms].filter((room) =>
      !ROOMS.includes(room) && room !== MORE_ROOMS[command]
    );
    assertEquals(more, [], command);
    assertEquals(loaded.filter((path) => path.includes(":")), [], command);
  }
  const { length } = loadedFor(graph, "status");
  assert(length <= STATUS_MODULES_MAX, `status loads ${length} modules`);
});
