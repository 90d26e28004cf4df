/**
 * An installed `virstor` works: from the package of npm, with `deno install`,
 * from a Debian package, and in a root directory of nothing but the package, Deno and a shell, as in an
 * image for containers. It runs with an environment of nothing but a search path
 * and a home.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { hasPeer, peerPath, peerTest, testUnless } from "../helpers/peers.ts";
import { makeScratch, type Scratch } from "../helpers/scratch.ts";
import { Server } from "../helpers/virstor.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

async function run(
  program: string,
  args: readonly string[],
  options: Deno.CommandOptions = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    ...options,
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

async function succeed(...args: Parameters<typeof run>): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  assertEquals(code, 0, `${args[0]} ${args[1].join(" ")}: ${stderr}`);
  return stdout;
}

async function bundle(directory: string): Promise<void> {
  const args = ["run", "-A", "tools/bundle.ts", directory];
  await succeed(Deno.execPath(), args, { cwd: ROOT });
}

/** The environment of a machine on which nothing is set. */
function bareEnv(scratch: Scratch, path: string): Deno.CommandOptions {
  const env = { PATH: path, HOME: scratch.file("home") };
  return { clearEnv: true, env, cwd: scratch.file("home") };
}

/** Runs the demo, and lets nbdinfo ask it. */
async function assertDemo(
  program: string,
  options: Deno.CommandOptions,
  words: readonly string[] = [],
): Promise<void> {
  const server = new Server(
    new Deno.Command(program, {
      args: [...words, "demo", "--listen", "127.0.0.1:0"],
      ...options,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
  try {
    await server.ready();
    const answer = await succeed(peerPath("nbdinfo") ?? "", [server.uri]);
    assertMatch(answer, /export-size: 1073741824 \(1G\)/);
    // A thread serves a client, where the machine has them.
    assertMatch(server.stderr, / connected: /);
  } finally {
    assertEquals((await server.stop()).code, 0);
  }
}

peerTest(
  "a virstor that npm has installed from its package serves the demo",
  ["npm", "node", "nbdinfo"],
  async () => {
    await using scratch = await makeScratch();
    await Deno.mkdir(scratch.file("home"));
    const dist = scratch.file("dist");
    await bundle(dist);
    const npm = peerPath("npm") ?? "";
    const inHere = { cwd: scratch.path };
    const name = await succeed(npm, ["pack", "--silent", dist], inHere);
    const prefix = scratch.file("prefix");
    await succeed(npm, [
      ...["install", "--silent", "--global", "--prefix", prefix],
      scratch.file(name.trim()),
    ], inHere);
    const program = `${prefix}/bin/virstor`;
    const bare = bareEnv(scratch, "/usr/bin:/bin");
    const version = await succeed(program, ["version"], bare);
    assertMatch(version, /^virstor \d.*\nDeno \d/);
    assertMatch(version, /threads for clients/);
    await assertDemo(program, bare);
    // Other runtimes say what is missing.
    const main = `${dist}/cli/main.js`;
    for (const runtime of ["node", "bun"].filter(hasPeer)) {
      const refused = await run(peerPath(runtime) ?? "", [main, "status"]);
      assertEquals(refused.code, 69, runtime);
      assertMatch(
        refused.stderr,
        /^virstor: Cannot start on this runtime: .*\n$/,
      );
    }
  },
);

for (const from of ["the package", "the sources"]) {
  peerTest(
    `a virstor that deno install has installed from ${from} serves the demo`,
    ["nbdinfo"],
    async () => {
      await using scratch = await makeScratch();
      await Deno.mkdir(scratch.file("home"));
      const dist = scratch.file("dist");
      const isPacked = from === "the package";
      if (isPacked) await bundle(dist);
      await succeed(Deno.execPath(), [
        ...["install", "--global", "--root", scratch.file("root")],
        ...["--name", "virstor"],
        "--no-config",
        ...isPacked ? [] : ["--import-map", `${ROOT}contrib/import_map.json`],
        ...["read", "write", "net", "ffi", "env"].map((one) =>
          `--allow-${one}`
        ),
        isPacked ? `${dist}/cli/main.js` : `${ROOT}cli/main.ts`,
      ], { cwd: scratch.path });
      const path = `${Deno.execPath().replace(/\/[^/]*$/, "")}:/usr/bin:/bin`;
      const bare = bareEnv(scratch, path);
      const program = scratch.file("root/bin/virstor");
      const version = await succeed(program, ["version"], bare);
      assertStringIncludes(version, "virstor ");
      await assertDemo(program, bare);
    },
  );
}

/** Puts a program into a root directory, with the libraries that it needs. */
async function place(root: string, program: string, as: string): Promise<void> {
  const list = await succeed("ldd", [program]);
  const libraries = list.matchAll(/(?:=> |^\s+)(\/\S+)/gm);
  const files = new Map([[as, program]]);
  for (const [, path = ""] of libraries) files.set(path, path);
  for (const [target, source] of files) {
    const path = `${root}${target}`;
    await Deno.mkdir(path.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.copyFile(source, path);
  }
}

/** Makes a root directory of the package, Deno and a shell. */
async function makeRoot(root: string): Promise<void> {
  for (const name of ["dev", "home", "opt", "proc"]) {
    await Deno.mkdir(`${root}/${name}`, { recursive: true });
  }
  await succeed("mknod", ["-m", "666", `${root}/dev/null`, "c", "1", "3"]);
  await place(root, await Deno.realPath("/bin/sh"), "/bin/sh");
  await place(root, Deno.execPath(), "/bin/deno");
}

/**
 * The words that run a program in a root directory, with `/proc` as long as it
 * runs.
 */
function wordsInside(root: string): string[] {
  const script = 'mount --bind /proc "$0/proc" && exec chroot "$0" "$@"';
  return ["--mount", "sh", "-c", script, root];
}

/** Why no root directory can be made here, if so. */
async function whyNoRoot(): Promise<string | undefined> {
  if (Deno.uid() !== 0) return "only root may use chroot";
  const peers = ["nbdinfo", "chroot", "ldd", "unshare"];
  const missing = peers.find((one) => !hasPeer(one));
  if (missing !== undefined) return `"${missing}" is not installed`;
  await using scratch = await makeScratch();
  for (
    const [program, ...args] of [
      ["mknod", scratch.file("null"), "c", "1", "3"],
      ["unshare", "--mount", "mount", "--bind", "/proc", scratch.path],
    ]
  ) {
    const { code, stderr } = await run(program ?? "", args);
    if (code !== 0) return `"${program}" does not work here: ${stderr.trim()}`;
  }
  return undefined;
}

testUnless(
  "virstor serves the demo in a root directory of nothing but Deno and a shell",
  await whyNoRoot(),
  async () => {
    await using scratch = await makeScratch();
    const root = scratch.file("root");
    await makeRoot(root);
    await bundle(`${root}/opt/virstor`);
    const options = {
      clearEnv: true,
      // Outside, the words need a search path, too.
      env: { PATH: "/bin:/usr/bin:/usr/sbin", HOME: "/home" },
    };
    const words = [...wordsInside(root), "/opt/virstor/virstor"];
    const unshare = peerPath("unshare") ?? "";
    const version = await succeed(unshare, [...words, "version"], options);
    assertMatch(version, /^virstor \d.*\nDeno \d/);
    assertMatch(version, /threads for clients/);
    await assertDemo(unshare, options, words);
    // Without Deno one sentence says what to install.
    await Deno.remove(`${root}/bin/deno`);
    await Deno.remove(`${root}/home`, { recursive: true });
    const refused = await run(unshare, [...words, "version"], options);
    assertEquals(refused.code, 69);
    assertMatch(refused.stderr, /^virstor: Cannot start: neither Deno .*\n$/);
  },
);

/**
 * Runs a script in a copy of this machine's root directory: what it changes is in
 * memory, and gone afterwards. Its arguments are the directory of the copy, the
 * script and the arguments of that.
 */
const IN_COPY = `mount -t tmpfs tmpfs "$0" && cd "$0" && mkdir new work root &&
mount -t overlay overlay -o lowerdir=/,upperdir="$0/new",workdir="$0/work" root &&
mount --rbind /proc root/proc && mount --rbind /dev root/dev &&
exec chroot root /bin/sh -ec "$@"`;

/** Why there can be no copy of the root directory, if so. */
async function whyNoCopy(): Promise<string | undefined> {
  if (Deno.uid() !== 0) return "only root may install packages";
  const peers = ["nbdinfo", "chroot", "unshare", "dpkg"];
  const missing = peers.find((one) => !hasPeer(one));
  if (missing !== undefined) return `"${missing}" is not installed`;
  await using scratch = await makeScratch();
  const { code, stderr } = await inCopy(scratch.path, "true");
  return code === 0 ? undefined : `there is no overlay: ${stderr.trim()}`;
}

function inCopy(
  directory: string,
  script: string,
  ...args: readonly string[]
): ReturnType<typeof run> {
  const words = ["--mount", "sh", "-c", IN_COPY, directory, script, "sh"];
  return run(peerPath("unshare") ?? "", [...words, ...args], {
    env: { PATH: `/usr/sbin:/sbin:${Deno.env.get("PATH")}` },
  });
}

/** Installs a package, asks the demo from it, and removes the package. */
const INSTALL_AND_ASK = `
dpkg --no-triggers --install "$1" >/dev/null
cd /srv/virstor
virstor demo --listen 127.0.0.1:0 >uri 2>log &
for i in $(seq 1200); do
  grep -q ^nbd uri && break
  sleep 0.1
done
nbdinfo "$(grep -m 1 ^nbd uri)"
kill -INT $!
wait $!
stat -c '%U:%G %a %n' /srv/virstor /var/lib/virstor
dpkg --no-triggers --purge virstor >/dev/null
ls /usr/bin/virstor /usr/lib/virstor 2>/dev/null || echo gone
ls /srv/virstor`;

testUnless(
  "dpkg installs a Debian package whose demo answers, and removes it again",
  await whyNoCopy(),
  async () => {
    await using scratch = await makeScratch();
    const made = await succeed(Deno.execPath(), [
      ...["run", "-A", "tools/debian.ts", "--without-deno"],
      scratch.path,
    ], { cwd: ROOT });
    const root = scratch.file("root");
    await Deno.mkdir(root);
    const before = await run("getent", ["passwd", "virstor"]);
    const { code, stdout, stderr } = await inCopy(
      root,
      INSTALL_AND_ASK,
      made.trim(),
    );
    assertEquals(code, 0, stderr);
    assertMatch(stdout, /export-size: 1073741824 \(1G\)/);
    assertStringIncludes(stdout, "\nvirstor:virstor 750 /srv/virstor\n");
    assertStringIncludes(stdout, "\nvirstor:virstor 750 /var/lib/virstor\n");
    // What is served stays.
    assertMatch(stdout, /\ngone\ndemo-pool\nlog\nuri\n$/);
    assertEquals(await run("getent", ["passwd", "virstor"]), before);
  },
);

peerTest(
  "a Debian package has the program, its manuals, its completion and its units",
  ["dpkg-deb", "nbdinfo"],
  async () => {
    await using scratch = await makeScratch();
    await Deno.mkdir(scratch.file("home"));
    const made = await succeed(Deno.execPath(), [
      ...["run", "-A", "tools/debian.ts", "--without-deno"],
      scratch.path,
    ], { cwd: ROOT });
    const file = made.trim();
    assertMatch(file, /\/virstor_\d[\d.]*_all\.deb$/);
    // Unpacked, not installed: the machine stays as it is.
    const root = scratch.file("root");
    const dpkg = peerPath("dpkg-deb") ?? "";
    await succeed(dpkg, ["--extract", file, root]);
    const list = await succeed(dpkg, ["--contents", file]);
    for (
      const path of [
        ...["usr/share/man/man1/virstor.1.gz", "usr/bin/virstor"],
        "usr/share/bash-completion/completions/virstor",
        ...["usr/share/doc/virstor/copyright", "usr/share/doc/virstor/nbd.md"],
      ]
    ) assertStringIncludes(list, ` ./${path}`);
    // All files are root's, and no other user may write to them.
    for (const line of list.trim().split("\n")) {
      assertMatch(line, /^(d.{4}-..-.|-.{4}-..-.|l.{9}) root\/root /);
    }
    const unit = await Deno.readTextFile(
      `${root}/lib/systemd/system/virstor@.service`,
    );
    assertMatch(unit, /^ExecStart=\/usr\/bin\/virstor serve /m);
    for (const script of ["postinst", "postrm"]) {
      const control = scratch.file("control");
      await succeed(dpkg, ["--control", file, control]);
      await succeed("sh", ["-n", `${control}/${script}`]);
    }
    const path = `${Deno.execPath().replace(/\/[^/]*$/, "")}:/usr/bin:/bin`;
    const bare = bareEnv(scratch, path);
    const program = `${root}/usr/bin/virstor`;
    assertStringIncludes(await succeed(program, ["version"], bare), "virstor ");
    await assertDemo(program, bare);
  },
);
