/**
 * `virstor info`, `copy` and `ping`: what they refuse, streams, files, and
 * pools that virstor serves itself.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { eventually } from "../helpers/patience.ts";
import { MAIN_ARGS, Workspace } from "../helpers/virstor.ts";
import { pattern } from "../helpers/scratch.ts";

const SIZE = 1024 * 1024 + 512;

/** Runs a command with bytes as its standard input; returns its output. */
async function pipe(
  work: Workspace,
  args: readonly string[],
  input: Uint8Array,
): Promise<{ code: number; stdout: Uint8Array; stderr: string }> {
  const process = new Deno.Command(Deno.execPath(), {
    args: [...MAIN_ARGS, ...args],
    cwd: work.directory,
    env: { NO_COLOR: "1", VIRSTOR_STATE_DIR: work.stateDirectory },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  // A command that fails does not read to the end.
  writer.write(Uint8Array.from(input)).then(() => writer.close()).catch(
    () => {},
  );
  const { code, stdout, stderr } = await process.output();
  return { code, stdout, stderr: new TextDecoder().decode(stderr) };
}

Deno.test("virstor copy copies files and streams", async () => {
  await using work = await Workspace.create();
  const bytes = pattern(SIZE, 1);
  await Deno.writeFile(work.path("a"), bytes);
  await work.succeed(["copy", "a", "b"]);
  assertEquals(await Deno.readFile(work.path("b")), bytes);
  const out = await pipe(work, ["copy", "b", "-"], new Uint8Array());
  assertEquals([out.code, out.stderr], [0, ""]);
  assertEquals(out.stdout, bytes);
  const into = await pipe(work, ["copy", "-", "c"], bytes);
  assertEquals([into.code, into.stderr], [0, ""]);
  assertEquals(await Deno.readFile(work.path("c")), bytes);
});

Deno.test("virstor copy leaves no file behind when it is interrupted", async () => {
  await using work = await Workspace.create();
  await Deno.writeFile(work.path("old"), new Uint8Array());
  for (
    const [target, left] of [
      ["new", '"new" is removed'],
      ["old", '"old" holds a part of it'],
    ] as const
  ) {
    const process = new Deno.Command(Deno.execPath(), {
      args: [...MAIN_ARGS, "copy", "-", target],
      cwd: work.directory,
      env: { NO_COLOR: "1", VIRSTOR_STATE_DIR: work.stateDirectory },
      stdin: "piped",
      stderr: "piped",
      stdout: "null",
    }).spawn();
    const writer = process.stdin.getWriter();
    // The copy begins with what it can read.
    await writer.write(pattern(SIZE, 1));
    await eventually("the copy has begun", async () => {
      const { size } = await Deno.stat(work.path(target)).catch(() => ({
        size: 0,
      }));
      return size > 0;
    });
    process.kill("SIGINT");
    const { code, stderr } = await process.output();
    await writer.close().catch(() => {});
    const text = new TextDecoder().decode(stderr);
    assertEquals(
      text.split("\n").filter((line) => !line.startsWith("Copying")),
      [
        `virstor: The copy is interrupted: ${left}`,
        "",
      ],
    );
    assertEquals(code, 130);
  }
  const names = [...Deno.readDirSync(work.directory)].map(({ name }) => name);
  assertEquals(names, ["old"]);
});

Deno.test("virstor copy overwrites a file only if forced", async () => {
  await using work = await Workspace.create();
  await Deno.writeFile(work.path("a"), pattern(SIZE, 1));
  await Deno.writeFile(work.path("b"), pattern(2 * SIZE, 2));
  const refusal = {
    code: 4,
    stdout: "",
    stderr: 'virstor: Cannot copy to "b": it may hold data, -f overwrites it\n',
  };
  assertEquals(await work.run(["copy", "a", "b"]), refusal);
  const piped = await pipe(work, ["copy", "-", "b"], new Uint8Array(10));
  assertEquals([piped.code, piped.stderr], [4, refusal.stderr]);
  assertEquals(await Deno.readFile(work.path("b")), pattern(2 * SIZE, 2));
  await work.succeed(["copy", "-f", "a", "b"]);
  assertEquals(await Deno.readFile(work.path("b")), pattern(SIZE, 1));
  // A symbolic link stays one.
  await Deno.symlink("b", work.path("link"));
  await work.succeed(["copy", "-f", "a", "link"]);
  assertEquals(await Deno.readLink(work.path("link")), "b");
  await Deno.remove(work.path("link"));
  // Force does not take what another process uses.
  using lock = await Deno.open(work.path("b"));
  await lock.lock(true);
  const taken = await pipe(work, ["copy", "-f", "-", "b"], new Uint8Array(10));
  assertEquals(taken.code, 8);
  assertMatch(taken.stderr, /^virstor: Cannot open "b": it is in use by .*\n$/);
  assertEquals(await Deno.readFile(work.path("b")), pattern(SIZE, 1));
  // Nothing is left of a copy that cannot be.
  const missing = await work.run(["copy", "nowhere", "d"]);
  assertEquals(missing.code, 3);
  const far = await work.run([
    "copy",
    "nbd+unix:///?socket=nowhere",
    "d",
  ]);
  assertEquals(far.code, 1);
  assertMatch(
    far.stderr,
    /^virstor: Cannot connect to "nbd.*": there is no such socket/,
  );
  const names = [...Deno.readDirSync(work.directory)].map(({ name }) => name);
  assertEquals(names.sort(), ["a", "b"]);
});

Deno.test("virstor copy, info and ping use a pool that virstor serves", async () => {
  await using work = await Workspace.create();
  await Deno.writeFile(work.path("image"), pattern(SIZE, 3));
  await work.succeed(
    ["label", "-s", "16M", "--create", "16M", "pool", "c0", "c1"],
  );
  const server = await work.serve(
    ["serve", "--socket", work.path("socket"), "pool"],
  );
  const { uri } = server;
  await work.succeed(["copy", "image", uri]);
  const info = await work.succeed(["info", uri]);
  assertMatch(info, /^Export: +"pool"\n/);
  assertMatch(info, /^Replies: +extended$/m);
  const map = JSON.parse(await work.succeed(["info", "--map", "--json", uri]));
  const kinds = map.map(({ description }: { description: string }) =>
    description
  );
  assertEquals([kinds[0], kinds.at(-1)], ["data", "hole,zero"]);
  const out = await pipe(work, ["copy", uri, "-"], new Uint8Array());
  assertEquals(out.stdout.slice(0, SIZE), pattern(SIZE, 3));
  assertEquals(out.stdout.length, 16 * 1024 * 1024);
  // A component that is in use.
  const busy = await work.run(["copy", "-f", "image", "c0"]);
  assertEquals(busy.code, 8);
  const small = await work.run(["copy", uri, uri.replace("pool", "nothing")]);
  assertEquals(small.code, 3);
  const long = await pipe(
    work,
    ["copy", "-", uri],
    new Uint8Array(17 * 1024 * 1024),
  );
  assertEquals(long.code, 9);
  assertMatch(long.stderr, /it is longer than the target, which has 16777216/);
  // Zeroes of a stream take no space.
  const zeroed = await work.succeed(["info", "--map", uri]);
  assertMatch(zeroed, /^ +0 +16777216 +3 +hole,zero$/m);

  const pings = JSON.parse(
    await work.succeed(
      ["ping", "--count", "3", "--interval", "0", "--json", uri],
    ),
  );
  assertEquals([pings.answered, pings.failed], [3, 0]);
  await server.stop();
  const { code, stderr } = await work.run(["ping", "--count", "1", uri]);
  assertEquals(code, 1);
  assertMatch(stderr, /^virstor: Cannot connect to "/);
});

Deno.test("virstor info, copy and ping refuse what is wrong usage", async () => {
  await using work = await Workspace.create();
  const cases: [string[], RegExp][] = [
    [["info", "disk.img"], /"disk.img" is no NBD URI/],
    [["ping", "http://u:secret@h/"], /"http:\/\/u:\*\*\*@h\/" is no NBD URI/],
    [["info", "--map", "--list", "nbd://h"], /--map is of one export/],
    [["copy", "-", "-"], /Only one end of a copy can be a stream/],
    [["copy", "a"], /"copy" needs TARGET/],
    [["copy", "--connections", "65", "a", "b"], /--connections takes 1 to 64/],
    [["ping", "--count", "0", "nbd://h"], /--count takes 1 or more, not 0/],
  ];
  for (const [args, wanted] of cases) {
    const { code, stderr } = await work.run(args);
    assertEquals(code, 64, args.join(" "));
    assertMatch(stderr, wanted);
  }
  const { code, stderr } = await work.run(["info", "nbd+vsock://1/"]);
  assertEquals(code, 7);
  assertMatch(stderr, /transport "vsock" is not supported/);
});
